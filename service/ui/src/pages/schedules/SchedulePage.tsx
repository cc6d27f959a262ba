/** One schedule: what it does, what comes next, and what became of its runs. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link, useLocation, useParams } from 'react-router'
import { rowsAddress } from '../../api/files'
import { instanceQuery, runsQuery, scheduleQuery, workflowQuery } from '../../api/queries'
import type { Run, Schedule, ScheduleChanged } from '../../api/types'
import { ActivityLink } from '../../components/ActivityLink'
import { LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Details } from '../../components/Details'
import { Pages } from '../../components/Pages'
import type { Rereadable } from '../../components/Reread'
import { Failed, Loading } from '../../components/States'
import { RunTag, ScheduleTag } from '../../components/StateTags'
import { Summary, type SummaryRow } from '../../components/Summary'
import { type Column, Nothing, Table } from '../../components/Table'
import { localText, momentText, shortRange } from '../../lib/dates'
import { LOCALE } from '../../lib/locale'
import { Page } from '../../shell/Page'
import { counted, END_CAUSES, inOurWords, RUN_CAUSES, RUN_REASONS, STATUSES } from '../../words'
import { clocksText, lookbackText, parameterValues, scheduleText } from '../builder/outline'
import { BeforeAndAfter } from './BeforeAndAfter'
import { ScheduleActs } from './ScheduleActs'
import styles from './Schedules.module.css'

export function Component() {
  const { scheduleId = '' } = useParams()
  const schedule = useQuery(scheduleQuery(scheduleId))
  if (!schedule.data) {
    return (
      <Page title="Schedule">
        {schedule.error ? (
          <Failed
            error={schedule.error}
            retry={() => schedule.refetch()}
            actions={<LinkButton to="/schedules">All schedules</LinkButton>}
          />
        ) : (
          <Loading lines={8} />
        )}
      </Page>
    )
  }
  return <Shown schedule={schedule.data} query={schedule} />
}

function Shown({ schedule, query }: { schedule: Schedule; query: Rereadable }) {
  const { state } = useLocation()
  const { changed, zoneBefore } = (state ?? {}) as { changed?: ScheduleChanged; zoneBefore?: string }
  const zone = schedule.schedule_config.timezone ?? schedule.timezone
  return (
    <Page
      query={query}
      title={schedule.name}
      above={
        <span className="row">
          <ScheduleTag schedule={schedule} />
          <Link to="/schedules">Schedules</Link>
          <ActivityLink stream={`schedule-${schedule.schedule_id}`} />
        </span>
      }
      actions={<ScheduleActs schedule={schedule} />}
    >
      {changed && (
        <Callout look="info" role="status" title="The schedule is changed, from its next run on">
          <BeforeAndAfter
            before={{ runs: changed.before, zone: zoneBefore ?? zone }}
            after={{ runs: changed.after, zone }}
          />
        </Callout>
      )}
      <Standing schedule={schedule} />
      <Summary title="What it does" rows={useRows(schedule)} />
      {schedule.status !== 'ended' && schedule.upcoming.length > 0 && <Next schedule={schedule} zone={zone} />}
      <Runs schedule={schedule} />
      <Details summary="The rules in full">
        <ul className={styles.rules}>
          {schedule.sentences.map((each) => (
            <li key={each}>{inOurWords(each)}</li>
          ))}
        </ul>
      </Details>
    </Page>
  )
}

/** Why it does not run. */
function Standing({ schedule }: { schedule: Schedule }) {
  const { status, state_reason: reason, end_cause: cause, held } = schedule
  if (status === 'paused') {
    return (
      <Callout look="care" title="Paused">
        <p>{reason ?? 'It starts no run until somebody resumes it.'}</p>
      </Callout>
    )
  }
  if (status === 'ended') {
    return (
      <Callout title="Ended">
        <p>
          {cause ? `${END_CAUSES[cause]}.` : 'It starts no run any more.'} {reason}
        </p>
      </Callout>
    )
  }
  if (held) {
    return (
      <Callout look="info" title="Waits for its history">
        <p>Its first run comes when the history is complete. “Start it now” lets it begin before.</p>
      </Callout>
    )
  }
  return null
}

