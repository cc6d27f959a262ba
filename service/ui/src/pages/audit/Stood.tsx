/** How a thing stood at a moment of its history. */
import { useState } from 'react'
import type { ThingState } from '../../api/types'
import { Button } from '../../components/Button'
import { Details } from '../../components/Details'
import { preciseText, rangeText } from '../../lib/dates'
import { LOCALE } from '../../lib/locale'
import { counted } from '../../words'
import styles from './Audit.module.css'
import { Rows } from './Values'
import { eventText, TABLES, valueText } from './words'

type Row = ThingState['rows'][string][number]

/** `Period 1 to 7 March 2026` */
export function rowText(table: string, row: Row): string {
  const name = TABLES[table]?.name ?? table
  if (typeof row.week_start === 'string' && typeof row.week_end === 'string') {
    return `${name} ${rangeText(row.week_start, row.week_end)}`
  }
  if (typeof row.nominal === 'string') return `${name} of ${row.nominal.slice(0, 16).replace('T', ', ')}`
  if (table === 'instance_grants' && typeof row.team_id === 'string') return `${name} to ${row.team_id}`
  return name
}

/** What says only which thing it is goes without saying. */
function without(row: Row, id: string): Row {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== id))
}

const LEFT_OUT = ['stream_version', 'updated_at', 'team_id']

/** How it stood: what lists have of it, then what each step or event last said. */
export function Stood({ state }: { state: ThingState }) {
  const tables = Object.entries(state.rows).filter(([, rows]) => rows.length > 0)
  const [main, ...others] = tables
  const id = state.stream.slice(state.stream.indexOf('-') + 1)
  return (
    <section className="stack" aria-labelledby="stood">
      <div className="stack-small">
        <h2 id="stood">How it stood</h2>
        <p className="muted">When event {state.position.toLocaleString(LOCALE)} was the last one of the whole log.</p>
      </div>
      {main && (
        <div className={styles.group}>
          <h3>{TABLES[main[0]]?.name ?? main[0]}</h3>
          {main[1].map((row) => (
            <Rows key={JSON.stringify(row)} fields={without(row, id)} leave={LEFT_OUT} />
          ))}
        </div>
      )}
      {state.latest.map((event) => (
        <Details
          key={event.event_type}
          open={event.event_type in SHOWN}
          summary={`${eventText(event.event_type)}, ${preciseText(event.recorded_at)}`}
        >
          <Rows fields={event.configuration} />
        </Details>
      ))}
      {others.map(([table, rows]) => (
        <Others key={table} table={table} rows={rows} />
      ))}
    </section>
  )
}

/** Events whose content is what the thing is. */
const SHOWN: Record<string, true> = { 'report.parameters_set': true, 'report.schedule_set': true }

const AT_ONCE = 20

function Others({ table, rows }: { table: string; rows: readonly Row[] }) {
  const [shown, setShown] = useState(AT_ONCE)
  if (rows.length === 1 && rows[0]) {
    return (
      <Details summary={rowText(table, rows[0])}>
        <Rows fields={rows[0]} leave={LEFT_OUT} />
      </Details>
    )
  }
  return (
    <Details summary={counted(rows.length, (TABLES[table]?.name ?? table).toLowerCase())}>
      {rows.slice(0, shown).map((row) => (
        <Details key={JSON.stringify(row)} summary={rowSummary(table, row)}>
          <Rows fields={row} leave={LEFT_OUT} />
        </Details>
      ))}
      {rows.length > shown && (
        <div>
          <Button onClick={() => setShown((before) => before + 100)}>Show more</Button>
        </div>
      )}
    </Details>
  )
}

function rowSummary(table: string, row: Row): string {
  return typeof row.status === 'string'
    ? `${rowText(table, row)}: ${valueText('status', row.status).toLowerCase()}`
    : rowText(table, row)
}
