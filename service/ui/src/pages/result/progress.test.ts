import { describe, expect, test } from 'vitest'
import type { Segment } from '../../api/types'
import type { LiveEvent } from '../../live/news'
import { calendarOf, slotsOf } from './calendar'
import { filtered, ordered } from './list'
import { collectionAfter, isAbout, segmentsAfter, stateOf, tallyOf } from './progress'
import { limitText, paceText, statusSentence } from './words'

function segment(number: number, change: Partial<Segment> = {}): Segment {
  const day = new Date(Date.UTC(2026, 0, number)).toISOString().slice(0, 10)
  return {
    segment_id: `s${number}`,
    segment_number: number,
    week_start: day,
    week_end: day,
    status: 'pending',
    attempts: 0,
    amc_execution_id: null,
    skip_reason: null,
    reused_segment_id: null,
    supersedes: null,
    superseded_by: null,
    provisional: null,
    row_count: null,
    result_bytes: null,
    checksum: null,
    error: null,
    retry_at: null,
    stalled: null,
    dispatched_at: null,
    submitted_at: null,
    started_at: null,
    finished_at: null,
    null_count: null,
    nulls: null,
    ...change,
  }
}

let position = 0
function event(type: string, number: number, data: Record<string, unknown> = {}): LiveEvent {
  return {
    position: ++position,
    type: `segment.${type}`,
    stream: `segment-s${number}`,
    time: '2026-03-01T10:00:00Z',
    user: null,
    data,
  }
}

const LIFE = [
  event('dispatched', 1, { attempt: 1, reason: 'admitted' }),
  event('submission_started', 1, { attempt: 1 }),
  event('submitted', 1, { execution_id: 'e1' }),
  event('retry_scheduled', 1, { error: '429', retry_at: '2026-03-01T10:05:00Z' }),
  event('dispatched', 1, { attempt: 2, reason: 'admitted' }),
  event('submitted', 1, { execution_id: 'e2' }),
  event('started', 1, {}),
  event('executed', 1, {}),
  event('completed', 1, { rows: 12, bytes: 100, checksum: 'abc' }),
]

describe('segments after events', () => {
  test('stand where each event has brought them', () => {
    const found = LIFE.map((_, upTo) => segmentsAfter([segment(1)], LIFE.slice(0, upTo + 1))[0] as Segment)
    expect(found.map((each) => each.status)).toEqual([
      'dispatched',
      'dispatched',
      'submitted',
      'waiting',
      'dispatched',
      'submitted',
      'running',
      'running',
      'completed',
    ])
    expect(found[3]).toMatchObject({ error: '429', retry_at: '2026-03-01T10:05:00Z' })
    expect(found[4]).toMatchObject({ attempts: 2, amc_execution_id: null, retry_at: null })
    expect(found.at(-1)).toMatchObject({ row_count: 12, amc_execution_id: 'e2', error: null })
  })

  test('are the same wherever between the events they were read', () => {
    const end = segmentsAfter([segment(1)], LIFE)
    for (let read = 0; read <= LIFE.length; read++) {
      const then = segmentsAfter([segment(1)], LIFE.slice(0, read))
      for (let from = 0; from <= read; from++) expect(segmentsAfter(then, LIFE.slice(from))).toEqual(end)
    }
  })

  test('hear that a newer result is there, which does not say of which collection they are', () => {
    const superseded = event('superseded', 1, { by_segment_id: 's9' })
    const ours = [superseded, event('superseded', 7)].filter((each) => isAbout('c1', each, [segment(1)]))
    expect(ours).toEqual([superseded])
    expect(segmentsAfter([segment(1)], ours)[0]).toMatchObject({ superseded_by: 's9' })
  })

  test('are the same objects where nothing has happened to them', () => {
    const before = [segment(1), segment(2)]
    const after = segmentsAfter(before, [event('dispatched', 2, { attempt: 1, reason: 'admitted' })])
    expect(after[0]).toBe(before[0])
    expect(after[1]).not.toBe(before[1])
    expect(segmentsAfter(before, [event('dispatched', 9)])).toBe(before)
    expect(segmentsAfter(before, [event('dispatched', 1, { reason: 'lease_expired' })])).toBe(before)
  })
})

