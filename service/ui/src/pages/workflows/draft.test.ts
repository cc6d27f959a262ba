import { describe, expect, test } from 'vitest'
import { compared, missing, NO_PARAMETER, workflowDraft, workflowOf } from './draft'

const SQL =
  "SELECT a -- CUSTOM_PARAMETER('no')\nFROM t WHERE a IN (CUSTOM_PARAMETER('asins')) AND b = custom_parameter( 'b' )"

describe('a workflow', () => {
  test('is sent as it was read', () => {
    const saved = {
      name: 'Reach',
      sql_query: SQL,
      parameters: [
        { name: 'asins', data_type: 'ARRAY' as const, kind: 'asin' as const, default: ['B000000001'] },
        { name: 'b', data_type: 'STRING' as const, description: 'What b is.', personal: true },
        { name: 'least', data_type: 'LONG' as const, default: 10 },
      ],
    }
    expect(workflowOf(workflowDraft(saved))).toEqual({
      name: 'Reach',
      sql_query: SQL,
      parameters: [
        { name: 'asins', data_type: 'ARRAY', kind: 'asin', default: ['B000000001'] },
        { name: 'b', data_type: 'STRING', description: 'What b is.', personal: true },
        { name: 'least', data_type: 'LONG', default: '10' },
      ],
    })
  })

  test('an array in the API’s long form is a list', () => {
    const [parameter] = workflowDraft({
      name: 'x',
      sql_query: 'x',
      parameters: [{ name: 'a', data_type: { type: 'ARRAY' } }],
    }).parameters
    expect(parameter?.type).toBe('ARRAY')
  })

  test('tells what its SQL reads and what is declared apart', () => {
    const draft = {
      name: 'x',
      sql: SQL,
      parameters: [
        { ...NO_PARAMETER, name: 'b' },
        { ...NO_PARAMETER, name: 'c' },
      ],
    }
    expect(compared(draft)).toEqual({ undeclared: ['asins'], unread: ['c'] })
  })

  test('says what is missing by its field', () => {
    expect(missing({ name: '', sql: ' ', parameters: [NO_PARAMETER] }).map((each) => each.pointer)).toEqual([
      '/name',
      '/sql_query',
      '/parameters/0/name',
    ])
  })
})
