/** The periods on a calendar, as tables: one mark for each, which says its state by a glyph, a word and a colour. */
import { type KeyboardEvent, memo, useMemo, useRef, useState } from 'react'
import type { Segment } from '../../api/types'
import { counted } from '../../words'
import styles from './Calendar.module.css'
import { type CalendarTable, type Cut, calendarOf, type Slot } from './calendar'
import { countsOf, type PeriodState, stateOf } from './progress'
import { PERIOD_STATES, periodText, stateText } from './words'

type CalendarProps = { segments: readonly Segment[]; cut: Cut; onOpen: (id: string) => void }

export function Calendar({ segments, cut, onOpen }: CalendarProps) {
  const tables = useMemo(() => calendarOf(segments, cut), [segments, cut])
  const box = useRef<HTMLDivElement>(null)
  // One mark is in the order of the Tab key; the arrow keys go from one to the next.
  const [at, setAt] = useState<string | null>(null)
  const current = at ?? tables[0]?.rows[0]?.slots.find((slot) => slot)?.key ?? null

  function move(event: KeyboardEvent) {
    const from = (event.target as HTMLElement).closest('button')
    const buttons = [...(box.current?.querySelectorAll('button') ?? [])]
    const to = from && next(event.key, from, buttons)
    if (!to) return
    event.preventDefault()
    setAt(to.dataset.id ?? null)
    to.focus()
  }
  return (
    <section className="stack" aria-labelledby="calendar-title">
      <div className={styles.head}>
        <h2 id="calendar-title">Calendar</h2>
        <Key segments={segments} />
      </div>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: it listens for the buttons within */}
      <div
        ref={box}
        className={`${styles.tables} ${styles[cut]}`}
        onKeyDown={move}
        onClick={(event) => {
          const id = (event.target as HTMLElement).closest('button')?.dataset.id
          if (!id) return
          setAt(id)
          onOpen(id)
        }}
      >
        {tables.map((table) => (
          <Table key={table.key} table={table} cut={cut} current={current} />
        ))}
      </div>
      <p className="visually-hidden">The arrow keys go from one period to the next, Enter opens it.</p>
    </section>
  )
}

/** Where a key leads: along the row, or to the nearest mark above or below. */
function next(key: string, from: HTMLElement, buttons: HTMLElement[]): HTMLElement | undefined {
  const index = buttons.indexOf(from)
  if (key === 'ArrowRight') return buttons[index + 1]
  if (key === 'ArrowLeft') return buttons[index - 1]
  if (key === 'Home') return buttons[0]
  if (key === 'End') return buttons.at(-1)
  if (key !== 'ArrowDown' && key !== 'ArrowUp') return undefined
  const { left, top } = from.getBoundingClientRect()
  const down = key === 'ArrowDown'
  const beyond = buttons
    .map((button) => ({ button, box: button.getBoundingClientRect() }))
    .filter(({ box }) => (down ? box.top > top + 2 : box.top < top - 2))
    .map(({ button, box }) => ({ button, far: Math.abs(box.top - top) + 3 * Math.abs(box.left - left) }))
  return beyond.sort((a, b) => a.far - b.far)[0]?.button
}

function Key({ segments }: { segments: readonly Segment[] }) {
  const counts = countsOf(segments)
  return (
    <ul className={styles.key} aria-label="Periods by state">
      {(Object.keys(PERIOD_STATES) as PeriodState[])
        .filter((state) => counts.get(state))
        .map((state) => (
          <li key={state}>
            <span className={`${styles.mark} ${styles[state]}`} aria-hidden="true">
              {PERIOD_STATES[state].glyph}
            </span>
            {PERIOD_STATES[state].name} {counts.get(state)?.toLocaleString('en-GB')}
          </li>
        ))}
    </ul>
  )
}

