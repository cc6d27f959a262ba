/** The history of one thing: how it stood at any moment, and what each event has changed. */
import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { Link, useParams, useSearchParams } from 'react-router'
import { isProblem } from '../../api/problems'
import { type Events, nameQuery, stateQuery, streamQuery } from '../../api/queries'
import type { ActivityItem, ThingState } from '../../api/types'
import { Button, LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { DateTimeInput } from '../../components/Dates'
import { Details } from '../../components/Details'
import { Select } from '../../components/Select'
import { Failed, Loading } from '../../components/States'
import { activityAddress, thingAddress } from '../../lib/addresses'
import { preciseText, rangeText } from '../../lib/dates'
import { useDebounced } from '../../lib/debounced'
import { LOCALE } from '../../lib/locale'
import { useInvalidation } from '../../live/hooks'
import type { Rules } from '../../live/rules'
import { Page } from '../../shell/Page'
import { counted } from '../../words'
import styles from './Audit.module.css'
import { grouped } from './differences'
import { type Place, placeIn } from './moments'
import { useOurs } from './teams'
import { Differences, Persons, Rows, shortId } from './Values'
import { ForAuditors, whoText } from './who'
import { EVENTS, eventText, TABLES, THINGS, valueText } from './words'

export function Component() {
  const { stream = '' } = useParams()
  return (
    <ForAuditors title="Activity">
      <Found key={stream} stream={stream} />
    </ForAuditors>
  )
}

function thingOf(stream: string): string {
  const category = stream.slice(0, stream.indexOf('-'))
  return Object.hasOwn(THINGS, category) ? THINGS[category as ActivityItem['entity']] : 'Thing'
}

function Found({ stream }: { stream: string }) {
  const rules = useMemo<Rules>(() => {
    const rule: Rules[string] = (event) => (event.type === '' || event.stream === stream ? [['stream', stream]] : [])
    return { [`${stream.slice(0, stream.indexOf('-'))}.*`]: rule }
  }, [stream])
  useInvalidation(rules)
  const events = useQuery(streamQuery(stream))
  const all = <LinkButton to="/audit">All events</LinkButton>
  if (events.data && events.data.items.length > 0) return <Shown stream={stream} events={events.data} />
  return (
    <Page title="Activity" above={<Link to="/audit">Audit</Link>}>
      {events.error ? (
        <Failed error={events.error} retry={() => events.refetch()} actions={all} />
      ) : events.data ? (
        <Callout title="Nothing is recorded of it" actions={all}>
          <p>
            {stream.startsWith('segment-')
              ? 'The period has not begun yet: until then its result says all there is to know of it.'
              : 'The address may not be complete.'}
          </p>
        </Callout>
      ) : (
        <Loading lines={8} />
      )}
    </Page>
  )
}

function Shown({ stream, events: { items, whole } }: { stream: string; events: Events }) {
  const [params, setParams] = useSearchParams()
  const last = items[items.length - 1]
  // What was the newest when the page was opened: later ones do not move it.
  const [opened, setOpened] = useState(last?.position ?? 0)
  const asked = { at: params.get('at'), time: validTime(params.get('time')), compare: params.get('compare') }
  const place = placeIn(items, asked, opened)
  const later = items.filter((event) => event.position > opened).length
  const moment = useDebounced(JSON.stringify(place.moment), 150)
  const state = useQuery(stateQuery(stream, JSON.parse(moment)))
  const ours = useOurs(last?.team_id)
  const name = useName(stream, state.data, ours)
  const own = ours ? thingAddress(stream) : null
  const persons = useMemo(() => new Map(items.map((event) => [event.user_id, whoText(event)])), [items])
  const go = (next: { at?: string; time?: string; compare?: string | null }) =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before)
        if (next.at || next.time) for (const each of ['at', 'time']) after.delete(each)
        for (const [key, value] of Object.entries(next)) {
          if (value) after.set(key, value)
          else after.delete(key)
        }
        return after
      },
      { replace: true, preventScrollReset: true },
    )
  const thing = thingOf(stream)
  return (
    <Page
      title={name ?? `${thing} ${shortId(stream.slice(stream.indexOf('-') + 1))}`}
      documentTitle={`Activity of ${name ?? thing.toLowerCase()}`}
      above={
        <>
          <Link to="/audit">Audit</Link>, activity of the {thing.toLowerCase()}
        </>
      }
      lead={leadOf(items, whole)}
      actions={own && <LinkButton to={own}>{`Go to the ${thing.toLowerCase()}`}</LinkButton>}
    >
      <Slider items={items} place={place} time={asked.time} now={asked.at === 'now'} onGo={go} />
      <div role="status" className={styles.news}>
        {later > 0 && (
          <Button
            onClick={() => {
              setOpened(last?.position ?? 0)
              go({ at: String(last?.position) })
            }}
          >
            {counted(later, 'newer event')}
          </Button>
        )}
      </div>
      {state.error ? (
        isProblem(state.error, 'not_found') ? (
          <Callout title="It was not there yet">
            <p>
              The {thing.toLowerCase()} came to be on {items[0] && preciseText(items[0].recorded_at)}. Choose a later
              moment.
            </p>
          </Callout>
        ) : (
          <Failed error={state.error} retry={() => state.refetch()} />
        )
      ) : state.data ? (
        <div className="stack" aria-busy={state.isPlaceholderData}>
          <Persons.Provider value={persons}>
            <Changes items={items} place={place} state={state.data} onGo={go} />
            <Stood state={state.data} />
          </Persons.Provider>
        </div>
      ) : (
        <Loading lines={8} />
      )}
      <AllEvents stream={stream} items={items} place={place} whole={whole} />
    </Page>
  )
}

