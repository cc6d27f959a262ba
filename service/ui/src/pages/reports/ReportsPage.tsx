import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from 'react-router'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { useMay } from '../../api/may'
import { instancesQuery, REPORTS, reportQuery, reportsQuery, workflowsQuery } from '../../api/queries'
import type { Report, ReportItem, ScheduleType } from '../../api/types'
import { Button, LinkButton } from '../../components/Button'
import { Filters, NameFilter, StateFilter, useChoice, useFilter } from '../../components/Filters'
import { Pages } from '../../components/Pages'
import { Empty, Failed } from '../../components/States'
import { type Column, Nothing, Table } from '../../components/Table'
import { Tag } from '../../components/Tag'
import { whenText } from '../../lib/dates'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { REPORT_STATUSES, SCHEDULE_TYPES, STEPS } from '../../words'

export function Component() {
  const [status, setStatus] = useChoice('status', REPORT_STATUSES)
  const [search, setSearch] = useFilter('search')
  const reports = useInfiniteQuery(reportsQuery({ status, search }))
  const narrowed = status !== null || search !== ''
  const begin = useMay('reports:write') && (
    <LinkButton look="primary" to="/reports/new">
      New report
    </LinkButton>
  )
  return (
    <Page title="Reports" actions={begin}>
      <Filters>
        <NameFilter label="Search by name" value={search} onChange={setSearch} />
        <StateFilter label="State" words={REPORT_STATUSES} value={status} onChange={setStatus} />
      </Filters>
      <Pages
        list={reports}
        more="Show older reports"
        empty={
          narrowed ? (
            <Empty title="No report like that" action={<LinkButton to="/reports">Show all reports</LinkButton>} />
          ) : (
            <Empty title="No reports yet" action={begin}>
              <p className="muted">
                A report takes four steps: parameters, schedule, review, submit. They take two minutes.
              </p>
            </Empty>
          )
        }
      >
        {(items) => <Reports items={items} />}
      </Pages>
    </Page>
  )
}

function Reports({ items }: { items: readonly ReportItem[] }) {
  const instances = useQuery(instancesQuery)
  const workflows = useQuery(workflowsQuery(''))
  const copy = useCopy()
  const may = useMay('reports:write')
  const instance = (id: string) => instances.data?.items.find((each) => each.instance_id === id)?.name ?? id
  const workflow = (id: string | null) => workflows.data?.items.find((each) => each.workflow_id === id)?.name
  const columns: Column<ReportItem>[] = [
    {
      name: 'Report',
      main: true,
      cell: (report) => (
        <>
          <Link to={`/reports/${report.report_id}`}>{report.name}</Link>
          {workflow(report.workflow_id) && <div className="muted small">{workflow(report.workflow_id)}</div>}
        </>
      ),
    },
    { name: 'State', cell: (report) => <State report={report} /> },
    {
      name: 'Kind',
      cell: ({ schedule_type: type }) =>
        type ? SCHEDULE_TYPES[type as ScheduleType].name : <Nothing>Not chosen yet</Nothing>,
    },
    {
      name: 'Instance',
      cell: ({ instance_id: id }) => (id ? instance(id) : <Nothing>Not chosen yet</Nothing>),
    },
    { name: 'Changed', cell: (report) => <span className="muted nowrap">{whenText(report.updated_at)}</span> },
    {
      name: 'Acts',
      unnamed: true,
      cell: (report) => (
        <div className="acts">
          <Change report={report} />
          {may && (
            <Button
              look="quiet"
              aria-label={`Copy ${report.name}`}
              busy={copy.isPending && copy.variables === report.report_id}
              onClick={() => copy.mutate(report.report_id)}
            >
              Copy
            </Button>
          )}
        </div>
      ),
    },
  ]
  return (
    <>
      {copy.error && <Failed error={copy.error} />}
      <Table caption="Reports" columns={columns} rows={items} keyOf={(report) => report.report_id} />
    </>
  )
}

/** What of a report can be changed: a draft in its steps, what recurs in its schedule. What has run stays as it ran. */
function Change({ report }: { report: ReportItem }) {
  const { report_id: id, next_step: step, schedule_id: scheduleId, name } = report
  const may = { write: useMay('reports:write'), change: useMay('schedules:write') }
  if (step) {
    if (!may.write) return null
    return (
      <LinkButton look="quiet" to={`/reports/${id}/${step}`} aria-label={`Continue ${name}`}>
        Continue
      </LinkButton>
    )
  }
  if (!scheduleId || !may.change) return null
  return (
    <LinkButton look="quiet" to={`/schedules/${scheduleId}/change`} aria-label={`Change the schedule of ${name}`}>
      Change
    </LinkButton>
  )
}

/** Begins a report with the first two steps of another, and goes to its first. */
function useCopy() {
  const navigate = useNavigate()
  const client = useQueryClient()
  return useCommand<string, Report>(
    (id, key) =>
      answered(
        api.POST('/api/reports/{report_id}/copy', {
          params: { path: { report_id: id } },
          headers: writing(key),
          body: {},
        }),
      ),
    {
      onSuccess: (report) => {
        client.setQueryData(reportQuery(report.report_id).queryKey, report)
        void client.invalidateQueries({ queryKey: REPORTS })
        announce('Copied')
        void navigate(`/reports/${report.report_id}/parameters`)
      },
    },
  )
}

function State({ report }: { report: ReportItem }) {
  if (report.next_step === null) return <Tag look="good">Submitted</Tag>
  const step = STEPS.find((each) => each.step === report.next_step)
  return <Tag>{`Draft, at ${step?.name.toLowerCase()}`}</Tag>
}
