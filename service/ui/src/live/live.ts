/** What happens at the service, as this tab hears of it. */
import { connectionFound, connectionLost } from '../api/connection'
import { createStore } from '../lib/store'
import { type Link, openLink } from './link'
import type { LinkState, LiveEvent, News, Place } from './news'

/** Whether events come, so that nobody needs to ask. */
export const live = createStore<LinkState>('connecting')

let place: Place | null = null
let seen = 0

/** What is read is to have all that was seen to happen: a position for `min_position`. */
export function seenPosition(): number {
  return seen
}

/** From here on what is read has this, too: the position that a write has answered. */
export function sawPosition(position: number) {
  seen = Math.max(seen, position)
}

type Heard = { events: (events: readonly LiveEvent[]) => void; reset?: () => void }

const listeners = new Set<Heard>()

/** `reset` is called where events may have been missed: when they begin to come, and after a long cut. */
export function onEvents(heard: Heard): () => void {
  listeners.add(heard)
  return () => listeners.delete(heard)
}

function hear(news: News) {
  if (news.kind === 'state') {
    const before = live.get()
    if (news.state !== before) live.set(news.state)
    if (news.state === 'lost') connectionLost()
    if (news.state !== 'live') return
    connectionFound()
    if (place === null && news.place) begin(news.place)
    return
  }
  // A tab may hear of what it knows, from the one that follows after the last.
  if (news.kind === 'reset') return begin(news.place)
  if (place?.epoch !== news.place.epoch) return begin(news.place)
  const from = place.position
  const events = news.events.filter((event) => event.position > from)
  place = news.place
  sawPosition(place.position)
  if (events.length > 0) for (const listener of listeners) listener.events(events)
}

function begin(at: Place) {
  if (place && place.epoch !== at.epoch) seen = 0
  place = at
  sawPosition(at.position)
  for (const listener of listeners) listener.reset?.()
}

let link: Link | undefined

/** Begins to hear, for this team; answers how to end it. */
export function hearOf(team: string | null): () => void {
  live.set('connecting')
  const opened = openLink(team, () => place, hear)
  link = opened
  const wake = () => opened.wake()
  window.addEventListener('online', wake)
  return () => {
    window.removeEventListener('online', wake)
    opened.close()
    link = undefined
    place = null
  }
}

/** Tries at once: somebody has signed in, or something answers again. */
export function wakeLink() {
  link?.wake()
}
