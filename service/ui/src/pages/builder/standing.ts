/** What of a refusal still stands while its form is corrected. */
import { FieldErrors } from '../../api/problems'

/**
 * A problem goes with the first change of what it is about: of a parameter's value, or of any other part of the step. `sent`
 * is the step that was refused, `now` the step as it stands, null while it cannot be read.
 */
export function standing(error: unknown, sent: object | undefined, now: object | null): FieldErrors {
  const refused = FieldErrors.of(error)
  if (!sent) return refused
  return new FieldErrors(
    refused.all.filter(({ pointer }) => now !== null && told(sent, pointer) === told(now, pointer)),
  )
}

/** What the pointer is about, as text. */
function told(step: object, pointer: string): string {
  const [part, name] = pointer.split('/').slice(1)
  if (!part) return JSON.stringify(step)
  const values = step as Record<string, unknown>
  // Which days there are, the instance and its clocks tell.
  if (part === 'lookback_config') return JSON.stringify([values.instance_id, values.timezone, values[part]])
  if (part !== 'parameters' || !name) return JSON.stringify(values[part]) ?? ''
  // Of the same name in another workflow is another parameter.
  const parameters = values[part] as Record<string, unknown> | undefined
  return JSON.stringify([values.workflow_id, parameters?.[name]])
}
