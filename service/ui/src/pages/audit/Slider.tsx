/** The way through a history: event by event, or to any other moment. */
import { useState } from 'react'
import { Link } from 'react-router'
import type { ActivityItem } from '../../api/types'
import { Button } from '../../components/Button'
import { DateTimeInput } from '../../components/Dates'
import { Details } from '../../components/Details'
import { preciseText } from '../../lib/dates'
import { LOCALE } from '../../lib/locale'
import styles from './Audit.module.css'
import type { Place } from './moments'
import { whoText } from './who'
import { eventText } from './words'

/** To an event, a time, or another one to compare with. */
export type Go = (next: { at?: string; time?: string; compare?: string | null }) => void

type SliderProps = {
  items: readonly ActivityItem[]
  place: Place
  time: string | null
  now: boolean
  onGo: Go
}

export function Slider({ items, place, time, now, onGo }: SliderProps) {
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
