import { describe, expect, test } from 'vitest'
import type { Lookback, Preset } from '../../api/types'
import { LAST_7_DAYS, lookbackDraft, lookbackKey, lookbackOf, presetOf } from './lookback'
import { lookbackText } from './outline'

const WEEK: Lookback = {
  type: 'relative',
  value: 1,
  unit: 'weeks',
  align: 'calendar',
  weekStart: null,
  dataDelayDays: 2,
}

function preset(name: string, lookback_config: Lookback): Preset {
  return {
    preset: name,
    label: name,
    moves: true,
    available: true,
    reason: null,
    lookback_config,
    window: null,
    warnings: [],
  }
}

describe('a lookback', () => {
  test('is sent as it was saved', () => {
    const all: Lookback[] = [
      { type: 'relative', value: 7, unit: 'days', dataDelayDays: 2 },
      { type: 'relative', value: 2, unit: 'weeks', align: 'calendar', weekStart: 7, dataDelayDays: 0 },
      { type: 'relative', value: 3, unit: 'months', align: 'calendar', dataDelayDays: 2 },
      { type: 'custom', startDate: '2026-01-01', endDate: '2026-01-31' },
    ]
    for (const lookback of all) expect(lookbackOf(lookbackDraft(lookback))).toEqual(lookback)
  })

  test('that is not complete is not sent', () => {
    expect(lookbackOf({ ...LAST_7_DAYS, value: null })).toBeNull()
    expect(lookbackOf({ type: 'custom', startDate: '2026-01-01', endDate: null })).toBeNull()
  })

  test('never has an alignment that its unit does not take', () => {
    expect(lookbackOf({ ...LAST_7_DAYS, align: 'calendar' })).not.toHaveProperty('align')
  })

  test('is known as a preset, however the API spells it', () => {
    const presets = [preset('last_week', WEEK), preset('last_7_days', { ...LAST_7_DAYS, value: 7 })]
    expect(presetOf({ ...lookbackDraft(WEEK) }, presets)?.preset).toBe('last_week')
    expect(presetOf(LAST_7_DAYS, presets)?.preset).toBe('last_7_days')
    expect(presetOf({ ...LAST_7_DAYS, value: 8 }, presets)).toBeNull()
    expect(lookbackKey({ type: 'relative', value: 7, unit: 'days' })).not.toBe(
      lookbackKey({ ...LAST_7_DAYS, value: 7 }),
    )
  })

  test('is told in words', () => {
    expect(lookbackText(WEEK)).toBe('The last calendar week with complete data')
    expect(lookbackText({ type: 'relative', value: 7, unit: 'days' })).toBe('The last 7 days')
    expect(lookbackText({ type: 'custom', startDate: '2026-01-01', endDate: '2026-01-31' })).toBe(
      '1 to 31 January 2026',
    )
  })
})
