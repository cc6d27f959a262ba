/** The history of one thing: how it stood at any moment, and what each event has changed. */
import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { Link, useParams, useSearchParams } from 'react-router'
import { isProblem } from '../../api/problems'
import { type Events, nameQuery, stateQuery, streamQuery } from '../../api/queries'
import type { ActivityItem, ThingState } from '../../api/types'
import { Button, LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Failed, Loading } from '../../components/States'
import { activityAddress, thingAddress } from '../../lib/addresses'
import { preciseText, rangeText } from '../../lib/dates'
import { useDebounced } from '../../lib/debounced'
import { useInvalidation } from '../../live/hooks'
import type { Rules } from '../../live/rules'
import { Page } from '../../shell/Page'
import { counted } from '../../words'
import styles from './Audit.module.css'
import { Changes } from './Changes'
import { type Place, placeIn } from './moments'
import { Slider } from './Slider'
import { Stood } from './Stood'
import { useOurs } from './teams'
import { Persons, shortId } from './Values'
import { ForAuditors, whoText } from './who'
import { eventText, THINGS } from './words'

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
