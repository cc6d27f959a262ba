import { describe, expect, test } from 'vitest'
import { ApiProblem } from '../../api/problems'
import { standing } from './standing'

function refusal(...pointers: string[]): ApiProblem {
  const errors = pointers.map((pointer) => ({ pointer, message: 'does not fit' }))
  return new ApiProblem({ type: '', title: '', status: 422, detail: '', code: 'invalid', errors }, '/api/x')
}

const SENT = {
  workflow_id: 'w',
  parameters: { asins: ['good', 'bad', 'worse'] },
  lookback_config: { type: 'relative', value: 500 },
}

describe('a refusal', () => {
  const error = refusal('/parameters/asins/1', '/parameters/since', '/lookback_config/value')
  const left = (now: object | null) => standing(error, SENT, now).all.map((problem) => problem.pointer)

  test('stands while nothing is changed, and before it is known what was sent', () => {
    expect(left(structuredClone(SENT))).toHaveLength(3)
    expect(standing(error, undefined, null).all).toHaveLength(3)
  })

  test('leaves what is corrected, and goes by no place in a list that has changed', () => {
    expect(left({ ...SENT, parameters: { asins: ['good', 'worse'] } })).toEqual([
      '/parameters/since',
      '/lookback_config/value',
    ])
    expect(left({ ...SENT, parameters: { ...SENT.parameters, since: '2026-01-01' } })).not.toContain(
      '/parameters/since',
    )
    expect(left({ ...SENT, lookback_config: { type: 'relative', value: 50 } })).toHaveLength(2)
  })

  test('of a parameter is of that workflow’s', () => {
    expect(left({ ...SENT, workflow_id: 'other' })).toEqual(['/lookback_config/value'])
  })

  test('says nothing of a step that cannot be read', () => {
    expect(left(null)).toEqual([])
  })
})
