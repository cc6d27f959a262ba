import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { instancesQuery, schedulesQuery } from '../../api/queries'
import type { ScheduleSummary } from '../../api/types'
import { LinkButton } from '../../components/Button'
import { Filters, NameFilter, StateFilter, useChoice, useFilter } from '../../components/Filters'
import { Pages } from '../../components/Pages'
import { Empty } from '../../components/States'
import { RunTag, ScheduleTag } from '../../components/StateTags'
import { type Column, Nothing, Table } from '../../components/Table'
import { whenText } from '../../lib/dates'
import { Page } from '../../shell/Page'
import { RUN_REASONS, SCHEDULE_STATUSES } from '../../words'
import { clocksText, scheduleText } from '../builder/outline'
import { ScheduleActs } from './ScheduleActs'

export function Component() {
  const [status, setStatus] = useChoice('status', SCHEDULE_STATUSES)
  const [search, setSearch] = useFilter('search')
  const schedules = useInfiniteQuery(schedulesQuery({ status, search }))
  const instances = useQuery(instancesQuery)
  const narrowed = status !== null || search !== ''
  const begin = (
    <LinkButton look="primary" to="/reports/new">
      New report
    </LinkButton>
  )
  const columns: Column<ScheduleSummary>[] = [
    {
      name: 'Schedule',
      main: true,
      cell: (each) => (
        <>
          <Link to={`/schedules/${each.schedule_id}`}>{each.name}</Link>
          <div className="muted small">
            {instances.data?.items.find((one) => one.instance_id === each.instance_id)?.name ?? each.instance_id}
          </div>
        </>
      ),
    },
    {
      name: 'Runs',
      cell: (each) => (
        <>
          {scheduleText(each.schedule_config)}
          <div className="muted small">{clocksText(each.schedule_config.timezone ?? each.timezone)}</div>
        </>
      ),
    },
    { name: 'State', cell: (each) => <ScheduleTag schedule={each} /> },
    {
      name: 'Next run',
      cell: (each) =>
        each.next_run_at ? (
          <>
            <span className="nowrap">{whenText(each.next_run_at)}</span>
            <div className="muted small">by your clock</div>
          </>
        ) : (
          <Nothing>None is due</Nothing>
        ),
    },
    { name: 'Last result', cell: (each) => <Last schedule={each} /> },
    { name: 'Acts', unnamed: true, cell: (each) => <ScheduleActs schedule={each} inRow /> },
  ]
  return (
    <Page title="Schedules" lead="What runs again and again. Each comes from a report." actions={begin}>
      <Filters>
        <NameFilter label="Search by name" value={search} onChange={setSearch} />
        <StateFilter label="State" words={SCHEDULE_STATUSES} value={status} onChange={setStatus} />
      </Filters>
      <Pages
        list={schedules}
        more="Show older schedules"
        empty={
          narrowed ? (
            <Empty title="No schedule like that" action={<LinkButton to="/schedules">Show all schedules</LinkButton>} />
          ) : (
            <Empty title="No schedules yet" action={begin}>
              <p className="muted">
                A report that recurs has one. Choose “Recurring” in its second step, and it runs by itself.
              </p>
            </Empty>
          )
        }
      >
        {(items) => <Table caption="Schedules" columns={columns} rows={items} keyOf={(each) => each.schedule_id} />}
      </Pages>
    </Page>
  )
}

function Last({ schedule: { last_run: run } }: { schedule: ScheduleSummary }) {
  if (!run) return <Nothing>None yet</Nothing>
  return (
    <>
      <RunTag run={run} />
      <div className="muted small">
        {run.reason ? (RUN_REASONS[run.reason] ?? run.reason) : whenText(run.finished_at ?? run.instant)}
      </div>
    </>
  )
}
