import type { FieldErrors } from '../../../api/problems'
import type { ScheduleDraft } from './draft'

/** What the parts of the second step's form share. */
export type FormPart = {
  values: ScheduleDraft
  change: (changed: Partial<ScheduleDraft>) => void
  /** What is said of a field, as a sentence. */
  error: (pointer: string) => string | undefined
  errors: FieldErrors
}
