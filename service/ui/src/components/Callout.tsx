/** A box that says something beside the page's own matter. */
import type { ReactNode } from 'react'
import styles from './Callout.module.css'

type CalloutProps = {
  look?: 'plain' | 'info' | 'care' | 'bad'
  title?: string
  children?: ReactNode
  /** `alert` is read out at once, `status` when the reader has time. */
  role?: 'alert' | 'status'
  actions?: ReactNode
}

export function Callout({ look = 'plain', title, children, role, actions }: CalloutProps) {
  return (
    <div className={`${styles.callout} ${styles[look] ?? ''}`} role={role}>
      {title && <h2>{title}</h2>}
      {children}
      {actions && <div className="row">{actions}</div>}
    </div>
  )
}

export function CalloutList({ items }: { items: readonly string[] }) {
  return (
    <ul className={styles.list}>
      {items.map((item) => (
        <li key={item}>{item}</li>
      ))}
    </ul>
  )
}
