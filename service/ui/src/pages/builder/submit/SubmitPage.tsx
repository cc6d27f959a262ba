import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from 'react-router'
import { answered, api, writing } from '../../../api/client'
import { useCommand } from '../../../api/command'
import { isProblem } from '../../../api/problems'
import { reportQuery, workflowQuery } from '../../../api/queries'
import type { Report, ScheduleStep } from '../../../api/types'
import { Button, LinkButton } from '../../../components/Button'
import { Callout } from '../../../components/Callout'
import { Summary, type SummaryRow } from '../../../components/Summary'
import { windowText } from '../../../lib/dates'
import { announce } from '../../../shell/announce'
import { counted, SCHEDULE_TYPES } from '../../../words'
import { stepAddress, useBuilder } from '../Builder'
import styles from '../Builder.module.css'
import { clocksText, deed, lookbackText, scheduleText } from '../outline'
import { Refusal } from '../Refusal'

export function Component() {
  const { report, saved, reload } = useBuilder()
  const navigate = useNavigate()
  const client = useQueryClient()
  const workflow = useQuery({
    ...workflowQuery(report.parameters?.workflow_id ?? ''),
    enabled: Boolean(report.parameters),
  })
  const submit = useCommand<{ digest: string; version: number }, Awaited<ReturnType<typeof post>>>(
    (input, key) => post(report.report_id, input, key),
    {
      onSuccess: async (answer) => {
        announce('Submitted')
        const to = answer.collection_id ? `/results/${answer.collection_id}` : `/reports/${report.report_id}`
        await navigate(to, { replace: true, state: { position: answer.position } })
        // Only there: the steps of a report that is submitted lead to its page.
        saved(answer)
      },
      onError: (error) => {
        if (isProblem(error, 'stale', 'version_conflict', 'not_reviewed', 'already_submitted')) void reload()
        else void client.invalidateQueries(reportQuery(report.report_id))
      },
    },
  )
  const { schedule, review, parameters } = report
  if (!schedule || !review || !parameters) return null
  const warnings = review.warnings ?? []
  const go = () => submit.mutate({ digest: review.digest, version: report.version })
  const overtaken = isProblem(submit.error, 'stale', 'version_conflict')
  return (
    <div className={`${styles.form} ${styles.submit}`}>
      {submit.error && (
        <Refusal
          error={submit.error}
          base={`/reports/${report.report_id}`}
          retry={go}
          {...(overtaken
            ? {
                remedy: LOOK_AGAIN,
                actions: <LinkButton to={stepAddress(report, 'review')}>Review again</LinkButton>,
              }
            : {})}
        />
      )}
      <Summary
        title={submit.error ? 'What is to be submitted' : 'Ready to go'}
        rows={[
          { name: 'Report', value: report.name },
          { name: 'Workflow', value: workflow.data?.name ?? parameters.workflow_id },
          { name: 'Kind', value: SCHEDULE_TYPES[schedule.schedule_type].name },
          ...consequences(report, schedule),
        ]}
      />
      {warnings.length > 0 && (
        <Callout>
          <p>
            The review named {counted(warnings.length, 'thing')} to know.{' '}
            <Link to={stepAddress(report, 'review')}>Look at it again</Link>
          </p>
        </Callout>
      )}
      <div className={styles.actions}>
        <Button look="primary" busy={submit.isPending} onClick={go}>
          {deed(schedule)}
        </Button>
        <Link to={stepAddress(report, 'review')}>Back to the review</Link>
      </div>
    </div>
  )
}

/** What happens at once, and what later. */
function consequences(report: Report, schedule: ScheduleStep): SummaryRow[] {
  const { review, parameters } = report
  if (!review || !parameters) return []
  const window = windowText(review.window_start, review.window_end)
  const periods = review.segments > 1 ? `, in ${counted(review.segments, 'period')}` : ''
  const rows: SummaryRow[] = []
  if (schedule.schedule_type !== 'scheduled') rows.push({ name: 'At once', value: `${window}${periods}` })
  if ('schedule_config' in schedule) {
    const clocks = clocksText(schedule.schedule_config.timezone ?? parameters.timezone)
    rows.push({ name: 'Then', value: `${scheduleText(schedule.schedule_config)}, ${clocks}` })
    rows.push({ name: 'Each run fetches', value: lookbackText(parameters.lookback_config) })
  }
  return rows
}

const LOOK_AGAIN = 'Go back to the review, look at how it stands now, and confirm it.'

function post(id: string, { digest, version }: { digest: string; version: number }, key: string) {
  return answered(
    api.POST('/api/reports/{report_id}/submit', {
      params: { path: { report_id: id } },
      headers: writing(key, version),
      body: { digest },
    }),
  )
}
