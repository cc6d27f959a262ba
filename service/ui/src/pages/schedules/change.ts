/** What a change of a schedule sends: only what is another than it stands. */
import { isProblem } from '../../api/problems'
import type { AvailableParameter, ChangeSchedule, ParameterValues, Schedule } from '../../api/types'
import { type LookbackDraft, lookbackDraft, lookbackKey, lookbackOf } from '../builder/lookback'
import { typedOf, valuesOf } from '../builder/parameters/draft'
import { missing as missingStep, type ScheduleDraft, scheduleDraft, stepOf } from '../builder/schedule/draft'

export type ChangeDraft = {
  name: string
  lookback: LookbackDraft
  rules: ScheduleDraft
  values: Record<string, string>
  /** Takes over the workflow's SQL as it stands now. */
  newest: boolean
  reason: string
}

export function changeDraft(schedule: Schedule): ChangeDraft {
  const step = { schedule_type: 'scheduled' as const, schedule_config: schedule.schedule_config }
  return {
    name: schedule.name,
    lookback: lookbackDraft(schedule.lookback_config),
    rules: scheduleDraft(step, Number.POSITIVE_INFINITY),
    values: Object.fromEntries(Object.entries(schedule.parameters).map(([name, value]) => [name, typedOf(value)])),
    newest: false,
    reason: '',
  }
}

/** What a person can change of it, as text. Its version is another with each run that starts, too. */
export function changeable(schedule: Schedule): string {
  const { name, lookback_config, schedule_config, parameters, workflow_id, sql_query, declared_parameters } = schedule
  return JSON.stringify([
    name,
    lookback_config,
    schedule_config,
    parameters,
    workflow_id,
    sql_query,
    declared_parameters,
  ])
}

const TURNS = 4
const PAUSE = 300

/** Sends a change of this schedule. Where it has another version by now, and is still the same but for its runs, it is sent
 * again for that one. */
export async function sendChange<Answer>(
  schedule: Schedule,
  send: (version: number) => Promise<Answer>,
  read: () => Promise<Schedule>,
  pause = PAUSE,
): Promise<Answer> {
  let { version } = schedule
  for (let turn = 1; ; turn++) {
    try {
      return await send(version)
    } catch (error) {
      if (turn === TURNS || !isProblem(error, 'stale')) throw error
      const now = await read()
      if (changeable(now) !== changeable(schedule)) throw error
      // What is read may be behind what is recorded.
      if (now.version === version) await new Promise((resolve) => setTimeout(resolve, pause))
      version = now.version
    }
  }
}

export function rulesOf(draft: ChangeDraft): ScheduleConfigOf | null {
  const step = stepOf(draft.rules)
  const lookback = lookbackOf(draft.lookback)
  if (!lookback || step?.schedule_type !== 'scheduled') return null
  return { lookback_config: lookback, schedule_config: step.schedule_config }
}

type ScheduleConfigOf = Required<{
  lookback_config: NonNullable<ChangeSchedule['lookback_config']>
  schedule_config: NonNullable<ChangeSchedule['schedule_config']>
}>

/** Null while something is missing; empty where nothing is another. */
export function changeOf(
  draft: ChangeDraft,
  schedule: Schedule,
  asked: readonly AvailableParameter[],
): ChangeSchedule | null {
  const first = changeDraft(schedule)
  const [before, after] = [rulesOf(first), rulesOf(draft)]
  if (!after || !draft.name.trim()) return null
  const values = valuesOf(draft.values, asked)
  const changed: ChangeSchedule = {
    ...(draft.name.trim() === schedule.name ? {} : { name: draft.name.trim() }),
    ...(lookbackKey(after.lookback_config) === lookbackKey(schedule.lookback_config)
      ? {}
      : { lookback_config: after.lookback_config }),
    ...(JSON.stringify(after.schedule_config) === JSON.stringify(before?.schedule_config)
      ? {}
      : { schedule_config: after.schedule_config }),
    ...(sameValues(values, valuesOf(first.values, asked)) ? {} : { parameters: values }),
    ...(draft.newest ? { workflow_id: schedule.workflow_id } : {}),
  }
  const reason = draft.reason.trim()
  return Object.keys(changed).length > 0 && reason ? { ...changed, reason } : changed
}

function sameValues(a: ParameterValues, b: ParameterValues): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** What the form asks for before it sends anything. */
export function missing(draft: ChangeDraft): { pointer: string; message: string }[] {
  const found = missingStep(draft.rules)
  if (!draft.name.trim()) found.unshift({ pointer: '/name', message: 'give it a name' })
  if (!lookbackOf(draft.lookback)) {
    const relative = draft.lookback.type === 'relative'
    found.push({
      pointer: relative ? '/lookback_config/value' : '/lookback_config/startDate',
      message: relative ? 'give a number of at least 1' : 'give a first and a last day',
    })
  }
  return found
}
