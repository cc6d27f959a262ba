/** Where one stands in the history of a thing. */
import type { StateMoment } from '../../api/queries'
import type { ActivityItem } from '../../api/types'

type Event = Pick<ActivityItem, 'position' | 'recorded_at'>

/** What the address asks for: the state at a position, at a time, now, or nothing in particular. */
export type Asked = { at: string | null; time: string | null; compare: string | null }

export type Place = {
  /** How many of the events had happened: the last of them is the one that is shown. */
  number: number
  /** Whether it is the very moment of that event, and not one between two. */
  exact: boolean
  /** What to ask the API for; null where nothing had happened yet. */
  moment: StateMoment | null
  /** The event with which it is compared, from 1; 0 without any. */
  compared: number
  /** Whether it is held against the very moment before it, so that what is different is what this event has done: since
   * the event before in its own stream, those of its periods have changed it too. */
  just: boolean
}

/** `opened`: the position of the event that was the newest when the page was opened, so that nothing jumps. */
export function placeIn(events: readonly Event[], asked: Asked, opened: number): Place {
  const { time, at } = asked
  const until = (fits: (event: Event) => boolean) => events.filter(fits).length
  if (time !== null) {
    const number = until((event) => Date.parse(event.recorded_at) <= Date.parse(time))
    return of(events, number, false, { at_time: time }, asked.compare)
  }
  if (at === 'now') return of(events, events.length, false, {}, asked.compare)
  const position = at !== null && /^\d{1,15}$/.test(at) ? Number(at) : opened
  const number = until((event) => event.position <= position)
  const exact = events[number - 1]?.position === position
  return of(events, number, exact, { at_position: position }, asked.compare)
}

function of(
  events: readonly Event[],
  number: number,
  exact: boolean,
  moment: StateMoment,
  compare: string | null,
): Place {
  // A moment between two events is compared with the last of them, the moment of an event with the one before it.
  const before = exact ? number - 1 : number
  const wanted = compare === null ? 0 : events.findIndex((event) => String(event.position) === compare) + 1
  const chosen = wanted > 0 && wanted <= before
  const compared = chosen ? wanted : before
  const just = exact && !chosen && before > 0
  const [event, from] = [events[number - 1], events[compared - 1]]
  const since = just ? event && event.position - 1 : from?.position
  return { number, exact, compared, just, moment: since === undefined ? moment : { ...moment, from_position: since } }
}
