/** Values of the log for people: rows of names and values, and what is different between two moments. */
import { useQuery } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext } from 'react'
import { Link } from 'react-router'
import { nameQuery } from '../../api/queries'
import type { Lookback } from '../../api/types'
import { Details } from '../../components/Details'
import { Nothing } from '../../components/Table'
import { activityAddress } from '../../lib/addresses'
import { dateText, preciseText } from '../../lib/dates'
import { counted } from '../../words'
import { lookbackText } from '../builder/outline'
import styles from './Audit.module.css'
import { type Difference, isFields, isNothing, listChange } from './differences'
import { useOurs } from './teams'
import { numberText, pathText, valueText } from './words'

const SHOWN = 5
const LONG = 300
const DAY = /^\d{4}-\d\d-\d\d$/
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/
const SEALED = /^~p\d\./
const STREAMS: Record<string, string> = {
  report_id: 'report',
  collection_id: 'collection',
  segment_id: 'segment',
  schedule_id: 'schedule',
  workflow_id: 'workflow',
  instance_id: 'instance',
}

/** One value. `name` is that of its field, which says what ids and words of the API mean. */
export function Value({ name, value }: { name?: string | undefined; value: unknown }): ReactNode {
  if (isNothing(value)) return <Nothing />
  if (typeof value === 'boolean') return value ? 'Yes' : 'No'
  if (typeof value === 'number') return numberText(name, value)
  if (Array.isArray(value)) return <List values={value} />
  if (typeof value !== 'string') return <Json value={value} />
  const category = name && STREAMS[name]
  if (category) return <Thing stream={`${category}-${value}`} />
  if (name === 'user_id') return <Person id={value} />
  if (SEALED.test(value)) return <span className="muted">A personal text, sealed</span>
  if (DAY.test(value)) return dateText(value)
  if (MOMENT.test(value) && /(Z|[+-]\d\d:\d\d)$/.test(value)) return preciseText(value)
  if (value.includes('\n') || value.length > LONG) return <Long text={value} name={name} />
  return valueText(name, value)
}

/** What persons are called, by their ids, as far as the page knows. */
export const Persons = createContext<ReadonlyMap<string | null, string>>(new Map())

function Person({ id }: { id: string }) {
  return useContext(Persons).get(id) ?? `Person ${shortId(id)}`
}

function List({ values }: { values: readonly unknown[] }) {
  if (values.some((each) => typeof each === 'object')) return <Json value={values} />
  const more = values.length - SHOWN
  return (
    <>
      {values.slice(0, SHOWN).map(String).join(', ')}
      {more > 0 && (
        <Details summary={`and ${counted(more, 'more value', 'more values')}`}>
          <p className={styles.many}>{values.slice(SHOWN).map(String).join(', ')}</p>
        </Details>
      )}
    </>
  )
}

function Long({ text, name }: { text: string; name: string | undefined }) {
  return (
    <Details summary={`${text.replaceAll(/\s+/g, ' ').slice(0, 60)} …`}>
      <Code text={text} label={name ?? 'Text'} />
    </Details>
  )
}

/** Text as it is, which scrolls. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    // It scrolls, so that it must be reached by keyboard.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
    <section aria-label={label} tabIndex={0} className={styles.code}>
      <pre>{text}</pre>
    </section>
  )
}

export function Json({ value, label = 'JSON' }: { value: unknown; label?: string }) {
  return <Code text={JSON.stringify(value, null, 2)} label={label} />
}

type ThingProps = { stream: string; named?: string; team?: string }

/** A thing by its name, or that of what it is a part of, with a link to what has happened to it. Those of other teams have
 * no name for one. */
export function Thing({ stream, named = stream, team }: ThingProps) {
  const ours = useOurs(team)
  const name = useQuery({ ...nameQuery(named), enabled: team === undefined || ours })
  const id = stream.slice(stream.indexOf('-') + 1)
  return (
    <Link to={activityAddress(stream)} className={styles.thing}>
      {name.data ?? shortId(id)}
    </Link>
  )
}

/** Enough of an id to tell it from others. */
export function shortId(id: string): string {
  return /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(id) ? `…${id.slice(-8)}` : id
}

type Fields = Record<string, unknown>

/** Names and values; what is in each other on one line each. */
export function Rows({ fields, leave = [] }: { fields: Fields; leave?: readonly string[] }) {
  const rows = flat(fields).filter(({ path }) => !leave.includes(path[0] ?? ''))
  if (rows.length === 0) return <p className="muted">Nothing is in it.</p>
  return (
    <dl className={styles.rows}>
      {rows.map(({ path, value }) => (
        <div key={path.join('.')}>
          <dt>{pathText(path)}</dt>
          <dd>
            {path[path.length - 1] === 'lookback_config' ? (
              lookbackText(value as Lookback)
            ) : (
              <Value name={path[path.length - 1]} value={value} />
            )}
          </dd>
        </div>
      ))}
    </dl>
  )
}

function flat(fields: Fields, path: string[] = []): { path: string[]; value: unknown }[] {
  return Object.entries(fields).flatMap(([name, value]) => {
    if (isNothing(value)) return []
    if (isFields(value) && name !== 'lookback_config') return flat(value, [...path, name])
    return [{ path: [...path, name], value }]
  })
}

const SIGNS = {
  added: { glyph: '+', word: 'Added' },
  changed: { glyph: '±', word: 'Changed' },
  removed: { glyph: '−', word: 'Removed' },
} as const

/** What is different: a glyph and a word say how, never colour alone. */
export function Differences({ found }: { found: readonly Difference[] }) {
  return (
    <ul className={styles.differences}>
      {found.map((each) => (
        <li key={each.path.join('.')} className={styles[each.kind]}>
          <span className={styles.sign}>
            <span aria-hidden="true">{SIGNS[each.kind].glyph}</span> {SIGNS[each.kind].word}
          </span>
          <span className={styles.field}>{pathText(each.path)}</span>
          <Between difference={each} />
        </li>
      ))}
    </ul>
  )
}

function Between({ difference: { path, kind, before, after } }: { difference: Difference }) {
  const name = path[path.length - 1]
  const list = listChange(before, after)
  if (list) {
    return (
      <div className={styles.between}>
        {list.added.length > 0 && (
          <div>
            <span className="muted">{counted(list.added.length, 'new value')}: </span>
            <List values={list.added} />
          </div>
        )}
        {list.removed.length > 0 && (
          <div>
            <span className="muted">{counted(list.removed.length, 'value')} gone: </span>
            <del>
              <List values={list.removed} />
            </del>
          </div>
        )}
      </div>
    )
  }
  return (
    <div className={styles.between}>
      {kind !== 'added' && (
        <div>
          {kind === 'changed' && <span className="muted">was </span>}
          <del>
            <Value name={name} value={before} />
          </del>
        </div>
      )}
      {kind !== 'removed' && (
        <div>
          {kind === 'changed' && <span className="muted">is </span>}
          <Value name={name} value={after} />
        </div>
      )}
    </div>
  )
}