const Table = memo(
  function Table({ table, cut, current }: { table: CalendarTable; cut: Cut; current: string | null }) {
    return (
      <table className={styles.table}>
        <caption className={cut === 'daily' ? styles.caption : 'visually-hidden'}>{table.title}</caption>
        {cut !== 'daily' && (
          <colgroup>
            <col className={styles.names} />
          </colgroup>
        )}
        <thead className={cut === 'daily' ? undefined : 'visually-hidden'}>
          <tr>
            {cut !== 'daily' && <th scope="col">{cut === 'weekly' ? 'Month' : 'Quarter'}</th>}
            {table.columns.map((column) => (
              <th key={column} scope="col">
                {cut === 'daily' ? <abbr title={column}>{column.slice(0, 2)}</abbr> : column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.map((row, number) => (
            <tr key={row.slots.find((slot) => slot)?.key ?? number}>
              {row.name && (
                <th scope="row" className={styles.name}>
                  {row.name}
                </th>
              )}
              {row.slots.map((slot, column) => (
                <td key={table.columns[column]}>
                  {slot && <Mark slot={slot} cut={cut} inOrder={slot.key === current} />}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    )
  },
  (a, b) => a.cut === b.cut && same(a.table, b.table) && holds(a.table, a.current) === holds(b.table, b.current),
)

const holds = (table: CalendarTable, key: string | null) =>
  table.rows.some((row) => row.slots.some((slot) => slot?.key === key)) ? key : null

/** Segments that did not change are the same objects: a table of these is not drawn again. */
function same(a: CalendarTable, b: CalendarTable): boolean {
  if (a.key !== b.key || a.rows.length !== b.rows.length) return false
  return a.rows.every((row, index) => {
    const other = b.rows[index]?.slots ?? []
    return row.slots.length === other.length && row.slots.every((slot, at) => sameSlot(slot, other[at] ?? null))
  })
}

const sameSlot = (a: Slot | null, b: Slot | null) =>
  a?.segment === b?.segment &&
  (a?.pieces.length ?? 0) === (b?.pieces.length ?? 0) &&
  (a?.pieces ?? []).every((piece, index) => piece === b?.pieces[index])

const Mark = memo(
  function Mark({ slot, cut, inOrder }: { slot: Slot; cut: Cut; inOrder: boolean }) {
    const { segment, pieces } = slot
    const state = shownState(slot)
    const cutUp = pieces.length > 0 ? `, in ${counted(pieces.length, 'piece')}` : ''
    return (
      <button
        type="button"
        data-id={segment.segment_id}
        tabIndex={inOrder ? 0 : -1}
        className={`${styles.mark} ${styles[state]}`}
        title={`${periodText(segment)}: ${pieces.length ? PERIOD_STATES[state].name : stateText(segment)}${cutUp}`}
      >
        <span aria-hidden="true" className={styles.when}>
          {whenText(segment, cut)}
        </span>
        <span aria-hidden="true" className={styles.glyph}>
          {PERIOD_STATES[state].glyph}
        </span>
        <span className="visually-hidden">
          {periodText(segment)}: {pieces.length ? PERIOD_STATES[state].name : stateText(segment)}
          {cutUp}
        </span>
      </button>
    )
  },
  (a, b) => a.cut === b.cut && a.inOrder === b.inOrder && sameSlot(a.slot, b.slot),
)

const WORST: readonly PeriodState[] = ['failed', 'stuck', 'retry', 'work', 'turn', 'cancelled', 'provisional', 'done']

/** Of one that was cut into pieces, the state that asks for a look before the others. */
function shownState({ segment, pieces }: Slot): PeriodState {
  const states = pieces.map(stateOf)
  return WORST.find((state) => states.includes(state)) ?? stateOf(segment)
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

function whenText({ week_start: start, week_end: end }: Segment, cut: Cut): string {
  const day = (date: string) => String(Number(date.slice(8)))
  if (cut === 'daily') return day(start)
  if (cut === 'monthly') return MONTHS[Number(start.slice(5, 7)) - 1] ?? ''
  return start === end ? day(start) : `${day(start)}–${day(end)}`
}