describe('a tally', () => {
  test('counts pieces in the place of what was cut, and is at 100 only at the end', () => {
    const segments = [
      segment(1, { status: 'completed' }),
      segment(2, { status: 'skipped', skip_reason: 'split', week_end: '2026-01-03' }),
      segment(2, { segment_id: 'p1', status: 'completed' }),
      segment(3, { segment_id: 'p2', status: 'failed' }),
      segment(4, { status: 'skipped', skip_reason: 'has_result', reused_segment_id: 'x' }),
      segment(5, { status: 'running' }),
    ]
    expect(tallyOf(segments)).toMatchObject({ total: 5, arrived: 3, failed: 1, working: 1, percent: 80 })
    const many = Array.from({ length: 400 }, (_, index) => segment(index, { status: index ? 'completed' : 'pending' }))
    expect(tallyOf(many).percent).toBe(99)
    expect(slotsOf(segments).map((slot) => slot.pieces.length)).toEqual([0, 2, 0, 0])
  })

  test('tells states apart that the API has as one', () => {
    expect(stateOf(segment(1, { status: 'completed', provisional: true }))).toBe('provisional')
    expect(stateOf(segment(1, { status: 'skipped', skip_reason: 'not_named' }))).toBe('left')
    const stalled = { at: '', attempt: 1, step: 'poll', tries: 10, in_flight: false } as const
    expect(stateOf(segment(1, { status: 'pending', stalled }))).toBe('stuck')
  })
})

describe('the calendar', () => {
  test('has each day below its weekday', () => {
    const [january, february] = calendarOf(
      Array.from({ length: 40 }, (_, index) => segment(index + 1)),
      'daily',
    )
    // 1 January 2026 was a Thursday.
    expect(january?.rows[0]?.slots.map((slot) => slot?.segment.week_start.slice(8) ?? null)).toEqual([
      null,
      null,
      null,
      '01',
      '02',
      '03',
      '04',
    ])
    expect(january?.rows).toHaveLength(5)
    expect(february).toMatchObject({ title: 'February 2026' })
    expect(february?.rows.flatMap((row) => row.slots).filter(Boolean)).toHaveLength(9)
  })

  test('has weeks by the month in which they begin, and months by quarter', () => {
    const weeks = [0, 7, 14, 21, 28].map((days) => segment(5 + days))
    expect(calendarOf(weeks, 'weekly')[0]?.rows.map((row) => [row.name, row.slots.filter(Boolean).length])).toEqual([
      ['January 2026', 4],
      ['February 2026', 1],
    ])
    const months = [1, 32, 60, 91].map((day) => segment(day))
    expect(calendarOf(months, 'monthly')[0]?.rows.map((row) => row.slots.map((slot) => slot !== null))).toEqual([
      [true, true, true],
      [true, false, false],
    ])
  })
})

describe('the list', () => {
  const segments = [
    segment(1, { status: 'completed', row_count: 5 }),
    segment(2, { status: 'failed', error: 'Table not found' }),
    segment(3, { status: 'completed', row_count: 50 }),
  ]
  const ids = (found: Segment[]) => found.map((each) => each.segment_id)

  test('is sorted either way, what has no value last', () => {
    expect(ids(ordered(segments, { by: 'rows', descending: true }))).toEqual(['s3', 's1', 's2'])
    expect(ids(ordered(segments, { by: 'rows', descending: false }))).toEqual(['s1', 's3', 's2'])
    expect(ids(ordered(segments, { by: 'state', descending: false }))).toEqual(['s2', 's3', 's1'])
    expect(ids(ordered(segments, { by: 'period', descending: true }))).toEqual(['s3', 's2', 's1'])
  })

  test('is filtered by state and by what is typed', () => {
    expect(ids(filtered(segments, 'done', ''))).toEqual(['s1', 's3'])
    expect(ids(filtered(segments, 'all', 'not table'))).toEqual(['s2'])
    expect(ids(filtered(segments, 'all', '3 january'))).toEqual(['s3'])
  })
})

