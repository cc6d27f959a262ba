import { describe, expect, test } from 'vitest'
import type { Collection, Instance, ScheduleSummary } from '../../api/types'
import { type Known, waiting } from './attention'
import { countsOf, countsText, dayText, hasFailed, isRunning, nextRuns, ranSince, reachByReport } from './figures'

function result(changes: Partial<Collection>): Collection {
  return {
    collection_id: 'c1',
    report_id: 'r1',
    name: 'Clicks',
    instance_id: 'i1',
    backfill_status: 'in_progress',
    segments_failed: 0,
    started_at: '2026-11-23T08:00:00Z',
    finished_at: null,
    complete_through: null,
    paused: null,
    cancelled: null,
    held: null,
    held_by: null,
    ...changes,
  } as Collection
}

const done = { backfill_status: 'completed', finished_at: '2026-11-23T09:00:00Z' } as const
const paused = { by: null, at: '2026-11-22T10:00:00Z', reason: 'Not now.' }
const held = { cause: 'sql_rejected', segment_id: null, at: '2026-11-23T08:05:00Z', error: 'no such table' } as const
const DAY = '2026-11-23T00:00:00Z'

const NOTHING: Known = {
  results: [],
  instances: [],
  schedules: { active: [], paused: [] },
  drafts: { items: [], more: false },
  letters: null,
}

describe('what ran', () => {
  test('is what began or ended since, and what is still at it', () => {
    expect(ranSince(result(done), DAY)).toBe(true)
    const yesterday = { started_at: '2026-11-22T08:00:00Z', finished_at: '2026-11-22T09:00:00Z' }
    expect(ranSince(result({ ...done, ...yesterday }), DAY)).toBe(false)
    expect(ranSince(result({ ...done, started_at: yesterday.started_at }), DAY)).toBe(true)
    expect(ranSince(result({ started_at: yesterday.started_at }), DAY)).toBe(true)
    expect(ranSince(result({ started_at: yesterday.started_at, paused }), DAY)).toBe(false)
  })

  test('is counted in words, and nothing is said of what there is none', () => {
    const partial = result({ ...done, backfill_status: 'partial', segments_failed: 2 })
    const counts = countsOf([result(done), result(done), partial, result({}), result({ held })])
    expect(counts).toEqual({ complete: 2, running: 1, failed: 1, cancelled: 0, waiting: 1 })
    expect(countsText(counts)).toBe('2 complete, 1 running, 1 failed and 1 held up')
    expect(dayText(counts, 5, 1)).toBe(
      '5 results today: 2 complete, 1 running, 1 failed and 1 held up. 1 thing waits for a person.',
    )
    const cancelled = countsOf([result({ ...done, backfill_status: 'failed', cancelled: paused })])
    expect(dayText(cancelled, 1, 0)).toBe('1 result today: 1 cancelled. Nothing waits for a person.')
    const unsaid = countsOf([result({ ...done, backfill_status: 'partial' })])
    expect(dayText(unsaid, 1, 0)).toBe('1 result today. Nothing waits for a person.')
    expect(dayText(countsOf([]), 0, 0)).toBe('Nothing has run today yet. Nothing waits for a person.')
  })

  test('has failed where periods are missing at its end, unless it was cancelled', () => {
    const failed = { finished_at: done.finished_at, segments_failed: 3 }
    expect(hasFailed(result(failed))).toBe(true)
    expect(hasFailed(result({ segments_failed: 3 }))).toBe(false)
    expect(hasFailed(result({ ...failed, cancelled: paused }))).toBe(false)
    expect(isRunning(result({ paused }))).toBe(false)
  })
})

describe('how far data reaches', () => {
  test('is the newest day of each report, over all its results', () => {
    const reach = reachByReport([
      result({ complete_through: null }),
      result({ complete_through: '2026-11-20' }),
      result({ complete_through: '2026-11-13' }),
      result({ report_id: 'r2', name: 'Reach', complete_through: '2026-11-21' }),
      result({ report_id: null, name: 'By a program' }),
    ])
    expect(reach.map(({ name, through }) => [name, through])).toEqual([
      ['Reach', '2026-11-21'],
      ['Clicks', '2026-11-20'],
      ['By a program', null],
    ])
  })

  test('the soonest run comes first, and schedules without one are left out', () => {
    const schedules = [
      { name: 'b', next_run_at: '2026-11-30T08:00:00Z' },
      { name: 'none', next_run_at: null },
      { name: 'a', next_run_at: '2026-11-24T05:30:00Z' },
    ] as ScheduleSummary[]
    expect(nextRuns(schedules).map((each) => each.name)).toEqual(['a', 'b'])
  })
})

describe('what waits for a person', () => {
  test('is told with its cause, and where it is mended', () => {
    const hold = { reason: 'account_revoked', account_id: 'default', since: DAY, remedy: '' } as const
    const instance = { instance_id: 'i1', name: 'Outdoors', account_id: 'default', held_by: hold } as Instance
    const schedule = {
      schedule_id: 's1',
      name: 'Each Monday',
      instance_id: 'i1',
      state_reason: null,
    } as ScheduleSummary
    const found = waiting({
      ...NOTHING,
      instances: [instance],
      results: [result({ held }), result({ collection_id: 'c2', paused }), result({}), result({ ...done, held })],
      schedules: { active: [], paused: [schedule] },
    })
    expect(found.map(({ look, to, says }) => [look, to, says])).toEqual([
      [
        'bad',
        '/accounts/default',
        'Nothing runs on it: Amazon no longer accepts its account. Connect the account again.',
      ],
      ['bad', '/results/c1', 'Amazon rejects the SQL or its parameters: no such table'],
      ['care', '/results/c2', 'Paused: Not now.'],
      ['care', '/schedules/s1', 'Schedule paused. Nothing of it runs.'],
    ])
  })

  test('drafts are one line, which leads to the only one, or to all', () => {
    const draft = { report_id: 'r9', name: 'Half done' } as Known['drafts']['items'][number]
    const one = waiting({ ...NOTHING, drafts: { items: [draft], more: false } })
    expect(one).toMatchObject([{ title: 'Half done', to: '/reports/r9', look: 'plain' }])
    const many = waiting({ ...NOTHING, drafts: { items: [draft, draft], more: true } })
    expect(many).toMatchObject([{ title: 'More than 2 drafts', to: '/reports?status=draft' }])
  })

  test('nothing is said where nothing waits', () => {
    expect(waiting({ ...NOTHING, letters: [] })).toEqual([])
  })
})
