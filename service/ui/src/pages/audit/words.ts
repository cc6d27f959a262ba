/** What the pages of the log call events, things and their fields. */
import type { ActivityItem } from '../../api/types'
import { LOCALE } from '../../lib/locale'
import { CUTS, ORDERS, REPROCESS, SCHEDULE_STATUSES, SCHEDULE_TYPES, STATUSES, STEPS, WEEKDAYS } from '../../words'
import { EVENT_WORDS as OF_PERIODS } from '../result/words'

/** What a stream is about; API: `entity`. */
export const THINGS: Record<ActivityItem['entity'], string> = {
  report: 'Report',
  collection: 'Result',
  segment: 'Period',
  schedule: 'Schedule',
  workflow: 'Workflow',
  instance: 'Instance',
  account: 'Account',
  team: 'Team',
  letter: 'Dead letter',
  person: 'Person',
  log: 'Log',
}

/** What happened; API: `event_type`. */
export const EVENTS: Record<string, string> = {
  ...OF_PERIODS,
  'account.connected': 'Account connected',
  'account.disconnected': 'Account disconnected',
  'account.limits_set': 'Limits of the account set',
  'account.reconnected': 'Account connected again',
  'account.revoked': 'Amazon no longer accepts the account',
  'collection.cancelled': 'Cancelled',
  'collection.changed': 'How it runs was changed',
  'collection.created': 'Set to work',
  'collection.finished': 'Came to its end',
  'collection.held': 'Stopped: it waits for a person',
  'collection.moved_to_front': 'Moved to the front',
  'collection.paused': 'Paused',
  'collection.resumed': 'Resumed',
  'collection.retried': 'What had failed was run again',
  'collection.segment_split': 'A period was cut into pieces',
  'instance.added': 'Instance added',
  'instance.changed': 'Instance changed',
  'instance.grant_revoked': 'Taken back from another team',
  'instance.granted': 'Granted to another team',
  'letter.discarded': 'Dead letter discarded',
  'letter.resent': 'Dead letter sent again',
  'log.epoch_begun': 'Restored to an earlier state',
  'log.key_rotated': 'Signing key changed',
  'log.projection_rebuilt': 'Tables built anew',
  'person.erased': 'Person erased',
  'person.hold_lifted': 'Legal hold lifted',
  'person.hold_placed': 'Legal hold placed',
  'report.check_started': 'Test run begun',
  'report.checked': 'Test run came back',
  'report.created': 'Report begun',
  'report.parameters_set': 'Parameters saved',
  'report.reviewed': 'Reviewed',
  'report.schedule_set': 'Schedule saved',
  'report.submitted': 'Submitted',
  'schedule.changed': 'Window or parameters changed',
  'schedule.created': 'Schedule begun',
  'schedule.ended': 'Ended',
  'schedule.held': 'Waits for its history',
  'schedule.paused': 'Paused',
  'schedule.released': 'Started, as its history is done or somebody said so',
  'schedule.rescheduled': 'Times changed',
  'schedule.resumed': 'Resumed',
  'schedule.run_missed': 'A run was missed',
  'schedule.run_skipped': 'A run was skipped',
  'schedule.run_started': 'A run started',
  'schedule.run_waiting': 'A run waits for the one before',
  'team.backfill_ended': 'A history of the team ended',
  'team.backfill_started': 'A history of the team began',
  'team.limits_set': 'Limits of the team set',
  'team.schedule_activated': 'A schedule of the team became active',
  'team.schedule_deactivated': 'A schedule of the team is no longer active',
  'workflow.archived': 'Archived',
  'workflow.changed': 'Workflow changed',
  'workflow.created': 'Workflow created',
  'workflow.unarchived': 'Taken back from the archive',
}

export function eventText(type: string): string {
  return EVENTS[type] ?? type
}

/** The tables that a state is of, and what of them is said. */
export const TABLES: Record<string, { name: string; folded?: true }> = {
  reports: { name: 'The report' },
  report_steps: { name: 'Times of its steps', folded: true },
  report_data_collections: { name: 'The result' },
  report_data_weeks: { name: 'Period' },
  workflow_schedules: { name: 'The schedule' },
  schedule_runs: { name: 'Run' },
  team_limits: { name: 'The team’s limits' },
  amc_instances: { name: 'The instance' },
  instance_grants: { name: 'Grant' },
  workflows: { name: 'The workflow' },
  amc_account_states: { name: 'The account' },
}

