/** The first step as its form has it, and as the API takes it. */
import type {
  AvailableParameter,
  Instance,
  ParametersStep,
  ParameterValue,
  ParameterValues,
  Report,
  ZoneName,
} from '../../../api/types'
import { readList, writeList } from '../../../lib/lists'
import { LAST_7_DAYS, type LookbackDraft, lookbackDraft, lookbackOf } from '../lookback'

export type ParametersDraft = {
  workflowId: string | null
  instanceId: string | null
  /** Values as they are typed, by name; nothing is what the default stands for. */
  values: Record<string, string>
  lookback: LookbackDraft
  /** Null: the instance's. */
  timezone: ZoneName | null
}

export function parametersDraft(report: Report, instances: readonly Instance[]): ParametersDraft {
  const saved = report.parameters
  if (!saved) {
    const only = instances.length === 1 ? instances[0] : undefined
    const instanceId = only?.instance_id ?? null
    return { workflowId: null, instanceId, values: {}, lookback: LAST_7_DAYS, timezone: null }
  }
  const zone = instances.find((each) => each.instance_id === saved.instance_id)?.time_zone
  return {
    workflowId: saved.workflow_id,
    instanceId: saved.instance_id,
    values: Object.fromEntries(Object.entries(saved.parameters).map(([name, value]) => [name, typedOf(value)])),
    lookback: lookbackDraft(saved.lookback_config),
    timezone: saved.timezone === zone ? null : (saved.timezone as ZoneName),
  }
}

export function textOf(value: ParameterValue): string {
  return Array.isArray(value) ? value.join('\n') : value === null ? '' : String(value)
}

/** The value as it would be typed into its field. */
export function typedOf(value: ParameterValue): string {
  return Array.isArray(value) ? writeList(value) : textOf(value)
}

export function isIds(parameter: AvailableParameter): boolean {
  return parameter.kind !== 'text'
}

/** The values that were given, each as its text: the API reads it by the declared type, and keeps all digits. */
export function valuesOf(typed: ParametersDraft['values'], asked: readonly AvailableParameter[]): ParameterValues {
  const given: ParameterValues = {}
  for (const parameter of asked) {
    const text = typed[parameter.name] ?? ''
    if (parameter.input === 'list') {
      const { entries } = readList(text, isIds(parameter))
      if (entries.length > 0) given[parameter.name] = entries.map((entry) => entry.value)
    } else if (parameter.input === 'text' ? text !== '' : text.trim() !== '') {
      given[parameter.name] = parameter.input === 'text' ? text : text.trim()
    }
  }
  return given
}

/** A value that fits, for each parameter: a window does not depend on them, and is told before all are given. */
export function standIns(asked: readonly AvailableParameter[]): ParameterValues {
  return Object.fromEntries(asked.filter((each) => each.required).map((each) => [each.name, standIn(each)]))
}

const OF_KIND: Record<string, string> = { asin: 'B000000000', entity_id: 'ENTITY1', text: 'x' }
const OF_TYPE: Record<string, string> = { CALENDAR_INTERVAL: 'P1D', BINARY: 'AA==' }

function standIn(parameter: AvailableParameter): ParameterValue {
  const type = typeof parameter.data_type === 'string' ? parameter.data_type : 'ARRAY'
  const text = OF_TYPE[type] ?? OF_KIND[parameter.kind] ?? '1'
  const fitting: Record<AvailableParameter['input'], ParameterValue> = {
    text,
    list: [text],
    whole_number: '1',
    number: '1',
    boolean: 'true',
    date: '2020-01-01',
    timestamp: '2020-01-01T00:00:00',
  }
  return fitting[parameter.input]
}

/** The step as it is sent; null while workflow, instance or window are missing. */
export function stepOf(draft: ParametersDraft, values: ParameterValues): ParametersStep | null {
  const lookback = lookbackOf(draft.lookback)
  if (!draft.workflowId || !draft.instanceId || !lookback) return null
  return {
    workflow_id: draft.workflowId,
    instance_id: draft.instanceId,
    lookback_config: lookback,
    parameters: values,
    ...(draft.timezone ? { timezone: draft.timezone } : {}),
  }
}

/** What the form asks for before it sends anything. */
export function missing(draft: ParametersDraft): { pointer: string; message: string }[] {
  const found: { pointer: string; message: string }[] = []
  if (!draft.workflowId) found.push({ pointer: '/workflow_id', message: 'choose a workflow' })
  if (!draft.instanceId) found.push({ pointer: '/instance_id', message: 'choose an instance' })
  if (!lookbackOf(draft.lookback)) {
    const relative = draft.lookback.type === 'relative'
    found.push({
      pointer: relative ? '/lookback_config/value' : '/lookback_config/startDate',
      message: relative ? 'give a number of at least 1' : 'give a first and a last day',
    })
  }
  return found
}
