/** One report: what it is, and how what it set to work stands. */
import { useQuery } from '@tanstack/react-query'
import { Link, useLocation, useParams } from 'react-router'
import { FILES, rowsAddress } from '../../api/files'
import { useMay } from '../../api/may'
import { collectionQuery, instanceQuery, reportQuery, scheduleQuery, workflowQuery } from '../../api/queries'
import type { Collection, Report, Schedule } from '../../api/types'
import { ActivityLink } from '../../components/ActivityLink'
import { LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Failed, Loading } from '../../components/States'
import { ResultTag, ScheduleTag } from '../../components/StateTags'
import { Summary, type SummaryRow } from '../../components/Summary'
import { Tag } from '../../components/Tag'
import { localText, momentText, windowText } from '../../lib/dates'
import { usePolling } from '../../live/hooks'
import { Page } from '../../shell/Page'
import { counted, STEPS } from '../../words'
import { clocksText, parameterRows, scheduleRows } from '../builder/outline'
import { AllResults } from './AllResults'
import { Versions } from './Versions'

export function Component() {
  const { reportId = '' } = useParams()
  const report = useQuery(reportQuery(reportId))
  const may = useMay('reports:write')
  const { data } = report
  const step = data && may && STEPS.find((each) => each.step === data.next_step)
  return (
    <Page
      title={data?.name ?? 'Report'}
      above={
        data && (
          <span className="row">
            {data.next_step ? <Tag>Draft</Tag> : <Tag look="good">Submitted</Tag>}
            <ActivityLink stream={`report-${reportId}`} />
          </span>
        )
      }
      actions={
        step && (
          <LinkButton look="primary" to={`/reports/${reportId}/${step.step}`}>
            Continue with {step.name.toLowerCase()}
          </LinkButton>
        )
      }
    >
      {data ? (
        <Shown report={data} may={may} />
      ) : report.error ? (
        <Failed
          error={report.error}
          retry={() => report.refetch()}
          actions={<LinkButton to="/reports">All reports</LinkButton>}
        />
      ) : (
        <Loading />
      )}
    </Page>
  )
}

function Shown({ report, may }: { report: Report; may: boolean }) {
  const { parameters, schedule, next_step: next } = report
  const closed = (useLocation().state as { closed?: boolean } | null)?.closed === true
  const base = `/reports/${report.report_id}`
  const workflow = useQuery({ ...workflowQuery(parameters?.workflow_id ?? ''), enabled: Boolean(parameters) })
  const instance = useQuery({ ...instanceQuery(parameters?.instance_id ?? ''), enabled: Boolean(parameters) })
  const instanceName = instance.data ? `${instance.data.name} (${instance.data.instance_id})` : parameters?.instance_id
  return (
    <>
      {closed && (
        <Callout role="status">
          <p>
            This report is submitted, and its steps are closed.
            {may && (
              <>
                {' '}
                A copy of it can be changed: <Link to="/reports">copy it from the list</Link>.
              </>
            )}
          </p>
        </Callout>
      )}
      {report.collection_id && <CollectionState id={report.collection_id} position={report.position} />}
      {report.schedule_id && <ScheduleState id={report.schedule_id} position={report.position} />}
      {report.schedule_id && <AllResults reportId={report.report_id} />}
      {!next && <Versions reportId={report.report_id} />}
      {parameters ? (
        <Summary
          title="Parameters"
          rows={parameterRows(report, workflow.data?.name ?? parameters.workflow_id, instanceName ?? '')}
          {...(next && may ? { change: `${base}/parameters` } : {})}
        />
      ) : (
        <p className="muted">Nothing is chosen yet. Four steps lead to a report that runs.</p>
      )}
      {parameters && schedule && (
        <Summary
          title="Schedule"
          rows={scheduleRows(schedule, parameters.timezone)}
          {...(next && may ? { change: `${base}/schedule` } : {})}
        />
      )}
    </>
  )
}

/** `position` is that of the submission, where it was made just now: what is read waits until it shows. */
type Placed = { id: string; position: number }

function CollectionState({ id, position }: Placed) {
  const polling = usePolling()
  const collection = useQuery({
    ...collectionQuery(id, position),
    refetchInterval: ({ state }) => (state.data?.finished_at ? false : state.error ? 30_000 : polling),
  })
  if (collection.error && !collection.data)
    return <Failed error={collection.error} retry={() => collection.refetch()} />
  if (!collection.data) return <Loading lines={3} />
  return (
    <Summary
      title={collection.data.lane === 'bulk' ? 'History' : 'Result'}
      rows={collectionRows(collection.data)}
      more={{ to: `/results/${id}`, name: collection.data.finished_at ? 'Rows and periods' : 'See it live' }}
    />
  )
}

function collectionRows(collection: Collection): SummaryRow[] {
  const { segments_total: total } = collection
  const done = collection.segments_completed + collection.segments_skipped
  return [
    { name: 'State', value: <ResultTag result={collection} /> },
    { name: 'Window', value: windowText(collection.window_start, collection.window_end) },
    ...(total > 1
      ? [
          {
            name: 'Periods',
            value: `${done.toLocaleString('en-GB')} of ${counted(total, 'period')} complete${collection.segments_failed ? `, ${counted(collection.segments_failed, 'failed', 'failed')}` : ''}`,
          },
        ]
      : []),
    { name: 'Rows', value: collection.row_count.toLocaleString('en-GB') },
    ...(done > 0
      ? [
          {
            name: 'Download',
            value: (
              <span className="row">
                {FILES.map(({ format, name }) => (
                  <a key={format} href={rowsAddress(collection.collection_id, format)} download>
                    {name}
                  </a>
                ))}
              </span>
            ),
          },
        ]
      : []),
  ]
}

function ScheduleState({ id, position }: Placed) {
  const schedule = useQuery(scheduleQuery(id, position))
  if (schedule.error && !schedule.data) return <Failed error={schedule.error} retry={() => schedule.refetch()} />
  if (!schedule.data) return <Loading lines={3} />
  return (
    <>
      <Summary
        title="Recurring"
        rows={recurringRows(schedule.data)}
        more={{ to: `/schedules/${id}`, name: 'Its runs' }}
      />
      {schedule.data.held && (
        <Callout>
          <p>The schedule starts when the history is complete.</p>
        </Callout>
      )}
    </>
  )
}

/** By the schedule's clocks, and the reader's own where they differ. */
function runText(local: string, utc: string, zone: string): string {
  const own = momentText(utc)
  const there = `${localText(local)}, ${clocksText(zone)}`
  return localText(local).endsWith(own) ? there : `${there} (${own} by your clock)`
}

function recurringRows(schedule: Schedule): SummaryRow[] {
  const next = schedule.upcoming?.find((run) => run.runs)
  return [
    { name: 'State', value: <ScheduleTag schedule={schedule} /> },
    {
      name: 'Next run',
      value: next
        ? runText(next.local, next.utc, schedule.schedule_config.timezone ?? schedule.timezone)
        : 'None is due',
    },
  ]
}
