/** SQL to be read: coloured, and with the values marked that were filled in. */
import { useMemo } from 'react'
import { marked, type Span } from '../lib/sql'
import styles from './Sql.module.css'

export function Sql({ sql, spans = [], label = 'SQL' }: { sql: string; spans?: readonly Span[]; label?: string }) {
  const parts = useMemo(() => marked(sql, spans), [sql, spans])
  let key = 0
  const shown = parts.map((part) => {
    const inner = part.pieces.map((piece) =>
      piece.kind === 'plain' ? (
        piece.text
      ) : (
        <span key={key++} className={styles[piece.kind]}>
          {piece.text}
        </span>
      ),
    )
    return part.name === null ? (
      inner
    ) : (
      <mark key={key++} title={part.name}>
        {inner}
      </mark>
    )
  })
  return (
    // It scrolls, so that it must be reached by keyboard.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
    <section aria-label={label} tabIndex={0} className={styles.sql}>
      <code>{shown}</code>
    </section>
  )
}
