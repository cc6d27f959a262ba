/** Something to decide before one goes on: over the page, which waits meanwhile. */
import { type FormEvent, type ReactNode, useId, useLayoutEffect, useRef } from 'react'
import { Button } from './Button'
import styles from './Dialog.module.css'
import { Failed } from './States'

type DialogProps = {
  title: string
  children?: ReactNode
  /** What its button does, as a verb. */
  act: string
  /** It cannot be undone: the button says so by its colour. */
  final?: boolean
  /** What leaves things as they are. */
  leave?: string
  busy: boolean
  error?: unknown
  onAct: () => void
  onClose: () => void
}

/** It is there as long as it is rendered. The browser keeps the focus within, and gives it back at the end. */
export function Dialog({ title, children, act, final, leave = 'Cancel', busy, error, onAct, onClose }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  // Before it is taken away: one that is no longer there does not give the focus back.
  useLayoutEffect(() => {
    const shown = dialog.current
    shown?.showModal()
    return () => shown?.close()
  }, [])
  function submit(event: FormEvent) {
    event.preventDefault()
    if (!busy) onAct()
  }
  return (
    <dialog
      ref={dialog}
      className={styles.dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
    >
      <form className="stack" onSubmit={submit} noValidate>
        <h2 id={id}>{title}</h2>
        {children}
        {Boolean(error) && <Failed error={error} />}
        <div className="row">
          <Button type="submit" look={final ? 'final' : 'primary'} busy={busy}>
            {act}
          </Button>
          <Button look="quiet" onClick={onClose}>
            {leave}
          </Button>
        </div>
      </form>
    </dialog>
  )
}
