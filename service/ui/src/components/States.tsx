/** How a page, or a part of one, looks while there is nothing to show: loading, empty, failed, not allowed. */
import type { ReactNode } from 'react'
import { told } from '../api/problem-words'
import { isProblem } from '../api/problems'
import { Button } from './Button'
import { Callout } from './Callout'
import styles from './States.module.css'

/** While something is read. It appears late enough not to flicker. */
export function Loading({ lines = 5, what = 'Loading' }: { lines?: number; what?: string }) {
  return (
    <div className={styles.skeleton} role="status">
      <span className="visually-hidden">{what} …</span>
      {Array.from({ length: lines }, (_, line) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the lines are all alike
        <span key={line} aria-hidden="true" />
      ))}
    </div>
  )
}

/** There is nothing yet, and this is how it comes to be. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className={styles.state}>
      <h2>{title}</h2>
      {children}
      {action}
    </div>
  )
}

/** One may see it, and not do it. */
export function NotAllowed({ what, actions }: { what: string; actions?: ReactNode }) {
  return (
    <Callout title="You are not allowed to do this" actions={actions}>
      <p>Ask an administrator of your team for the right to {what}.</p>
    </Callout>
  )
}

type FailedProps = {
  error: unknown
  retry?: () => void
  /** In the place of the words that the error has in general. */
  remedy?: string
  actions?: ReactNode
  /** What it is about, one by one. */
  children?: ReactNode
}

/** Something has failed: what, why, and what to do about it. */
export function Failed({ error, retry, remedy, actions, children }: FailedProps) {
  const words = told(error)
  const allowed = !isProblem(error, 'forbidden', 'not_found')
  return (
    <Callout
      look={allowed ? 'bad' : 'plain'}
      role="alert"
      title={words.title}
      actions={
        (retry && allowed) || actions ? (
          <>
            {retry && allowed && <Button onClick={retry}>Try again</Button>}
            {actions}
          </>
        ) : undefined
      }
    >
      {words.detail && <p>{words.detail}</p>}
      {children}
      <p>{remedy ?? words.remedy}</p>
      {words.reference && <p className={styles.reference}>{words.reference}</p>}
    </Callout>
  )
}
