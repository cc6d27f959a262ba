/** A configuration in names and values, and what it does in words: for the review, the submission and the report's page. */
import type {
  Lookback,
  ParameterValue,
  ParameterValues,
  Report,
  ScheduleConfig,
  ScheduleStep,
  SegmentationConfig,
} from '../../api/types'
import type { SummaryRow } from '../../components/Summary'
import { dateText, rangeText } from '../../lib/dates'
import {
  CATCH_UPS,
  CUTS,
  counted,
  listed,
  ORDERS,
  OVERLAPS,
  ordinal,
  REPROCESS,
  SCHEDULE_TYPES,
  WEEKDAYS,
} from '../../words'
import { textOf } from './parameters/draft'

/** `The last 7 days with complete data` */
export function lookbackText(lookback: Lookback): string {
  if (lookback.type === 'custom') return rangeText(lookback.startDate, lookback.endDate)
  const { value, unit, align, dataDelayDays } = lookback
  const one = unit.slice(0, -1)
  const what = align === 'calendar' ? `calendar ${one}` : one
  const length = value === 1 ? `The last ${what}` : `The last ${counted(value, what)}`
  if (!dataDelayDays) return length
  return dataDelayDays === 2
    ? `${length} with complete data`
    : `${length}, as of ${counted(dataDelayDays, 'day')} before`
}

/** `Every Monday and Thursday at 09:00` */
export function scheduleText(config: ScheduleConfig): string {
  if (config.frequency === 'weekly') {
    const days = config.daysOfWeek.map((day) => WEEKDAYS[(day || 7) - 1] ?? '')
    return `Every ${days.length === 7 ? 'day' : listed(days)} at ${config.time}`
  }
  if (config.frequency === 'monthly') return `On the ${ordinal(config.dayOfMonth)} of each month at ${config.time}`
  return `Every day at ${config.time}`
}

/** `America/New York time`, `UTC` */
export function clocksText(zone: string): string {
  return zone === 'UTC' ? zone : `${zone.replaceAll('_', ' ')} time`
}

/** What submitting does: the name of its button. */
export function deed(step: ScheduleStep): string {
  switch (step.schedule_type) {
    case 'once':
      return 'Run the report now'
    case 'scheduled':
      return `Start the ${step.schedule_config.frequency} schedule`
    case 'backfill':
      return 'Start the history'
    case 'backfill_with_schedule':
      return step.backfill_config.hold_schedule
        ? `Start the history, then the ${step.schedule_config.frequency} schedule`
        : `Start the history and the ${step.schedule_config.frequency} schedule`
  }
}

export function parameterRows(report: Report, workflow: string, instance: string): SummaryRow[] {
  const { parameters } = report
  if (!parameters) return []
  return [
    { name: 'Workflow', value: workflow },
    { name: 'Instance', value: instance },
    ...parameterValues(parameters.parameters),
    { name: 'Window of each run', value: lookbackText(parameters.lookback_config) },
    { name: 'Days counted in', value: parameters.timezone.replaceAll('_', ' ') },
  ]
}

/** The values of a workflow's parameters; long lists in short. */
export function parameterValues(values: ParameterValues): SummaryRow[] {
  return Object.entries(values).map(([name, value]) => ({ name, value: <Value value={value} /> }))
}

const SHOWN = 5

function Value({ value }: { value: ParameterValue }) {
  if (!Array.isArray(value)) {
    return typeof value === 'boolean' ? (value ? 'True' : 'False') : textOf(value)
  }
  const more = value.length - SHOWN
  return (
    <>
      {value.slice(0, SHOWN).join(', ')}
      {more > 0 && <span className="muted"> and {counted(more, 'more value', 'more values')}</span>}
    </>
  )
}

export function scheduleRows(step: ScheduleStep, reportZone: string): SummaryRow[] {
  const rows: SummaryRow[] = [{ name: 'Kind', value: SCHEDULE_TYPES[step.schedule_type].name }]
  if ('schedule_config' in step) rows.push(...configRows(step.schedule_config, reportZone))
  if ('backfill_config' in step) {
    const { lookback_config: lookback, segmentation_config: cut, hold_schedule: hold } = step.backfill_config
    const usual = cut.type === 'monthly' ? 'The last 12 calendar months' : 'The last 52 calendar weeks'
    rows.push({ name: 'History', value: lookback ? lookbackText(lookback) : usual })
    if (step.schedule_type === 'backfill_with_schedule') {
      rows.push({ name: 'The schedule starts', value: hold ? 'When the history is complete' : 'At once' })
    }
    rows.push(...cutRows(cut))
  } else if (step.segmentation_config) {
    rows.push(...cutRows(step.segmentation_config))
  }
  return rows
}

function configRows(config: ScheduleConfig, reportZone: string): SummaryRow[] {
  return [
    { name: 'Runs', value: `${scheduleText(config)}, ${clocksText(config.timezone ?? reportZone)}` },
    ...(config.startDate ? [{ name: 'First day', value: dateText(config.startDate) }] : []),
    ...(config.endDate ? [{ name: 'Last day', value: dateText(config.endDate) }] : []),
    ...(config.maxRuns ? [{ name: 'Ends after', value: counted(config.maxRuns, 'run') }] : []),
    { name: 'If one is not done', value: OVERLAPS[config.overlap ?? 'queue'] },
    { name: 'Missed runs', value: CATCH_UPS[config.catchup ?? 'latest'] },
  ]
}

function cutRows(cut: SegmentationConfig): SummaryRow[] {
  const retry = cut.retry_failed ?? true
  return [
    {
      name: 'Periods',
      value: `${CUTS[cut.type]}, ${counted(cut.parallel_limit ?? 10, 'at once', 'at once')}, ${ORDERS[cut.order ?? 'newest_first'].toLowerCase()}`,
    },
    { name: 'Attempts', value: retry ? `Up to ${cut.max_attempts ?? 5} for each period` : 'One for each period' },
    { name: 'Fetches', value: REPROCESS[cut.reprocess ?? 'missing'] },
    ...(cut.stop_after_failures
      ? [{ name: 'Stops after', value: counted(cut.stop_after_failures, 'failed period') }]
      : []),
  ]
}
