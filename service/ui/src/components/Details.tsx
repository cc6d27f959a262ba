/** What is there for whoever wants it, and folded away for the rest. */
import { type ReactNode, useEffect, useState } from 'react'
import styles from './Details.module.css'

export function Details({
  summary,
  children,
  open: first = false,
  wrong = false,
}: {
  summary: ReactNode
  children: ReactNode
  open?: boolean
  /** Something in it needs another look: it opens, and stays where it can be found if it is closed again. */
  wrong?: boolean
}) {
  const [open, setOpen] = useState(first || wrong)
  useEffect(() => {
    if (wrong) setOpen(true)
  }, [wrong])
  return (
    <details className={styles.details} open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{summary}</summary>
      {(open || wrong) && <div className="stack">{children}</div>}
    </details>
  )
}
