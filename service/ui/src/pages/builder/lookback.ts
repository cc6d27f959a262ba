/** A lookback as a form has it, which may be half filled in, and as the API takes it. */
import type { Lookback, Preset } from '../../api/types'

export type Unit = 'days' | 'weeks' | 'months'

export type RelativeDraft = {
  type: 'relative'
  value: number | null
  unit: Unit
  align: 'trailing' | 'calendar'
  weekStart?: number | null
  dataDelayDays: number
}
export type CustomDraft = { type: 'custom'; startDate: string | null; endDate: string | null }
export type LookbackDraft = RelativeDraft | CustomDraft

export const LAST_7_DAYS: RelativeDraft = {
  type: 'relative',
  value: 7,
  unit: 'days',
  align: 'trailing',
  dataDelayDays: 2,
}
export const LAST_52_WEEKS: RelativeDraft = {
  type: 'relative',
  value: 52,
  unit: 'weeks',
  align: 'calendar',
  dataDelayDays: 2,
}

export function lookbackDraft(lookback: Lookback): LookbackDraft {
  if (lookback.type === 'custom') {
    return { type: 'custom', startDate: lookback.startDate, endDate: lookback.endDate }
  }
  const { value, unit, align, weekStart, dataDelayDays } = lookback
  return {
    type: 'relative',
    value,
    unit,
    align: align ?? 'trailing',
    ...(weekStart ? { weekStart } : {}),
    dataDelayDays: dataDelayDays ?? 0,
  }
}

/** Null while something is missing. */
export function lookbackOf(draft: LookbackDraft): Lookback | null {
  if (draft.type === 'custom') {
    const { startDate, endDate } = draft
    return startDate && endDate ? { type: 'custom', startDate, endDate } : null
  }
  const { value, unit, align, weekStart, dataDelayDays } = draft
  if (value === null) return null
  return {
    type: 'relative',
    value,
    unit,
    dataDelayDays,
    ...(align === 'calendar' && unit !== 'days'
      ? { align, ...(unit === 'weeks' && weekStart ? { weekStart } : {}) }
      : {}),
  }
}

/** Equal for lookbacks that mean the same. */
export function lookbackKey(lookback: Lookback): string {
  if (lookback.type === 'custom') return `${lookback.startDate}/${lookback.endDate}`
  const { value, unit, align = 'trailing', weekStart, dataDelayDays = 0 } = lookback
  const week = align === 'calendar' && unit === 'weeks' ? (weekStart ?? 1) : 0
  return [value, unit, align ?? 'trailing', week, dataDelayDays ?? 0].join(' ')
}

export function presetOf(draft: LookbackDraft, presets: readonly Preset[]): Preset | null {
  const lookback = lookbackOf(draft)
  if (!lookback) return null
  const key = lookbackKey(lookback)
  return presets.find((preset) => preset.lookback_config && lookbackKey(preset.lookback_config) === key) ?? null
}

/** What presets are called here: shorter than the API says, as their window is said beside. */
const NAMES: Record<string, string> = {
  last_week: 'Last week',
  last_4_weeks: 'Last 4 weeks',
  month_to_date: 'Month to date',
  last_52_weeks: 'Last 52 weeks',
}

export function presetName(preset: Preset): string {
  return NAMES[preset.preset] ?? preset.label
}
