/** What the forms of the first two steps share: their errors, what was restored, what somebody else has changed. */
import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react'
import { FieldErrors, isProblem } from '../../api/problems'
import { Button } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { ErrorSummary, type NamedField } from '../../components/ErrorSummary'
import type { Kept } from '../../lib/drafts'
import styles from './Builder.module.css'
import { Refusal } from './Refusal'

type StepFormProps = {
  draft: Pick<Kept<object>, 'restored' | 'overtaken' | 'told' | 'tell'>
  /** Takes what is saved in the place of what was typed. */
  onDiscard: () => void
  onSave: () => void
  saving: boolean
  error: unknown
  errors: FieldErrors
  fields: readonly NamedField[]
  children: ReactNode
  aside?: ReactNode
  back?: ReactNode
  /** The report's address, for what leads on from a refusal. */
  base?: string
  /** What is changed, where it is not a report. */
  what?: string
  /** The name of the button. */
  save?: string
}

export function StepForm(props: StepFormProps) {
  const {
    draft,
    onDiscard,
    onSave,
    saving,
    error,
    errors,
    fields,
    children,
    aside,
    back,
    base,
    what = 'report',
    save = 'Save and continue',
  } = props
  const stale = isProblem(error, 'stale', 'version_conflict')
  const id = useId()
  const [attempt, setAttempt] = useState(0)
  function submit(event: FormEvent) {
    event.preventDefault()
    if (saving) return
    draft.tell()
    if (draft.overtaken && !draft.told) return
    setAttempt(attempt + 1)
    onSave()
  }
  return (
    <div className={`${styles.layout} ${aside ? styles.split : ''}`}>
      <form id={id} className={styles.form} onSubmit={submit} noValidate>
        <Notices {...{ draft, onDiscard, onSave, saving, stale, what }} />
        <ErrorSummary errors={errors} fields={fields} refusal={error ?? attempt} />
        {Boolean(error) && !stale && errors.all.length === 0 && FieldErrors.of(error).all.length === 0 && (
          <Refusal error={error} retry={onSave} {...(base ? { base } : {})} />
        )}
        {children}
      </form>
      {aside}
      <div className={styles.actions}>
        <Button type="submit" form={id} look="primary" busy={saving}>
          {save}
        </Button>
        {back}
      </div>
    </div>
  )
}

type NoticesProps = Pick<StepFormProps, 'draft' | 'onDiscard' | 'onSave' | 'saving'> & { stale: boolean; what: string }

function Notices({ draft, onDiscard, onSave, saving, stale, what }: NoticesProps) {
  const box = useRef<HTMLDivElement>(null)
  const told = stale || (draft.overtaken && draft.told)
  useEffect(() => {
    if (told) box.current?.focus()
  }, [told])
  if (stale || draft.overtaken) {
    return (
      <div ref={box} tabIndex={-1}>
        <Callout
          look="care"
          role="alert"
          title={`Someone else changed this ${what} in the meantime`}
          actions={
            <>
              <Button onClick={onDiscard}>Take their version</Button>
              {told && (
                <Button look="quiet" busy={saving} onClick={onSave}>
                  Save mine over it
                </Button>
              )}
            </>
          }
        >
          <p>What you typed is still here, and not saved yet. Take their version, or save yours in its place.</p>
        </Callout>
      </div>
    )
  }
  if (!draft.restored) return null
  return (
    <Callout look="info" actions={<Button onClick={onDiscard}>Discard them</Button>}>
      <p>Your unsaved changes are here again.</p>
    </Callout>
  )
}
