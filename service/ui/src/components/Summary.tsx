/** Names and values, as a review shows them, with a way to change them. */
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import styles from './Summary.module.css'

export type SummaryRow = { name: string; value: ReactNode }

type SummaryProps = {
  title: string
  rows: readonly SummaryRow[]
  /** Where it is changed. */
  change?: string
  /** Where there is more of it, and what that is called. */
  more?: { to: string; name: string }
}

export function Summary({ title, rows, change, more }: SummaryProps) {
  return (
    <section className={styles.section}>
      <div className={styles.head}>
        <h2>{title}</h2>
        {change && (
          <Link to={change}>
            Change<span className="visually-hidden"> {title.toLowerCase()}</span>
          </Link>
        )}
        {more && <Link to={more.to}>{more.name}</Link>}
      </div>
      <dl className={styles.list}>
        {rows.map((row) => (
          <SummaryLine key={row.name} {...row} />
        ))}
      </dl>
    </section>
  )
}

function SummaryLine({ name, value }: SummaryRow) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  )
}
