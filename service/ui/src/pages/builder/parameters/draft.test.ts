import { describe, expect, test } from 'vitest'
import type { AvailableParameter } from '../../../api/types'
import { missing, type ParametersDraft, standIns, stepOf, valuesOf } from './draft'

function asked(
  name: string,
  input: AvailableParameter['input'],
  more: Partial<AvailableParameter> = {},
): AvailableParameter {
  return {
    name,
    input,
    data_type: 'STRING',
    kind: 'text',
    required: true,
    default: null,
    description: null,
    personal: false,
    ...more,
  }
}

const EMPTY: ParametersDraft = {
  workflowId: null,
  instanceId: null,
  values: {},
  lookback: { type: 'relative', value: 7, unit: 'days', align: 'trailing', dataDelayDays: 2 },
  timezone: null,
}

describe('the values of parameters', () => {
  test('are what was typed: ids and numbers as text, so that no digit is lost', () => {
    const values = valuesOf(
      { id: ' 123456789012345678 ', ids: 'B000000001\nB000000002', flag: 'false', note: ' as it is ' },
      [
        asked('id', 'whole_number'),
        asked('ids', 'list', { kind: 'asin' }),
        asked('flag', 'boolean'),
        asked('note', 'text'),
        asked('empty', 'text', { required: false }),
      ],
    )
    expect(values).toEqual({
      id: '123456789012345678',
      ids: ['B000000001', 'B000000002'],
      flag: 'false',
      note: ' as it is ',
    })
  })

  test('of another workflow stay where they are, and are not sent', () => {
    expect(valuesOf({ other: 'x' }, [asked('id', 'text')])).toEqual({})
  })

  test('have stand-ins for a window that is told before all are given', () => {
    expect(
      standIns([asked('a', 'list', { kind: 'asin' }), asked('b', 'date'), asked('c', 'text', { required: false })]),
    ).toEqual({
      a: ['B000000000'],
      b: '2020-01-01',
    })
  })
})

test('a step is sent when workflow, instance and window are there', () => {
  expect(stepOf(EMPTY, {})).toBeNull()
  expect(missing(EMPTY).map((problem) => problem.pointer)).toEqual(['/workflow_id', '/instance_id'])
  const whole = { ...EMPTY, workflowId: 'w', instanceId: 'i' }
  expect(missing(whole)).toEqual([])
  expect(stepOf(whole, { a: '1' })).toEqual({
    workflow_id: 'w',
    instance_id: 'i',
    parameters: { a: '1' },
    lookback_config: { type: 'relative', value: 7, unit: 'days', dataDelayDays: 2 },
  })
})
