import { describe, expect, test } from 'vitest'
import { ApiProblem } from '../../api/problems'
import type { AvailableParameter, Schedule } from '../../api/types'
import { changeable, changeDraft, changeOf, missing, sendChange } from './change'

const SCHEDULE = {
  schedule_id: 's1',
  workflow_id: 'w1',
  name: 'Each Monday',
  schedule_config: {
    frequency: 'weekly',
    time: '09:00',
    daysOfWeek: [1],
    timezone: 'Europe/Berlin',
    overlap: 'queue',
    catchup: 'latest',
    gapPolicy: 'shift',
    startDate: null,
    endDate: null,
    maxRuns: null,
    refreshDays: [7],
  },
  lookback_config: { type: 'relative', value: 7, unit: 'days', align: 'trailing', weekStart: null, dataDelayDays: 2 },
  parameters: { asins: ['B000000001', 'B000000002'], least: 10 },
} as unknown as Schedule

const ASKED = [
  { name: 'asins', input: 'list', kind: 'asin' },
  { name: 'least', input: 'whole_number', kind: 'text' },
] as AvailableParameter[]

const draft = changeDraft(SCHEDULE)

describe('a change of a schedule', () => {
  test('is empty where nothing is another', () => {
    expect(changeOf(draft, SCHEDULE, ASKED)).toEqual({})
    expect(changeOf({ ...draft, reason: 'For no reason.' }, SCHEDULE, ASKED)).toEqual({})
  })

  test('has what is another alone, rules whole, and what the form does not show as it was', () => {
    const rules = { ...draft.rules, days: [1, 2] }
    const changed = changeOf({ ...draft, rules, reason: ' Twice. ' }, SCHEDULE, ASKED)
    expect(changed).toEqual({
      schedule_config: {
        frequency: 'weekly',
        time: '09:00',
        daysOfWeek: [1, 2],
        timezone: 'Europe/Berlin',
        overlap: 'queue',
        catchup: 'latest',
        gapPolicy: 'shift',
        refreshDays: [7],
      },
      reason: 'Twice.',
    })
  })

  test('has all values of the parameters where one is another', () => {
    const values = { ...draft.values, least: '20' }
    expect(changeOf({ ...draft, values }, SCHEDULE, ASKED)).toEqual({
      parameters: { asins: ['B000000001', 'B000000002'], least: '20' },
    })
  })

  test('names the workflow only where its newest SQL is taken over', () => {
    expect(changeOf({ ...draft, newest: true }, SCHEDULE, ASKED)).toEqual({ workflow_id: 'w1' })
  })

  test('is none while something is missing, which is told by its field', () => {
    const lookback = { ...draft.lookback, value: null } as typeof draft.lookback
    const half = { ...draft, name: ' ', lookback, rules: { ...draft.rules, days: [] } }
    expect(changeOf(half, SCHEDULE, ASKED)).toBeNull()
    expect(missing(half).map((each) => each.pointer)).toEqual([
      '/name',
      '/schedule_config/daysOfWeek',
      '/lookback_config/value',
    ])
  })
})

describe('a run that starts meanwhile', () => {
  const stale = new ApiProblem({ type: '', title: '', status: 412, detail: '', code: 'stale' }, '')
  const before = { ...SCHEDULE, version: 3 } as Schedule
  function sends(now: Schedule) {
    const sent: number[] = []
    const send = async (version: number) => {
      sent.push(version)
      if (version < 5) throw stale
      return 'changed'
    }
    const reads = [before, { ...now, version: 4 }, { ...now, version: 5 }] as Schedule[]
    return { sent, answer: sendChange(before, send, async () => reads.shift() ?? now, 0) }
  }

  test('is no change by somebody else: the change is sent for the new version', async () => {
    const { sent, answer } = sends({ ...before, run_count: 8, last_run: null } as Schedule)
    await expect(answer).resolves.toBe('changed')
    expect(sent).toEqual([3, 3, 4, 5])
    expect(changeable({ ...before, version: 5, run_count: 8 } as Schedule)).toBe(changeable(before))
  })

  test('does not hide one', async () => {
    const { sent, answer } = sends({ ...before, name: 'Each Tuesday' } as Schedule)
    await expect(answer).rejects.toBe(stale)
    expect(sent).toEqual([3, 3])
  })
})
