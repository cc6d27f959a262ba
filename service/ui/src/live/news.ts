/** What follows the log tells pages, also from another tab or a worker: plain objects, as these are copied. */
export type LiveEvent = {
  position: number
  type: string
  /** The stream: `segment-…`. */
  stream: string
  time: string
  user: string | null
  data: Readonly<Record<string, unknown>>
}

/**
 * `live`: events come. `lost`: nothing answers, and it is tried again. `busy`: too many streams are open. `refused`: the
 * person may not read events. `ended`: nobody is signed in.
 */
export type LinkState = 'connecting' | 'live' | 'lost' | 'busy' | 'refused' | 'ended'

/** Where a reader stands in the log. */
export type Place = { position: number; epoch: number }

export type News =
  | { kind: 'state'; state: LinkState; place: Place | null }
  | { kind: 'events'; events: readonly LiveEvent[]; place: Place }
  /** Some of what happened is not told: whatever was read is to be read again. */
  | { kind: 'reset'; place: Place }

/** What a page asks of a worker. */
export type Wish =
  | { kind: 'follow'; team: string | null; from: Place | null }
  /** Something has changed (a sign-in, a network that is back): try at once. */
  | { kind: 'wake' }
  | { kind: 'leave' }
