import { describe, expect, test } from 'vitest'
import { PROBLEM_WORDS, told } from './problem-words'
import { ApiProblem, ConnectionLost, FieldErrors, isAway, isPassing, isProblem, problemOf, sentence } from './problems'
import type { Problem } from './types'

function problem(changes: Partial<Problem> & Record<string, unknown> = {}): Problem {
  return { type: '', title: 'Some fields do not fit', status: 422, detail: 'x must fit', code: 'invalid', ...changes }
}

describe('a refusal', () => {
  test('has the fields of its code', () => {
    const error = new ApiProblem(problem({ code: 'duplicate_schedule', status: 409, schedule_id: 'abc' }), '/api/x')
    expect(error.extra).toEqual({ schedule_id: 'abc' })
    expect(isProblem(error, 'duplicate_schedule')).toBe(true)
    expect(isProblem(error, 'invalid')).toBe(false)
  })

  test('is told in words, with what to do', () => {
    for (const code of Object.keys(PROBLEM_WORDS) as (keyof typeof PROBLEM_WORDS)[]) {
      const words = told(new ApiProblem(problem({ code }), '/api/x'))
      expect(words.title.length).toBeGreaterThan(5)
      expect(words.remedy).toMatch(/[.]$/)
    }
  })

  test('that is a fault says when and where, for the operator', () => {
    const error = new ApiProblem(problem({ code: 'internal', status: 500 }), '/api/reports')
    expect(told(error).reference).toContain('500 /api/reports')
    expect(told(new ApiProblem(problem(), '/api/reports')).reference).toBeNull()
  })

  test('of a code that this page does not know yet is told in the API’s words', () => {
    const error = new ApiProblem(problem({ code: 'brand_new' as never, title: 'It is new', detail: 'wait' }), '/api/x')
    expect(told(error)).toMatchObject({ title: 'It is new', detail: 'Wait.' })
  })

  test('by something between is one too', () => {
    const error = problemOf('<html>', new Response('', { status: 502, statusText: 'Bad Gateway' }), '/api/x')
    expect(error.detail).toContain('502 Bad Gateway')
  })
})

test('a service that is away is told from one that refuses', () => {
  const answer = (status: number, type: string) => new Response('', { status, headers: { 'Content-Type': type } })
  expect([502, 503, 504].map((status) => isAway(answer(status, 'text/html')))).toEqual([true, true, true])
  expect(isAway(new Response(null, { status: 503 }))).toBe(true)
  expect(isAway(answer(503, 'application/problem+json'))).toBe(false)
  expect(isAway(answer(500, 'text/html'))).toBe(false)
  expect(isAway(answer(200, 'application/json'))).toBe(false)
})

test('what may pass is tried again by itself, and nothing else', () => {
  expect(isPassing(new ConnectionLost())).toBe(true)
  expect(isPassing(new ApiProblem(problem({ code: 'rate_limited', status: 429 }), '/api/x'))).toBe(true)
  expect(isPassing(new ApiProblem(problem(), '/api/x'))).toBe(false)
  expect(isPassing(new Error('a fault of the page'))).toBe(false)
})

describe('messages of fields', () => {
  const errors = FieldErrors.of(
    new ApiProblem(
      problem({
        errors: [
          { pointer: '/lookback_config/value', message: 'must be at least 1' },
          { pointer: '/parameters/asins/17', message: '"x" is not an ASIN' },
          { pointer: '/parameters/asins_old', message: 'is missing' },
        ],
      }),
      '/api/x',
    ),
  )

  test('are found by their pointers', () => {
    expect(errors.at('/lookback_config/value')).toBe('must be at least 1')
    expect(errors.at('/lookback_config')).toBeUndefined()
    expect(errors.within('/parameters/asins')).toHaveLength(1)
    expect(errors.without('/parameters').all).toHaveLength(1)
    expect(FieldErrors.of(new ConnectionLost()).all).toEqual([])
  })

  test('become sentences', () => {
    expect(sentence('must be at least 1')).toBe('It must be at least 1.')
    expect(sentence('"x" is not an ASIN')).toBe('"x" is not an ASIN.')
    expect(sentence('there is no such workflow; create it')).toBe('There is no such workflow; create it.')
  })
})
