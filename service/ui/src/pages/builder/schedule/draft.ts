/** The second step as its form has it, and as the API takes it. */
import type {
  Frequency,
  ScheduleConfig,
  ScheduleStep,
  ScheduleType,
  SegmentationConfig,
  ZoneName,
} from '../../../api/types'
import { LAST_52_WEEKS, type LookbackDraft, lookbackDraft, lookbackOf } from '../lookback'

export type Cut = SegmentationConfig['type']

export type ScheduleDraft = {
  type: ScheduleType
  frequency: Frequency
  time: string | null
  /** Null: the report's. */
  timezone: ZoneName | null
  /** ISO, Monday 1 to Sunday 7. */
  days: number[]
  dayOfMonth: number | null
  startDate: string | null
  endDate: string | null
  maxRuns: number | null
  overlap: NonNullable<ScheduleConfig['overlap']>
  catchup: NonNullable<ScheduleConfig['catchup']>
  /** Of the history. */
  lookback: LookbackDraft
  cut: Cut
  hold: boolean
  /** Of each run, or of what runs once: null leaves the window whole. */
  runCut: Cut | null
  /** How periods run, whichever they are. */
  weekStart: number
  parallel: number | null
  order: NonNullable<SegmentationConfig['order']>
  retry: boolean
  attempts: number | null
  reprocess: NonNullable<SegmentationConfig['reprocess']>
  stopAfter: number | null
  /** Fields of the API's that the form does not show, as they were saved. */
  rest: Partial<ScheduleConfig>
}

/** What most reports want: each Monday at nine. */
export const USUAL: ScheduleDraft = {
  type: 'scheduled',
  frequency: 'weekly',
  time: '09:00',
  timezone: null,
  days: [1],
  dayOfMonth: 1,
  startDate: null,
  endDate: null,
  maxRuns: null,
  overlap: 'queue',
  catchup: 'latest',
  lookback: LAST_52_WEEKS,
  cut: 'weekly',
  hold: false,
  runCut: null,
  weekStart: 1,
  parallel: 10,
  order: 'newest_first',
  retry: true,
  attempts: 5,
  reprocess: 'missing',
  stopAfter: null,
  rest: {},
}

/** Whether something is set to work at once, and whether a schedule is. */
export const hasHistory = (type: ScheduleType) => type === 'backfill' || type === 'backfill_with_schedule'
export const recurs = (type: ScheduleType) => type === 'scheduled' || type === 'backfill_with_schedule'

/** Of a report that has none yet: as usual, with no more at once than the instance allows. */
export function scheduleDraft(saved: ScheduleStep | null | undefined, mostAtOnce: number): ScheduleDraft {
  const usual = { ...USUAL, parallel: Math.min(10, mostAtOnce) }
  if (!saved) return usual
  const config = 'schedule_config' in saved ? saved.schedule_config : undefined
  const history = 'backfill_config' in saved ? saved.backfill_config : undefined
  const run = 'segmentation_config' in saved ? saved.segmentation_config : undefined
  const segmentation = history?.segmentation_config ?? run
  return {
    ...usual,
    type: saved.schedule_type,
    ...(config ? ofConfig(config) : {}),
    ...(history
      ? {
          lookback: history.lookback_config ? lookbackDraft(history.lookback_config) : usual.lookback,
          cut: history.segmentation_config.type,
          hold: history.hold_schedule ?? false,
        }
      : {}),
    runCut: run?.type ?? null,
    ...(segmentation
      ? {
          weekStart: segmentation.week_start ?? 1,
          parallel: segmentation.parallel_limit ?? usual.parallel,
          order: segmentation.order ?? 'newest_first',
          retry: segmentation.retry_failed ?? true,
          attempts: segmentation.max_attempts ?? 5,
          reprocess: segmentation.reprocess ?? 'missing',
          stopAfter: segmentation.stop_after_failures ?? null,
        }
      : {}),
  }
}

function ofConfig(config: ScheduleConfig): Partial<ScheduleDraft> {
  const { gapPolicy, repeatPolicy, shortMonth, catchupWindowHours, jitterSeconds, refreshDays } = config
  const rest = { gapPolicy, repeatPolicy, shortMonth, catchupWindowHours, jitterSeconds, refreshDays }
  return {
    frequency: config.frequency,
    time: config.time,
    timezone: (config.timezone as ZoneName | null | undefined) ?? null,
    ...('daysOfWeek' in config ? { days: config.daysOfWeek.map((day) => day || 7) } : {}),
    ...('dayOfMonth' in config ? { dayOfMonth: config.dayOfMonth } : {}),
    startDate: config.startDate ?? null,
    endDate: config.endDate ?? null,
    maxRuns: config.maxRuns ?? null,
    overlap: config.overlap ?? 'queue',
    catchup: config.catchup ?? 'latest',
    rest: Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined && value !== null)),
  }
}

