/** A step that was refused: what happened, each thing to correct with a link to where, and what leads on. */
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { access } from '../../api/client'
import { FieldErrors, isPassing, isProblem } from '../../api/problems'
import { Button, LinkButton } from '../../components/Button'
import { type NamedField, summarised } from '../../components/ErrorSummary'
import { Failed } from '../../components/States'

type Refusing = {
  error: unknown
  /** The report's address, where there is a report yet. */
  base?: string
  /** Sends the same again. */
  retry?: () => void
  /** In the place of the code's own remedy. */
  remedy?: string
  actions?: ReactNode
  /** What a one-call route answers of both steps has their names before it. */
  oneCall?: boolean
}

export function Refusal({ error, base, retry, remedy, actions, oneCall = false }: Refusing) {
  const again = retry && (isPassing(error) || isProblem(error, ...WORTH_ANOTHER_TRY))
  const lines = summarised(FieldErrors.of(error), base ? fieldsElsewhere(base, oneCall) : [])
  return (
    <Failed
      error={error}
      {...(remedy ? { remedy } : {})}
      {...(again ? { retry } : {})}
      actions={actions ?? <Remedies error={error} {...(base ? { base } : {})} />}
    >
      {lines.length > 0 && (
        <ul>
          {lines.map(({ field, text }) => (
            <li key={text}>{field?.to ? <Link to={field.to}>{text}</Link> : text}</li>
          ))}
        </ul>
      )}
    </Failed>
  )
}

const WORTH_ANOTHER_TRY = ['internal', 'half_known', 'amazon_unavailable', 'amazon_refused'] as const

/** What a report's steps ask for, with the step where it is changed. */
export function fieldsElsewhere(base: string, oneCall = false): NamedField[] {
  const [first, second] = oneCall ? ['/parameters', '/schedule'] : ['', '']
  const parameters = { to: `${base}/parameters` }
  const schedule = { to: `${base}/schedule` }
  return [
    { pointer: `${first}/workflow_id`, name: 'Workflow', ...parameters },
    { pointer: `${first}/instance_id`, name: 'Instance', ...parameters },
    { pointer: `${first}/parameters`, name: 'Parameters', ...parameters },
    { pointer: `${first}/lookback_config`, name: 'Window of each run', ...parameters },
    { pointer: `${first}/timezone`, name: 'Time zone', ...parameters },
    // At the schedule as a whole stands that the window of its runs does not suit it.
    { pointer: `${second}/schedule_config`, exact: true, name: 'Window of each run', ...parameters },
    { pointer: `${second}/schedule_config`, name: 'Schedule', ...schedule },
    { pointer: `${second}/backfill_config`, name: 'History', ...schedule },
    { pointer: `${second}/segmentation_config`, name: 'Periods', ...schedule },
    { pointer: '/as_of', name: 'Day', to: `${base}/review` },
  ]
}

/** What leads on, beside the words. */
export function Remedies({ error, base }: { error: unknown; base?: string }) {
  if (isProblem(error, 'duplicate_schedule')) {
    const { schedule_id: id } = error.extra
    return (
      <>
        {typeof id === 'string' && <LinkButton to={`/schedules/${id}`}>Open that schedule</LinkButton>}
        {base && <LinkButton to={`${base}/schedule`}>Change the schedule</LinkButton>}
      </>
    )
  }
  if (isProblem(error, 'too_many_backfills'))
    return <LinkButton to="/results?status=in_progress">See what runs</LinkButton>
  if (isProblem(error, 'too_many_schedules'))
    return <LinkButton to="/schedules?status=active">See the active schedules</LinkButton>
  if (isProblem(error, 'account_held')) return <LinkButton to="/instances">See the accounts</LinkButton>
  if (isProblem(error, 'person_erased')) {
    return <Button onClick={() => access.set({ ...access.get(), signedOut: true })}>Sign in again</Button>
  }
  if (isProblem(error, 'idempotency_key_reused', 'csrf_token_wrong')) {
    return <Button onClick={() => window.location.reload()}>Reload the page</Button>
  }
  if (!base) return null
  if (isProblem(error, 'personal_values_erased', 'step_missing')) {
    const missing = isProblem(error, 'step_missing') ? missingStep(error.extra.missing) : 'parameters'
    return <LinkButton to={`${base}/${missing}`}>Go to the {missing}</LinkButton>
  }
  if (isProblem(error, 'not_reviewed')) return <LinkButton to={`${base}/review`}>Review again</LinkButton>
  if (isProblem(error, 'already_submitted')) return <LinkButton to={base}>Open the report</LinkButton>
  if (isProblem(error, 'not_found')) return <LinkButton to="/reports">All reports</LinkButton>
  return null
}

function missingStep(missing: unknown): string {
  const first: unknown = Array.isArray(missing) ? missing[0] : null
  return first === 'schedule' ? 'schedule' : 'parameters'
}