function useRows(schedule: Schedule): SummaryRow[] {
  const instance = useQuery(instanceQuery(schedule.instance_id))
  const workflow = useQuery(workflowQuery(schedule.workflow_id))
  const { schedule_config: config, backfill_status: history } = schedule
  return [
    { name: 'Runs', value: `${scheduleText(config)}, ${clocksText(config.timezone ?? schedule.timezone)}` },
    { name: 'Window of each run', value: lookbackText(schedule.lookback_config) },
    {
      name: 'Instance',
      value: <Link to={`/instances/${schedule.instance_id}`}>{instance.data?.name ?? schedule.instance_id}</Link>,
    },
    {
      name: 'Workflow',
      value: <Link to={`/workflows/${schedule.workflow_id}`}>{workflow.data?.name ?? schedule.workflow_id}</Link>,
    },
    ...parameterValues(schedule.parameters),
    ...(schedule.report_id
      ? [{ name: 'Report', value: <Link to={`/reports/${schedule.report_id}`}>See the report and its results</Link> }]
      : []),
    ...(history ? [{ name: 'Its history', value: STATUSES[history] }] : []),
    ...(schedule.run_count > 0 ? [{ name: 'Started so far', value: counted(schedule.run_count, 'run') }] : []),
  ]
}

function Next({ schedule, zone }: { schedule: Schedule; zone: string }) {
  return (
    <section className="stack-small">
      <h2>Next runs</h2>
      {schedule.status === 'paused' && <p className="muted">They come only once it is resumed.</p>}
      <ol className={styles.next}>
        {schedule.upcoming.map((run) => (
          <li key={run.utc}>
            {run.runs ? (
              <>
                <span>
                  {localText(run.local)} {/^[A-Z]/.test(run.abbreviation) ? run.abbreviation : clocksText(zone)}
                </span>
                {!localText(run.local).endsWith(momentText(run.utc)) && (
                  <span className="muted small">{momentText(run.utc)} by your clock</span>
                )}
              </>
            ) : (
              <span className="muted">No run</span>
            )}
            {run.note && <span className={styles.note}>{inOurWords(run.note)}</span>}
          </li>
        ))}
      </ol>
    </section>
  )
}

function Runs({ schedule }: { schedule: Schedule }) {
  const runs = useInfiniteQuery(runsQuery(schedule.schedule_id))
  const columns: Column<Run>[] = [
    {
      name: 'Run',
      main: true,
      cell: (run) => (
        <>
          <span className="nowrap">{localText(run.nominal)}</span>
          {run.cause && RUN_CAUSES[run.cause] && <span className="muted small"> {RUN_CAUSES[run.cause]}</span>}
        </>
      ),
    },
    {
      name: 'Result',
      cell: (run) => (
        <>
          <RunTag run={run} />
          {run.reason && <div className="muted small">{RUN_REASONS[run.reason] ?? run.reason}</div>}
        </>
      ),
    },
    {
      name: 'Window',
      cell: (run) => (run.window_start && run.window_end ? shortRange(run.window_start, run.window_end) : <Nothing />),
    },
    {
      name: 'Rows',
      numeric: true,
      cell: (run) => (run.row_count === null ? <Nothing /> : run.row_count.toLocaleString(LOCALE)),
    },
    {
      name: 'Download',
      cell: (run) =>
        run.collection_id && (run.backfill_status === 'completed' || run.backfill_status === 'partial') ? (
          <Downloads collectionId={run.collection_id} when={localText(run.nominal)} />
        ) : (
          <Nothing />
        ),
    },
  ]
  return (
    <section className="stack-small">
      <h2>Runs so far</h2>
      <Pages
        list={runs}
        more="Show older runs"
        empty={<p className="muted">None yet. Each is listed here when it has started, or why it has not.</p>}
      >
        {(items) => <Table caption="Runs so far" columns={columns} rows={items} keyOf={(run) => run.run_id} />}
      </Pages>
    </section>
  )
}

const FORMATS = [
  { format: 'csv', name: 'CSV' },
  { format: 'xlsx', name: 'Excel' },
] as const

function Downloads({ collectionId, when }: { collectionId: string; when: string }) {
  return (
    <span className="row">
      {FORMATS.map(({ format, name }) => (
        <a key={format} href={rowsAddress(collectionId, format)} aria-label={`${name} of ${when}`} download>
          {name}
        </a>
      ))}
    </span>
  )
}