/** The step as it is sent; null while something is missing. */
export function stepOf(draft: ScheduleDraft): ScheduleStep | null {
  const { type } = draft
  if (missing(draft).length > 0) return null
  const cutRun = draft.runCut ? segmentationOf(draft, draft.runCut) : null
  const lookback = lookbackOf(draft.lookback)
  const history = {
    segmentation_config: segmentationOf(draft, draft.cut),
    ...(lookback ? { lookback_config: lookback } : {}),
  }
  switch (type) {
    case 'once':
      return { schedule_type: 'once', ...(cutRun ? { segmentation_config: cutRun } : {}) }
    case 'scheduled':
      return {
        schedule_type: 'scheduled',
        schedule_config: configOf(draft),
        ...(cutRun ? { segmentation_config: cutRun } : {}),
      }
    case 'backfill':
      return { schedule_type: 'backfill', backfill_config: history }
    case 'backfill_with_schedule':
      return {
        schedule_type: 'backfill_with_schedule',
        schedule_config: configOf(draft),
        backfill_config: { ...history, ...(draft.hold ? { hold_schedule: true } : {}) },
      }
  }
}

function configOf(draft: ScheduleDraft): ScheduleConfig {
  const shared = {
    ...draft.rest,
    time: draft.time ?? '',
    overlap: draft.overlap,
    catchup: draft.catchup,
    ...(draft.timezone ? { timezone: draft.timezone } : {}),
    ...(draft.startDate ? { startDate: draft.startDate } : {}),
    ...(draft.endDate ? { endDate: draft.endDate } : {}),
    ...(draft.maxRuns ? { maxRuns: draft.maxRuns } : {}),
  }
  if (draft.frequency === 'weekly') return { ...shared, frequency: 'weekly', daysOfWeek: draft.days }
  if (draft.frequency === 'monthly') return { ...shared, frequency: 'monthly', dayOfMonth: draft.dayOfMonth ?? 1 }
  return { ...shared, frequency: 'daily' }
}

function segmentationOf(draft: ScheduleDraft, cut: Cut): SegmentationConfig {
  return {
    type: cut,
    ...(cut === 'weekly' ? { week_start: draft.weekStart } : {}),
    ...(draft.parallel === null ? {} : { parallel_limit: draft.parallel }),
    order: draft.order,
    retry_failed: draft.retry,
    ...(draft.attempts === null ? {} : { max_attempts: draft.attempts }),
    reprocess: draft.reprocess,
    ...(draft.stopAfter ? { stop_after_failures: draft.stopAfter } : {}),
  }
}

/** What the form asks for before it sends anything, by the pointers that the API would use. */
export function missing(draft: ScheduleDraft): { pointer: string; message: string }[] {
  const found: { pointer: string; message: string }[] = []
  if (recurs(draft.type)) {
    if (!draft.time) found.push({ pointer: '/schedule_config/time', message: 'give a time' })
    if (draft.frequency === 'weekly' && draft.days.length === 0) {
      found.push({ pointer: '/schedule_config/daysOfWeek', message: 'choose at least one day' })
    }
    if (draft.frequency === 'monthly' && draft.dayOfMonth === null) {
      found.push({ pointer: '/schedule_config/dayOfMonth', message: 'give a day from 1 to 31' })
    }
  }
  if (hasHistory(draft.type) && !lookbackOf(draft.lookback)) {
    const relative = draft.lookback.type === 'relative'
    found.push({
      pointer: `/backfill_config/lookback_config/${relative ? 'value' : 'startDate'}`,
      message: relative ? 'give a number of at least 1' : 'give a first and a last day',
    })
  }
  return found
}

/** The start of the pointers about periods: where the API has their settings depends on the kind of schedule. */
export function segmentationPointer(type: ScheduleType): string {
  return hasHistory(type) ? '/backfill_config/segmentation_config' : '/segmentation_config'
}

/** What the window of a preview is of. */
export function windowTitle(type: ScheduleType): string {
  if (hasHistory(type)) return 'The history'
  return type === 'once' ? 'The report' : 'If it ran today'
}
