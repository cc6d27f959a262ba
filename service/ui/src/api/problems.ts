/** What went wrong, as the interface knows it: the API's problem+json, or that nothing answered. */
import type { FieldProblem, Problem, ProblemCode } from './types'

export class ApiProblem extends Error {
  readonly status: number
  readonly code: ProblemCode
  readonly title: string
  readonly detail: string
  readonly errors: FieldProblem[]
  /** Fields that the code alone has, such as `schedule_id`. */
  readonly extra: Record<string, unknown>
  /** When it happened and what was asked: what an operator finds it by. */
  readonly at = new Date()
  readonly asked: string
  readonly retryAfter: number | null

  constructor(problem: Problem, asked: string, retryAfter: number | null = null) {
    super(`${problem.code}: ${problem.detail}`)
    const { status, code, title, detail, errors, type: _type, ...extra } = problem
    this.status = status
    this.code = code
    this.title = title
    this.detail = detail
    this.errors = errors ?? []
    this.extra = extra
    this.asked = asked
    this.retryAfter = retryAfter
  }
}

/** Nothing has answered: whether a write was recorded is not known. */
export class ConnectionLost extends Error {
  constructor() {
    super('The service cannot be reached.')
  }
}

/** Whether a proxy answers for a service that is away, as while it starts again: the service's own refusals are problems. */
export function isAway(response: Response): boolean {
  return AWAY.includes(response.status) && !response.headers.get('Content-Type')?.includes('application/problem+json')
}

const AWAY = [502, 503, 504]

export function isProblem(error: unknown, ...codes: ProblemCode[]): error is ApiProblem {
  return error instanceof ApiProblem && (codes.length === 0 || codes.includes(error.code))
}

/** The version that a thing has where a write named another: once that is told, sent again it is for this one. */
export function actualVersion(error: unknown): number | null {
  const version = isProblem(error, 'stale') ? error.extra.actual_version : null
  return typeof version === 'number' ? version : null
}

/** Reads an answer that is none of the good ones; what is no problem+json (a proxy's page, say) becomes one. */
export function problemOf(body: unknown, response: Response, asked: string): ApiProblem {
  const retryAfter = Number(response.headers.get('Retry-After')) || null
  if (isProblemBody(body)) return new ApiProblem(body, asked, retryAfter)
  const title = 'Something between you and the service answered'
  const detail = `It answered ${response.status} ${response.statusText}`.trim()
  return new ApiProblem(
    { type: '', title, status: response.status, detail: `${detail}.`, code: 'internal' },
    asked,
    retryAfter,
  )
}

function isProblemBody(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && 'detail' in body
}

/** Whether the same request may succeed in a moment, so that it is sent again by itself. */
export function isPassing(error: unknown): boolean {
  return (
    error instanceof ConnectionLost ||
    isProblem(
      error,
      'rate_limited',
      'overloaded',
      'database_unavailable',
      'projection_behind',
      'issuer_unavailable',
      'tree_behind',
    )
  )
}

/** The messages of a form's fields, by JSON pointer. */
export class FieldErrors {
  readonly all: FieldProblem[]

  constructor(problems: FieldProblem[] = []) {
    this.all = problems
  }

  static of(error: unknown): FieldErrors {
    return new FieldErrors(isProblem(error) ? error.errors : [])
  }

  /** What is said of this very field. */
  at(pointer: string): string | undefined {
    return this.all.find((problem) => problem.pointer === pointer)?.message
  }

  /** What is said of it, or of something within it. */
  within(pointer: string): FieldProblem[] {
    return this.all.filter((problem) => problem.pointer === pointer || problem.pointer.startsWith(`${pointer}/`))
  }

  without(...pointers: string[]): FieldErrors {
    return new FieldErrors(this.all.filter((problem) => !pointers.some((one) => problem.pointer.startsWith(one))))
  }
}

const OF_A_FIELD =
  /^(is|are|must|has|have|holds|names|counts|declares|calls|reads|does|can|cannot|starts|begins|ends|starts|gives|takes|repeats)\b/

/** A message of the API as a sentence: many say what a field must be, and leave out whose words they are. */
export function sentence(message: string): string {
  const text = message.trim()
  const whole = OF_A_FIELD.test(text) ? `it ${text}` : text
  const begun = whole.charAt(0).toUpperCase() + whole.slice(1)
  return /[.!?]$/.test(begun) ? begun : `${begun}.`
}