describe('sentences', () => {
  const of = (segments: Segment[], collection: object = {}) =>
    statusSentence({
      tally: tallyOf(segments),
      collection: {
        finished_at: null,
        cancelled: null,
        held: null,
        held_by: null,
        paused: null,
        started_at: '2026-03-01T10:00:00Z',
        backfill_status: 'in_progress',
        ...collection,
      } as never,
    })

  test('know that it has begun as soon as the first period is on its way', () => {
    const fresh = { started_at: null, backfill_status: 'pending', paused: {} }
    const begun = [{ ...event('resumed', 0), type: 'collection.resumed' }, ...LIFE.slice(0, 1)]
    expect(of([segment(1, { status: 'completed' }), segment(2)], collectionAfter(fresh as never, begun))).toBe(
      'Running: 1 of 2 periods is in.',
    )
  })

  test('say how it stands', () => {
    const running = [segment(1, { status: 'completed' }), segment(2, { status: 'running' }), segment(3)]
    expect(of(running)).toBe('Running: 1 of 3 periods is in, 1 runs now.')
    expect(of(running, { paused: {} })).toBe('Paused: 1 of 3 periods is in, and 1 that began comes to the end.')
    expect(of([segment(1)], { started_at: null })).toBe('Waiting for its turn.')
    const over = [segment(1, { status: 'completed' }), segment(2, { status: 'failed' })]
    expect(of(over, { finished_at: 'x', backfill_status: 'partial' })).toBe(
      'Complete in part: 1 of 2 periods is in, 1 failed.',
    )
  })

  test('never say that all is in where periods were left out', () => {
    const completed = { finished_at: 'x', backfill_status: 'completed' }
    const left = (number: number, reason: Segment['skip_reason']) =>
      segment(number, { status: 'skipped', skip_reason: reason })
    const done = segment(1, { status: 'completed' })
    expect(of([done, segment(2, { status: 'completed' })], completed)).toBe('Complete: all 2 periods are in.')
    expect(of([done, left(2, 'not_named'), left(3, 'not_named')], completed)).toBe(
      'Done: 1 of 3 periods is in, 2 were not asked for.',
    )
    expect(of([left(1, 'not_failed'), left(2, 'not_failed')], completed)).toBe(
      'Done: 0 of 2 periods are in, 2 were not asked for, as only what had failed before was.',
    )
    expect(of([left(1, 'not_failed')], completed)).toBe(
      'Done: the period was not asked for, as only what had failed before was.',
    )
  })

  test('name the pace, however slow', () => {
    expect([0.2, 1, 1.5, 12.4].map(paceText)).toEqual(['Less than 1 period', '1 period', '1.5 periods', '12 periods'])
  })

  test('say what a person has to do in the words of the page', () => {
    const stalled = '1 segment failed or killed every worker; see `error`, then retry'
    for (const [reason, detail] of [
      ['stalled', stalled],
      ['held', 'it is held; look at its `held`, then resume it, or cancel it'],
    ] as const) {
      expect(limitText({ reason, detail, until: null })).not.toMatch(/`|segment/)
    }
    expect(limitText({ reason: 'stalled', detail: stalled, until: null })).toBe(
      '1 period failed again and again, and waits for a person: look at it, then retry it.',
    )
  })

  test('say what limits it, by the clock of whoever reads', () => {
    const at = new Date(2026, 2, 1, 15, 2).toISOString()
    const slowed = { reason: 'slowed', detail: 'slowed by Amazon: 429, next try 14:02', until: at } as const
    expect(limitText(slowed)).toBe('Slowed by Amazon: 429, next try 15:02.')
    expect(limitText({ reason: 'retry', detail: '1 wait to be tried again', until: at })).toBe(
      '1 period waits to be tried again, the first at 15:02.',
    )
  })
})
