/** Follows the log over one server-sent-event stream, and goes on after a cut where it was. */
import { type Frame, FrameReader } from './frames'
import type { LinkState, LiveEvent, News, Place } from './news'

/** Events are told together, so that no page is drawn more often than this. */
const EVERY = 100
/** Without a word for so long the stream is taken for dead; the service says something every 15 s. */
const SILENCE = 40_000
/** After a cut of so long, and with more than so many events missed, pages read again instead. */
const LONG = 60_000
const MANY = 5000
const FIRST_PAUSE = 400
const LONGEST_PAUSE = 8000

type Listener = (news: News) => void

export class Follower {
  #state: LinkState = 'connecting'
  #place: Place | null
  #pending: LiveEvent[] = []
  #flushing: ReturnType<typeof setTimeout> | undefined
  #closed = new AbortController()
  #woken = new AbortController()
  readonly #team: string | null
  readonly #tell: Listener

  constructor(team: string | null, from: Place | null, tell: Listener) {
    this.#team = team
    this.#place = from
    this.#tell = tell
    void this.#run()
  }

  /** How it stands, for whoever comes later. */
  get news(): News {
    return { kind: 'state', state: this.#state, place: this.#place }
  }

  wake() {
    this.#woken.abort()
  }

  close() {
    this.#closed.abort()
    this.#woken.abort()
    clearTimeout(this.#flushing)
  }

  async #run() {
    let pause = FIRST_PAUSE
    let cutAt = Date.now()
    while (!this.#closed.signal.aborted) {
      const next = await this.#follow(cutAt).catch(() => 'lost' as const)
      if (this.#closed.signal.aborted) return
      if (next === 'again') {
        pause = FIRST_PAUSE
        cutAt = Date.now()
        await this.#rest(FIRST_PAUSE / 4)
        continue
      }
      this.#stands(next)
      const stopped = next === 'refused' || next === 'ended'
      await this.#rest(stopped ? null : next === 'busy' ? LONGEST_PAUSE : pause)
      pause = Math.min(pause * 1.6, LONGEST_PAUSE)
    }
  }

  /** One stream, to its end: `again` where it ended after it had begun. */
  async #follow(cutAt: number): Promise<LinkState | 'again'> {
    if (!this.#place || Date.now() - cutAt > LONG) {
      const found = await this.#head()
      if (typeof found === 'string') return found
      if (this.#place && (found.epoch !== this.#place.epoch || found.position - this.#place.position > MANY))
        this.#reset(found)
      else this.#place ??= found
    }
    const { position, epoch } = this.#place as Place
    const ended = new AbortController()
    const signal = AbortSignal.any([this.#closed.signal, ended.signal])
    const response = await fetch(`/api/events/stream?after=${position}&epoch=${epoch}`, {
      headers: { ...this.#headers(), 'Last-Event-ID': String(position) },
      cache: 'no-store',
      signal,
    })
    if (response.status === 409) {
      const { head, epoch: now } = (await response.json()) as { head: number; epoch: number }
      this.#reset({ position: head, epoch: now })
      return 'again'
    }
    const refused = refusal(response)
    if (refused) return refused
    if (!response.body) return 'lost'
    this.#stands('live')
    const frames = new FrameReader()
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    try {
      while (true) {
        const silent = setTimeout(() => ended.abort(), SILENCE)
        const { done, value } = await reader.read().finally(() => clearTimeout(silent))
        if (done) break
        for (const frame of frames.push(value)) this.#take(frame)
      }
    } catch {
      // Cut off: it goes on where it was.
    }
    return 'again'
  }

  #take(frame: Frame) {
    const place = this.#place as Place
    if (frame.event === 'checkpoint' || frame.event === 'caught-up' || frame.event === 'fell-behind') {
      if (frame.event === 'checkpoint') this.#place = JSON.parse(frame.data) as Place
      return
    }
    const event = eventOf(frame)
    if (!event || event.position <= place.position) return
    this.#place = { ...place, position: event.position }
    this.#pending.push(event)
    this.#flushing ??= setTimeout(() => this.#flush(), EVERY)
  }

  #flush() {
    this.#flushing = undefined
    const events = this.#pending
    this.#pending = []
    if (events.length > 0 && this.#place) this.#tell({ kind: 'events', events, place: this.#place })
  }

  #reset(place: Place) {
    this.#pending = []
    this.#place = place
    this.#tell({ kind: 'reset', place })
  }

  #stands(state: LinkState) {
    this.#state = state
    this.#tell(this.news)
  }

  /** The end of the log: pages read what stands, and are told what comes. */
  async #head(): Promise<Place | LinkState> {
    const response = await fetch('/api/events?limit=1', {
      headers: this.#headers(),
      cache: 'no-store',
      signal: this.#closed.signal,
    })
    const refused = refusal(response)
    if (refused) return refused
    const { head, epoch } = (await response.json()) as { head: number; epoch: number }
    return { position: head, epoch }
  }

  #headers(): Record<string, string> {
    return this.#team ? { 'Report-Builder-Team': this.#team } : {}
  }

  /** Waits, or until it is woken: null is as long as that takes. */
  async #rest(milliseconds: number | null) {
    if (this.#woken.signal.aborted) this.#woken = new AbortController()
    const { signal } = this.#woken
    if (this.#closed.signal.aborted) return
    await new Promise<void>((resolve) => {
      const timer = milliseconds === null ? undefined : setTimeout(resolve, milliseconds)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

function refusal({ ok, status }: Response): LinkState | null {
  if (ok) return null
  return status === 401 ? 'ended' : status === 403 ? 'refused' : status === 429 ? 'busy' : 'lost'
}

function eventOf({ id, event, data }: Frame): LiveEvent | null {
  const position = Number(id)
  if (!Number.isSafeInteger(position)) return null
  const cloud = JSON.parse(data) as { subject: string; time: string; userid?: string; data?: LiveEvent['data'] }
  return {
    position,
    type: event,
    stream: cloud.subject,
    time: cloud.time,
    user: cloud.userid ?? null,
    data: cloud.data ?? {},
  }
}
