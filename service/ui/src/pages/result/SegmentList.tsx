/** The periods as a list: sorted by a click on a column's name, filtered by state and by what is typed. */
import { memo, useDeferredValue, useMemo, useState } from 'react'
import type { Segment } from '../../api/types'
import { Button } from '../../components/Button'
import { TextInput } from '../../components/Field'
import { Select } from '../../components/Select'
import { Tag } from '../../components/Tag'
import { durationText } from '../../lib/dates'
import { counted } from '../../words'
import { type Column, filtered, type Order, ordered, tookSeconds } from './list'
import { countsOf, type PeriodState, stateOf } from './progress'
import styles from './SegmentList.module.css'
import { LOOKS, PERIOD_STATES, periodText, stateText } from './words'

const SHOWN = 15
const NAMES: Record<Column, string> = {
  period: 'Period',
  state: 'State',
  rows: 'Rows',
  attempts: 'Attempts',
  took: 'Took',
}

export function SegmentList({ segments, onOpen }: { segments: readonly Segment[]; onOpen: (id: string) => void }) {
  const [state, setState] = useState<PeriodState | 'all'>('all')
  const [typed, setTyped] = useState('')
  const [order, setOrder] = useState<Order>({ by: 'period', descending: true })
  const [all, setAll] = useState(false)
  // A list that is long waits while somebody types or clicks.
  const deferred = useDeferredValue(segments)
  const found = useMemo(() => ordered(filtered(deferred, state, typed), order), [deferred, state, typed, order])
  const counts = countsOf(deferred)
  const states = (Object.keys(PERIOD_STATES) as PeriodState[]).filter((each) => counts.get(each) || each === state)
  const shown = all ? found : found.slice(0, SHOWN)
  return (
    <section className="stack" aria-labelledby="periods-title">
      <div className={styles.head}>
        <h2 id="periods-title">Periods</h2>
        <div className={styles.filters}>
          <Select
            label="State"
            items={[
              { id: 'all', name: `All, ${deferred.length.toLocaleString('en-GB')}` },
              ...states.map((each) => ({ id: each, name: `${PERIOD_STATES[each].name}, ${counts.get(each) ?? 0}` })),
            ]}
            value={state}
            onChange={(each) => setState(each as PeriodState | 'all')}
          />
          <div className={styles.narrow}>
            <Select
              label="Order"
              items={ORDERS_SHOWN}
              value={`${order.by} ${order.descending ? 'down' : 'up'}`}
              onChange={(each) => {
                const [by, way] = each.split(' ')
                setOrder({ by: by as Column, descending: way === 'down' })
              }}
            />
          </div>
          <TextInput label="Find" placeholder="A day, an execution, an error" value={typed} onChange={setTyped} />
        </div>
      </div>
      {found.length === 0 ? (
        <p className="muted">
          No period is like this.{' '}
          <Button
            look="quiet"
            onClick={() => {
              setState('all')
              setTyped('')
            }}
          >
            Show all
          </Button>
        </p>
      ) : (
        <div className={styles.table}>
          {/* As blocks it would be no table to a screen reader any more, but for its roles. */}
          {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
          <table role="table">
            <caption className="visually-hidden">
              {counted(found.length, 'period')}, sorted by {NAMES[order.by].toLowerCase()}
            </caption>
            {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
            <thead role="rowgroup">
              {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
              <tr role="row">
                {(Object.keys(NAMES) as Column[]).map((column) => (
                  <Head key={column} column={column} order={order} onOrder={setOrder} />
                ))}
                {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
                <th scope="col" role="columnheader">
                  Message
                </th>
              </tr>
            </thead>
            {/* biome-ignore lint/a11y/noRedundantRoles: see above */}
            <tbody role="rowgroup">
              {shown.map((segment) => (
                <Row key={segment.segment_id} segment={segment} onOpen={onOpen} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {found.length > shown.length && (
        <div>
          <Button onClick={() => setAll(true)}>Show all {counted(found.length, 'period')}</Button>
        </div>
      )}
    </section>
  )
}

/** For where the columns have no heads to click. */
const ORDERS_SHOWN = [
  { id: 'period down', name: 'Newest first' },
  { id: 'period up', name: 'Oldest first' },
  { id: 'state up', name: 'What asks for a look first' },
  { id: 'state down', name: 'What asks for a look last' },
  { id: 'rows down', name: 'Most rows first' },
  { id: 'rows up', name: 'Fewest rows first' },
  { id: 'attempts down', name: 'Most attempts first' },
  { id: 'attempts up', name: 'Fewest attempts first' },
  { id: 'took down', name: 'Longest first' },
  { id: 'took up', name: 'Shortest first' },
]

type HeadProps = { column: Column; order: Order; onOrder: (order: Order) => void }

function Head({ column, order, onOrder }: HeadProps) {
  const sorted = order.by === column
  const number = column === 'rows' || column === 'attempts' || column === 'took'
  return (
    <th
      scope="col"
      // biome-ignore lint/a11y/noRedundantRoles: see the table
      role="columnheader"
      aria-label={NAMES[column]}
      className={number ? styles.number : undefined}
      aria-sort={sorted ? (order.descending ? 'descending' : 'ascending') : undefined}
    >
      <button
        type="button"
        className={styles.sort}
        onClick={() => onOrder({ by: column, descending: sorted ? !order.descending : number || column === 'period' })}
      >
        {NAMES[column]}
        <span aria-hidden="true">{sorted ? (order.descending ? '↓' : '↑') : '↕'}</span>
      </button>
    </th>
  )
}

const Row = memo(function Row({ segment, onOpen }: { segment: Segment; onOpen: (id: string) => void }) {
  const took = tookSeconds(segment)
  return (
    // biome-ignore lint/a11y/noRedundantRoles: see the table
    <tr role="row">
      {/* biome-ignore lint/a11y/noRedundantRoles: see the table */}
      <td role="cell" className={styles.name}>
        <button type="button" className={styles.open} onClick={() => onOpen(segment.segment_id)}>
          {periodText(segment)}
        </button>
      </td>
      {/* biome-ignore lint/a11y/noRedundantRoles: see the table */}
      <td role="cell">
        <Tag look={LOOKS[stateOf(segment)]}>{stateText(segment)}</Tag>
      </td>
      {/* biome-ignore lint/a11y/noRedundantRoles: see the table */}
      <td role="cell" className={styles.number} data-name="Rows">
        {segment.row_count === null ? '–' : segment.row_count.toLocaleString('en-GB')}
      </td>
      {/* biome-ignore lint/a11y/noRedundantRoles: see the table */}
      <td role="cell" className={styles.number} data-name="Attempts">
        {segment.attempts}
      </td>
      {/* biome-ignore lint/a11y/noRedundantRoles: see the table */}
      <td role="cell" className={styles.number} data-name="Took">
        {took === null ? '–' : durationText(took)}
      </td>
      {/* biome-ignore lint/a11y/noRedundantRoles: see the table */}
      <td role="cell" className={styles.says}>
        {segment.error}
      </td>
    </tr>
  )
})
