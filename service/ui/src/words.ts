/** The words that people see for what the API calls otherwise; docs/glossary.md has the same table. */

import type { Frequency, ScheduleType, Step } from './api/types'
import { LOCALE } from './lib/locale'

export const SCHEDULE_TYPES: Record<ScheduleType, { name: string; says: string }> = {
  once: { name: 'Once', says: 'One window, now.' },
  scheduled: { name: 'Recurring', says: 'The same window again and again, on a schedule.' },
  backfill: { name: 'History', says: 'A long past window, fetched in periods.' },
  backfill_with_schedule: { name: 'History and recurring', says: 'The past now, and the schedule from here on.' },
}

export const STEPS: readonly { step: Step; name: string }[] = [
  { step: 'parameters', name: 'Parameters' },
  { step: 'schedule', name: 'Schedule' },
  { step: 'review', name: 'Review' },
  { step: 'submit', name: 'Submit' },
]

export const FREQUENCIES: Record<Frequency, string> = { daily: 'Daily', weekly: 'Weekly', monthly: 'Monthly' }

export const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const

/** How a window is cut; API: `segmentation_config.type`. */
export const CUTS = { daily: 'Days', weekly: 'Weeks', monthly: 'Months' } as const

export const OVERLAPS = {
  queue: 'The next one waits',
  skip: 'The next one is skipped',
  allow: 'Both run',
} as const

export const CATCH_UPS = {
  latest: 'Run the newest one',
  all: 'Run all of the last 7 days',
  none: 'Leave them out',
} as const

export const ORDERS = { newest_first: 'Newest first', oldest_first: 'Oldest first' } as const

export const REPROCESS = {
  missing: 'Only what is not there yet',
  failed: 'Only what failed before',
  all: 'Everything, also what is there',
} as const

/** Of a history or a result; API: `backfill_status`. */
export const STATUSES = {
  pending: 'Waiting',
  in_progress: 'Running',
  completed: 'Complete',
  partial: 'Complete in part',
  failed: 'Failed',
} as const

/** Of a report, before and after its submission. */
export const REPORT_STATUSES = { draft: 'Drafts', submitted: 'Submitted' } as const

export const SCHEDULE_STATUSES = { active: 'Active', paused: 'Paused', ended: 'Ended' } as const

/** What became of a run that has not started. */
export const RUN_STATUSES = { waiting: 'Waits', started: 'Started', missed: 'Missed', skipped: 'Skipped' } as const

/** Why a run was missed or skipped; API: `reason`. */
export const RUN_REASONS: Record<string, string> = {
  superseded: 'A newer one was due',
  too_old: 'Too late to be made up',
  catch_up_off: 'Missed runs are left out',
  changed: 'The schedule was changed',
  ended: 'The schedule was ended',
  overlap: 'The one before was not done',
  coalesced: 'A newer one waits in its place',
  out_of_reach: 'Amazon no longer has those days',
}

/** How a run came to start; API: `cause`. On time needs no word. */
export const RUN_CAUSES: Record<string, string> = {
  caught_up: 'made up for',
  waited: 'after the one before',
  run_now: 'asked for',
}

/** Why a schedule has ended; API: `end_cause`. */
export const END_CAUSES = {
  person: 'Somebody ended it',
  end_date: 'Its last day has passed',
  max_runs: 'It has had all its runs',
} as const

export const ACCOUNT_STATUSES = {
  connected: 'Connected',
  reconnect: 'Connect again',
  disconnected: 'Disconnected',
} as const

export const REGIONS = { NA: 'North America', EU: 'Europe', FE: 'Far East' } as const

/** How a workflow came to be as it is; API: `change`. */
export const VERSION_CHANGES = {
  created: 'Created',
  changed: 'Changed',
  archived: 'Archived',
  unarchived: 'Taken back from the archive',
} as const

/** What a new version of a workflow has changed; API: `fields`. */
export const WORKFLOW_FIELDS: Record<string, string> = { name: 'name', sql_query: 'SQL', parameters: 'parameters' }

/** What a parameter takes; API: `data_type`. */
export const DATA_TYPES = {
  STRING: 'Text',
  ARRAY: 'List of texts',
  INTEGER: 'Whole number',
  LONG: 'Whole number, large',
  SHORT: 'Whole number, small',
  BYTE: 'Whole number, very small',
  DECIMAL: 'Decimal number',
  DOUBLE: 'Floating-point number',
  FLOAT: 'Floating-point number, small',
  BOOLEAN: 'True or false',
  DATE: 'Day',
  TIMESTAMP: 'Day and time',
  CALENDAR_INTERVAL: 'Calendar interval',
  BINARY: 'Binary, as base64',
} as const

/** What its texts are, so that they can be checked; API: `kind`. */
export const KINDS = {
  text: 'Any text',
  asin: 'ASINs',
  campaign_id: 'Campaign ids',
  ad_group_id: 'Ad group ids',
  advertiser_id: 'Advertiser ids',
  creative_id: 'Creative ids',
  entity_id: 'Entity ids',
  line_item_id: 'Line item ids',
} as const

/** Why a message was given up; API: `reason`. */
export const DEATHS = {
  delivery_limit: 'Every worker that had it failed',
  unreadable: 'It cannot be read',
} as const

/** What a worker does for a period; API: `step`. */
export const WORK = { submit: 'Begin the execution', poll: 'Ask how it stands', fetch: 'Fetch its result' } as const

/** `1 day`, `1,000 days` */
export function counted(number: number, unit: string, plural = `${unit}s`): string {
  return `${number.toLocaleString(LOCALE)} ${number === 1 ? unit : plural}`
}

/** `a`, `a and b`, `a, b and c` */
export function listed(words: readonly string[]): string {
  if (words.length < 2) return words[0] ?? ''
  return `${words.slice(0, -1).join(', ')} and ${words[words.length - 1]}`
}

/** `1st`, `22nd`, `13th` */
export function ordinal(number: number): string {
  const tens = number % 100
  const ending = tens > 10 && tens < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][number % 10] ?? 'th')
  return `${number}${ending}`
}

const OURS: readonly [RegExp, string][] = [
  [/\bbackfill(s?)\b/g, 'histor$1'],
  [/\bBackfill(s?)\b/g, 'Histor$1'],
  [/\bhistors\b/g, 'histories'],
  [/\bhistor\b/g, 'history'],
  [/\bHistor\b/g, 'History'],
  [/\bsegment(s?)\b/g, 'period$1'],
  [/\bSegment(s?)\b/g, 'Period$1'],
  [/\bcollection(s?)\b/g, 'result$1'],
]

/** A sentence of the API in the words that people see. */
export function inOurWords(text: string): string {
  return OURS.reduce((said, [theirs, ours]) => said.replace(theirs, ours), text)
}