const FIELDS: Record<string, string> = {
  amc_execution_id: 'AMC execution',
  as_of: 'As of',
  backfill_config: 'History',
  backfill_status: 'State',
  catchup: 'Missed runs',
  catch_up: 'Missed runs',
  collection_id: 'Result',
  created_at: 'Begun',
  dataDelayDays: 'days back for complete data',
  dayOfMonth: 'day of the month',
  daysOfWeek: 'days of the week',
  hold_schedule: 'schedule waits for the history',
  instance_id: 'Instance',
  lookback_config: 'Window of each run',
  max_attempts: 'attempts at most',
  newest_first: 'Newest first',
  next_step: 'Next step',
  null_count: 'Empty values',
  parallel_limit: 'at once',
  parameters: 'Parameters',
  report_id: 'Report',
  row_count: 'Rows',
  schedule_config: 'Times',
  schedule_id: 'Schedule',
  schedule_type: 'Kind',
  segmentation_config: 'Periods',
  segments_total: 'Periods in all',
  sql_query: 'SQL',
  sql_taken: 'SQL taken by Amazon',
  startDate: 'first day',
  endDate: 'last day',
  stop_after_failures: 'stops after failures',
  timezone: 'Time zone',
  user_id: 'Person',
  week_end: 'Last day',
  week_start: 'First day',
  weekStart: 'week begins on',
  window_end: 'Window to',
  window_start: 'Window from',
  workflow_id: 'Workflow',
}

function fieldText(name: string, first: boolean): string {
  // Within another it is not a day of a period, but a rule.
  const known = FIELDS[!first && name === 'week_start' ? 'weekStart' : name]
  const said =
    known ??
    name
      .replaceAll('_', ' ')
      .replace(/([a-z])([A-Z])/g, '$1 $2')
      .toLowerCase()
      .replace(/\bsegments?\b/g, (word) => word.replace('segment', 'period'))
      .replace(/\bsql\b/g, 'SQL')
      .replace(/\bamc\b/g, 'AMC')
  const begun = said.charAt(0)
  const keeps = /^[A-Z]{2}/.test(said)
  return (first || keeps ? begun.toUpperCase() : begun.toLowerCase()) + said.slice(1)
}

/** Whether what is within is named by people, as a workflow's parameters are. */
function isOwn(name: string | undefined): boolean {
  return name === 'parameters' || name === 'parameter_values'
}

/** `Window of each run: value` */
export function pathText(path: readonly string[]): string {
  // What only holds another is not said.
  const names = path.length > 1 && path[0] === 'schedule' ? path.slice(1) : path
  return names.map((name, index) => (isOwn(names[index - 1]) ? name : fieldText(name, index === 0))).join(': ')
}

const VALUES: Record<string, Readonly<Record<string, string>>> = {
  backfill_status: STATUSES,
  next_step: Object.fromEntries(STEPS.map(({ step, name }) => [step, name])),
  order: ORDERS,
  reprocess: REPROCESS,
  schedule_type: Object.fromEntries(Object.entries(SCHEDULE_TYPES).map(([type, { name }]) => [type, name])),
  lane: { bulk: 'History', interactive: 'Once, or a run of a schedule' },
  status: { draft: 'Draft', submitted: 'Submitted', ...STATUSES, ...SCHEDULE_STATUSES },
  type: { ...CUTS, relative: 'Counted back', custom: 'Fixed days' },
}

/** A number; one that stands for a day of the week by its name. */
export function numberText(name: string | undefined, value: number): string {
  const day = name === 'week_start' || name === 'weekStart' ? WEEKDAYS[value - 1] : undefined
  return day ?? value.toLocaleString(LOCALE)
}

/** A text of the API as people see it, by the name of its field. */
export function valueText(name: string | undefined, value: string): string {
  const known = name === undefined ? undefined : VALUES[name]
  return known && Object.hasOwn(known, value) ? (known[value] ?? value) : value
}