function validTime(text: string | null): string | null {
  return text !== null && !Number.isNaN(Date.parse(text)) ? text : null
}

function leadOf(items: readonly ActivityItem[], whole: boolean): string {
  const first = items[0]
  if (!first) return ''
  const count = whole ? counted(items.length, 'event') : `The last ${counted(items.length, 'event')}`
  return `${count}, since ${preciseText(first.recorded_at)}`
}

/** What it is called: as it stood then, else as it is now. */
function useName(stream: string, state: ThingState | undefined, ours: boolean): string | null {
  const now = useQuery({ ...nameQuery(stream), enabled: ours })
  const row = Object.values(state?.rows ?? {})[0]?.[0]
  if (stream.startsWith('segment-') && row && typeof row.week_start === 'string' && typeof row.week_end === 'string') {
    return rangeText(row.week_start, row.week_end)
  }
  if (typeof row?.name === 'string') return row.name
  return now.data ?? null
}

type Go = (next: { at?: string; time?: string; compare?: string | null }) => void

type SliderProps = {
  items: readonly ActivityItem[]
  place: Place
  time: string | null
  now: boolean
  onGo: Go
}

function Slider({ items, place, time, now, onGo }: SliderProps) {
  const event = items[place.number - 1]
  const total = items.length
  const to = (number: number) => {
    const found = items[number - 1]
    if (found) onGo({ at: String(found.position) })
  }
  const said = event
    ? `Event ${place.number.toLocaleString(LOCALE)} of ${total.toLocaleString(LOCALE)}: ${eventText(event.event_type)}`
    : 'Before the first event'
  const by = event ? `${whoText(event)}, ${preciseText(event.recorded_at)}` : ''
  const between = now ? 'Now' : time ? preciseText(time) : null
  return (
    <section className={styles.card} aria-label="Through its history">
      <div className={styles.where} aria-live="polite">
        {!place.exact && event && (
          <p className="muted">{between ? `${between}, after:` : 'Between two events, after:'}</p>
        )}
        <p className={styles.sentence}>{said}</p>
        {event && (
          <p className="muted">
            {by} <Link to={`/audit/events/${event.position}`}>The event and its proof</Link>
          </p>
        )}
      </div>
      {total > 1 && (
        <div className={styles.slider}>
          <Button aria-label="The event before" disabled={place.number <= 1} onClick={() => to(place.number - 1)}>
            <span aria-hidden="true">‹</span>
          </Button>
          <input
            type="range"
            aria-label="Event"
            aria-valuetext={`${said}, ${by}`}
            min={1}
            max={total}
            step={1}
            value={Math.max(1, place.number)}
            onChange={(change) => to(Number(change.target.value))}
          />
          <Button aria-label="The event after" disabled={place.number >= total} onClick={() => to(place.number + 1)}>
            <span aria-hidden="true">›</span>
          </Button>
        </div>
      )}
      <Details summary="Another moment" open={time !== null || now}>
        <OtherMoment time={time} onGo={onGo} />
      </Details>
    </section>
  )
}

/** As a field has it, `2026-03-01T09:00:00`, by the reader's clock. */
function localOf(moment: Date): string {
  const two = (number: number) => String(number).padStart(2, '0')
  const [year, month, day] = [moment.getFullYear(), two(moment.getMonth() + 1), two(moment.getDate())]
  return `${year}-${month}-${day}T${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`
}

function OtherMoment({ time, onGo }: { time: string | null; onGo: Go }) {
  const [typed, setTyped] = useState<string | null>(() => localOf(time ? new Date(time) : new Date()))
  return (
    <form
      className={styles.moment}
      onSubmit={(event) => {
        event.preventDefault()
        // With all that was recorded within that second.
        if (typed) onGo({ time: new Date(new Date(typed).getTime() + 999).toISOString() })
      }}
    >
      <DateTimeInput label="Day and time, by your clock" value={typed} onChange={setTyped} />
      <Button type="submit">Show it as of then</Button>
      <Button onClick={() => onGo({ at: 'now' })}>Show it as it is now</Button>
    </form>
  )
}

