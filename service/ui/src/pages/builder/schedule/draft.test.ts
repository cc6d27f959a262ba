import { describe, expect, test } from 'vitest'
import type { ScheduleStep } from '../../../api/types'
import { deed, scheduleText } from '../outline'
import { missing, type ScheduleDraft, scheduleDraft, stepOf, USUAL } from './draft'

const SEGMENTS = {
  type: 'weekly',
  week_start: 1,
  parallel_limit: 4,
  order: 'oldest_first',
  retry_failed: false,
  max_attempts: 3,
  reprocess: 'all',
  stop_after_failures: 5,
} as const

describe('a schedule step', () => {
  test('is sent as it was saved, with what the form does not show', () => {
    const steps: ScheduleStep[] = [
      { schedule_type: 'once' },
      { schedule_type: 'once', segmentation_config: SEGMENTS },
      {
        schedule_type: 'scheduled',
        schedule_config: {
          frequency: 'weekly',
          time: '07:30',
          timezone: 'America/New_York',
          daysOfWeek: [1, 7],
          overlap: 'skip',
          catchup: 'all',
          gapPolicy: 'skip',
          jitterSeconds: 60,
          endDate: '2027-01-01',
          maxRuns: 12,
        },
      },
      {
        schedule_type: 'backfill_with_schedule',
        schedule_config: { frequency: 'monthly', time: '09:00', dayOfMonth: 31, overlap: 'queue', catchup: 'latest' },
        backfill_config: {
          segmentation_config: SEGMENTS,
          lookback_config: { type: 'relative', value: 12, unit: 'months', align: 'calendar', dataDelayDays: 2 },
          hold_schedule: true,
        },
      },
    ]
    for (const step of steps) expect(stepOf(scheduleDraft(step, 10))).toEqual(step)
  })

  test('of a new report is each Monday at nine, with no more at once than the instance allows', () => {
    const draft = scheduleDraft(null, 4)
    expect(draft.parallel).toBe(4)
    const step = stepOf(draft)
    expect(step).toMatchObject({
      schedule_type: 'scheduled',
      schedule_config: { frequency: 'weekly', daysOfWeek: [1] },
    })
    expect(step && deed(step)).toBe('Start the weekly schedule')
  })

  test('with something missing is not sent, and says what', () => {
    const lacking: [Partial<ScheduleDraft>, string][] = [
      [{ time: null }, '/schedule_config/time'],
      [{ days: [] }, '/schedule_config/daysOfWeek'],
      [{ frequency: 'monthly', dayOfMonth: null }, '/schedule_config/dayOfMonth'],
      [
        { type: 'backfill', lookback: { type: 'custom', startDate: null, endDate: null } },
        '/backfill_config/lookback_config/startDate',
      ],
    ]
    for (const [changed, pointer] of lacking) {
      const draft = { ...USUAL, ...changed }
      expect(stepOf(draft)).toBeNull()
      expect(missing(draft).map((problem) => problem.pointer)).toEqual([pointer])
    }
    expect(missing({ ...USUAL, type: 'once', time: null })).toEqual([])
  })

  test('names days and dates in words', () => {
    expect(scheduleText({ frequency: 'weekly', time: '09:00', daysOfWeek: [1, 0] })).toBe(
      'Every Monday and Sunday at 09:00',
    )
    expect(scheduleText({ frequency: 'monthly', time: '09:00', dayOfMonth: 22 })).toBe(
      'On the 22nd of each month at 09:00',
    )
  })
})
