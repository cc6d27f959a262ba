/** A collection as it stands: what was read, and what has happened since. */
import type { Collection, Progress, Segment } from '../../api/types'
import type { LiveEvent } from '../../live/news'

/** The events of one collection: its own, and its segments'. That a newer result is there says which segment's alone. */
export function isAbout(
  collectionId: string,
  event: LiveEvent,
  segments: readonly Pick<Segment, 'segment_id'>[] = [],
): boolean {
  if (event.stream === `collection-${collectionId}` || event.data.collection_id === collectionId) return true
  return event.type === 'segment.superseded' && segments.some(({ segment_id: id }) => event.stream === `segment-${id}`)
}

/**
 * The segments after these events, which may begin before what was read: each says how a segment stands, so that what is
 * told twice changes nothing as long as the last word is the newest. What did not change is the same object.
 */
export function segmentsAfter(segments: readonly Segment[], events: readonly LiveEvent[]): readonly Segment[] {
  const changed = new Map<string, Segment>()
  const byId = new Map(segments.map((segment) => [segment.segment_id, segment]))
  for (const event of events) {
    if (!event.type.startsWith('segment.')) continue
    const id = event.stream.slice('segment-'.length)
    const segment = changed.get(id) ?? byId.get(id)
    const change = segment && changeOf(event, segment)
    if (change) changed.set(id, { ...segment, ...change })
  }
  if (changed.size === 0) return segments
  return segments.map((segment) => changed.get(segment.segment_id) ?? segment)
}

function changeOf({ type, time, data }: LiveEvent, segment: Segment): Partial<Segment> | null {
  const text = (name: string) => (typeof data[name] === 'string' ? (data[name] as string) : null)
  const number = (name: string) => (typeof data[name] === 'number' ? (data[name] as number) : null)
  switch (type) {
    case 'segment.dispatched':
      if (data.reason !== 'admitted') return null
      return {
        ...EMPTY,
        status: 'dispatched',
        attempts: number('attempt') ?? segment.attempts,
        retry_at: null,
        dispatched_at: time,
      }
    case 'segment.submitted':
      return { status: 'submitted', amc_execution_id: text('execution_id'), submitted_at: time }
    case 'segment.started':
      return { status: 'running', started_at: time }
    case 'segment.executed':
      return { status: 'running' }
    case 'segment.completed':
      return {
        status: 'completed',
        row_count: number('rows'),
        result_bytes: number('bytes'),
        checksum: text('checksum'),
        error: null,
        finished_at: time,
      }
    case 'segment.retry_scheduled':
      return { status: 'waiting', error: text('error'), retry_at: text('retry_at') }
    case 'segment.released':
      return { ...EMPTY, status: 'pending' }
    case 'segment.failed':
      return { status: 'failed', error: text('error'), retry_at: null, stalled: null, finished_at: time }
    case 'segment.cancelled':
      return { status: 'cancelled', retry_at: null, stalled: null, finished_at: time }
    case 'segment.retried':
      return { ...EMPTY, status: 'pending', error: null, finished_at: null }
    case 'segment.stalled':
      return {
        error: text('error'),
        stalled: {
          at: time,
          attempt: number('attempt') ?? segment.attempts,
          step: (text('step') ?? 'submit') as NonNullable<Segment['stalled']>['step'],
          tries: number('tries') ?? 0,
          in_flight: data.in_flight === true,
        },
      }
    case 'segment.resumed':
      return { stalled: null }
    case 'segment.split':
      return { status: 'skipped', skip_reason: 'split', error: null }
    case 'segment.superseded':
      return { superseded_by: text('by_segment_id') }
    default:
      return null
  }
}

/** What only a current attempt has. */
const EMPTY = { amc_execution_id: null, submitted_at: null, started_at: null, dispatched_at: null } as const

/** The collection after these events, as far as they say all there is to it. */
export function collectionAfter(collection: Collection, events: readonly LiveEvent[]): Collection {
  let found = collection
  for (const { type, time, user, data } of events) {
    const act = { by: user, at: time, reason: typeof data.reason === 'string' ? data.reason : null }
    if (type === 'collection.paused') found = { ...found, paused: act }
    else if (type === 'collection.resumed') found = { ...found, paused: null, held: null }
    else if (type === 'collection.cancelled') found = { ...found, cancelled: act }
    else if (type === 'segment.dispatched' && found.backfill_status === 'pending')
      found = { ...found, backfill_status: 'in_progress', started_at: time }
  }
  return found
}

/** How a period looks: what a person tells apart, which is less than the API's statuses, and more. */
export type PeriodState =
  | 'turn'
  | 'work'
  | 'retry'
  | 'stuck'
  | 'done'
  | 'provisional'
  | 'there'
  | 'left'
  | 'pieces'
  | 'failed'
  | 'cancelled'

export function stateOf(segment: Segment): PeriodState {
  if (segment.stalled) return 'stuck'
  switch (segment.status) {
    case 'pending':
      return 'turn'
    case 'dispatched':
    case 'submitted':
    case 'running':
      return 'work'
    case 'waiting':
      return 'retry'
    case 'completed':
      return segment.provisional ? 'provisional' : 'done'
    case 'failed':
      return 'failed'
    case 'cancelled':
      return 'cancelled'
    case 'skipped':
      if (segment.skip_reason === 'split') return 'pieces'
      return segment.reused_segment_id || segment.checksum ? 'there' : 'left'
  }
}

/** How many periods are in each state; those that were cut into pieces are counted by these. */
export function countsOf(segments: readonly Segment[]): Map<PeriodState, number> {
  const counts = new Map<PeriodState, number>()
  for (const segment of segments) {
    const state = stateOf(segment)
    if (state !== 'pieces') counts.set(state, (counts.get(state) ?? 0) + 1)
  }
  return counts
}

const sum = (counts: ReadonlyMap<PeriodState, number>, ...states: PeriodState[]) =>
  states.reduce((all, state) => all + (counts.get(state) ?? 0), 0)

export type Tally = {
  total: number
  /** Whose rows are there. */
  arrived: number
  working: number
  waiting: number
  failed: number
  stuck: number
  cancelled: number
  left: number
  /** Of these so many as only what had failed before was asked for, and they had not. */
  notFailed: number
  /** 0 to 100: of all the ones that have come to their end. */
  percent: number
}

export function tallyOf(segments: readonly Segment[]): Tally {
  const counts = countsOf(segments)
  const total = [...counts.values()].reduce((all, each) => all + each, 0)
  const arrived = sum(counts, 'done', 'provisional', 'there')
  const [failed, cancelled, left] = [sum(counts, 'failed'), sum(counts, 'cancelled'), sum(counts, 'left')]
  const ended = arrived + failed + cancelled + left
  return {
    total,
    arrived,
    working: sum(counts, 'work'),
    waiting: sum(counts, 'turn', 'retry'),
    stuck: sum(counts, 'stuck'),
    failed,
    cancelled,
    left,
    notFailed: segments.filter((each) => stateOf(each) === 'left' && each.skip_reason === 'not_failed').length,
    percent: total === 0 ? 100 : ended === total ? 100 : Math.min(99, Math.floor((100 * ended) / total)),
  }
}

export type View = Omit<Progress, 'percent' | 'segments'> & { segments: readonly Segment[]; tally: Tally }
