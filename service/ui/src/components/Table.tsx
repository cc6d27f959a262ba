/** A list as a table; on narrow screens each row is a block of its own, with the names of its columns beside the values. */
import type { ReactNode } from 'react'
import styles from './Table.module.css'

export type Column<Row> = {
  name: string
  cell: (row: Row) => ReactNode
  /** What the row is known by: it comes first, and heads the block. */
  main?: true
  numeric?: true
  /** Its name is read out alone: what is in it speaks for itself. */
  unnamed?: true
}

type TableProps<Row> = {
  /** What the table is of, for those who do not see what stands above it. */
  caption: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  keyOf: (row: Row) => string
}

export function Table<Row>({ caption, columns, rows, keyOf }: TableProps<Row>) {
  return (
    <div className={styles.box}>
      {/* As blocks it would be no table to a screen reader any more, but for its roles. */}
      {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
      <table className={styles.table} role="table">
        <caption className="visually-hidden">{caption}</caption>
        {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
        <thead role="rowgroup">
          {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
          <tr role="row">
            {columns.map(({ name, numeric, unnamed }) => (
              // biome-ignore lint/a11y/noRedundantRoles: see above
              <th key={name} scope="col" role="columnheader" className={numeric ? styles.numeric : undefined}>
                {unnamed ? <span className="visually-hidden">{name}</span> : name}
              </th>
            ))}
          </tr>
        </thead>
        {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
        <tbody role="rowgroup">
          {rows.map((row) => (
            // biome-ignore lint/a11y/noRedundantRoles: see above
            <tr key={keyOf(row)} role="row">
              {columns.map(({ name, cell, main, numeric, unnamed }) => {
                const looks = [main && styles.main, numeric && styles.numeric, unnamed && styles.unnamed]
                const className = looks.filter(Boolean).join(' ')
                return main ? (
                  // biome-ignore lint/a11y/noRedundantRoles: see above
                  <th key={name} scope="row" role="rowheader" className={className}>
                    {cell(row)}
                  </th>
                ) : (
                  // biome-ignore lint/a11y/noRedundantRoles: see above
                  <td key={name} role="cell" className={className}>
                    <span className={styles.label} aria-hidden="true">
                      {name}
                    </span>
                    <div className={styles.value}>{cell(row)}</div>
                  </td>
                )
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Where there is no value: a dash to see, a word to hear. */
export function Nothing({ children = 'None' }: { children?: string }) {
  return (
    <span className="muted">
      <span aria-hidden="true">–</span>
      <span className="visually-hidden">{children}</span>
    </span>
  )
}