type ChangesProps = { items: readonly ActivityItem[]; place: Place; state: ThingState; onGo: Go }

function Changes({ items, place, state, onGo }: ChangesProps) {
  const before = place.exact ? place.number - 1 : place.number
  if (before < 1) {
    return place.number > 0 ? (
      <section className="stack-small" aria-labelledby="changes">
        <h2 id="changes">What it changed</h2>
        <p className="muted">With this event it came to be: nothing was there before.</p>
      </section>
    ) : null
  }
  const groups = grouped(state.changes ?? [])
  const earlier = items
    .slice(0, before)
    .map((event, index) => ({
      id: String(event.position),
      name: `Event ${index + 1}: ${eventText(event.event_type)}`,
      detail: preciseText(event.recorded_at),
    }))
    .reverse()
  // Its periods have events of their own: since its own last one they may have changed much that this one has not.
  const folds = place.exact && FOLDING.test(state.stream)
  const options = folds ? [{ id: JUST, name: 'The moment before it' }, ...earlier] : earlier
  const usual = options[0]?.id
  const title = place.just ? 'What it changed' : `What is different since event ${place.compared}`
  const open = groups.filter(({ of }) => !TABLES[of]?.folded)
  const folded = groups.filter(({ of }) => TABLES[of]?.folded)
  return (
    <section className="stack" aria-labelledby="changes">
      <h2 id="changes">{title}</h2>
      {options.length > 1 && (
        <Select
          label="Compare with"
          size="medium"
          items={options}
          value={folds && place.just ? JUST : String(items[place.compared - 1]?.position ?? '')}
          onChange={(position) => onGo({ compare: position === usual ? null : position })}
        />
      )}
      {open.length === 0 && <p className="muted">Nothing is different.</p>}
      {open.slice(0, MANY).map((group) => (
        <Group key={`${group.of} ${group.key}`} group={group} state={state} />
      ))}
      {open.length > MANY && (
        <Details summary={`and ${(open.length - MANY).toLocaleString(LOCALE)} more`}>
          {open.slice(MANY).map((group) => (
            <Group key={`${group.of} ${group.key}`} group={group} state={state} />
          ))}
        </Details>
      )}
      {folded.map((group) => (
        <Details key={group.of} summary={TABLES[group.of]?.name}>
          <Differences found={group.found} />
        </Details>
      ))}
    </section>
  )
}

const MANY = 12
const JUST = 'just'
/** Streams whose things are made of what happens in others too. */
const FOLDING = /^(collection|schedule|segment)-/

function Group({ group, state }: { group: ReturnType<typeof grouped>[number]; state: ThingState }) {
  const { of, key, isNew, found } = group
  return (
    <div className={styles.group}>
      <h3>
        {groupText(of, key, state)}
        {isNew && <span className="muted">, not there before</span>}
      </h3>
      <Differences found={found} />
    </div>
  )
}

function groupText(of: string, key: string | null, state: ThingState): string {
  if (of in EVENTS) return eventText(of)
  const table = TABLES[of]
  const row = state.rows[of]?.find((each) => Object.values(each).includes(key))
  if (!table || !row) return of
  return rowText(of, row)
}

type Row = ThingState['rows'][string][number]

/** `Period 1 to 7 March 2026` */
function rowText(table: string, row: Row): string {
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
function Stood({ state }: { state: ThingState }) {
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

type AllEventsProps = { stream: string; items: readonly ActivityItem[]; place: Place; whole: boolean }

function AllEvents({ stream, items, place, whole }: AllEventsProps) {
  const [params] = useSearchParams()
  const [shown, setShown] = useState(50)
  const newest = items.map((event, index) => ({ event, number: index + 1 })).reverse()
  const compare = params.get('compare')
  return (
    <section className="stack-small" aria-labelledby="events">
      <h2 id="events">All its events</h2>
      <ol className={styles.events} reversed>
        {newest.slice(0, shown).map(({ event, number }) => (
          <li key={event.position} data-current={number === place.number ? '' : undefined}>
            <span className="muted">{number}</span>
            <Link
              to={`${activityAddress(stream)}?at=${event.position}${compare ? `&compare=${compare}` : ''}`}
              replace
              preventScrollReset
              aria-current={number === place.number ? 'step' : undefined}
            >
              {eventText(event.event_type)}
            </Link>
            <span>{whoText(event)}</span>
            <time className="muted" dateTime={event.recorded_at}>
              {preciseText(event.recorded_at)}
            </time>
          </li>
        ))}
      </ol>
      {newest.length > shown && (
        <div>
          <Button onClick={() => setShown((before) => before + 200)}>Show older events</Button>
        </div>
      )}
      {!whole && newest.length <= shown && (
        <p className="muted">
          These are the last {counted(items.length, 'event')}.{' '}
          <Link to={`/audit?stream=${encodeURIComponent(stream)}&order=oldest`}>
            See all of them, the oldest first.
          </Link>
        </p>
      )}
    </section>
  )
}
