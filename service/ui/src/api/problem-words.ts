/** What each of the API's codes tells a person here: what happened, and what to do. `docs/errors.md` tells programs. */

import { counted } from '../words'
import { ConnectionLost, isProblem, sentence } from './problems'
import type { ProblemCode } from './types'

type Words = {
  title: string
  remedy: string
  /** The API's `detail` says something that the words do not. */
  detailed?: true
}

const OPERATOR = 'Try again. If it stays, tell the operator the time and address below.'
const AGAIN = 'Try again in a moment.'
const RELOAD = 'Reload the page to see how it stands now, then repeat your change if it still makes sense.'

export const PROBLEM_WORDS: Record<ProblemCode, Words> = {
  bad_request: { title: 'That cannot be read', remedy: 'Check the address, or go back.', detailed: true },
  unauthenticated: { title: 'You are not signed in', remedy: 'Sign in and go on where you were.' },
  cross_origin: {
    title: 'The service does not know this address',
    remedy: 'Open Report Builder at its own address.',
    detailed: true,
  },
  csrf_token_wrong: { title: 'Your sign-in has changed', remedy: 'Reload the page and try again.' },
  forbidden: {
    title: 'You are not allowed to do this',
    remedy: 'Ask an administrator of your team for the right that is missing.',
    detailed: true,
  },
  not_found: {
    title: 'There is nothing here',
    remedy: 'It may belong to another team, or the address is not complete.',
    detailed: true,
  },
  method_not_allowed: { title: 'That cannot be done here', remedy: OPERATOR },
  version_conflict: { title: 'Someone else changed it at the same moment', remedy: RELOAD },
  already_exists: { title: 'It is there already', remedy: 'Use the one that is there.', detailed: true },
  already_submitted: {
    title: 'This report was submitted already',
    remedy: 'Its steps are closed. Open the report to see what it set to work.',
  },
  archived: { title: 'The workflow is archived', remedy: 'Take another workflow, or unarchive this one.' },
  not_archived: { title: 'The workflow is not archived', remedy: 'It can be used as it is.' },
  not_reviewed: {
    title: 'What was reviewed is not what stands now',
    remedy: 'Go back to the review, look at it again and confirm it.',
    detailed: true,
  },
  step_missing: { title: 'An earlier step is missing', remedy: 'Complete the steps in their order.', detailed: true },
  collection_state: { title: 'It is in another state by now', remedy: RELOAD, detailed: true },
  schedule_state: { title: 'The schedule is in another state by now', remedy: RELOAD, detailed: true },
  out_of_reach: {
    title: 'Amazon no longer has those days',
    remedy: 'Choose a window that begins later.',
    detailed: true,
  },
  log_rewound: { title: 'The service was restored to an earlier state', remedy: 'Reload the page.' },
  legal_hold: {
    title: 'A legal hold forbids it',
    remedy: 'Lift the hold first, if you may decide that.',
    detailed: true,
  },
  hold_state: { title: 'The hold stands otherwise by now', remedy: 'Reload the page.', detailed: true },
  person_erased: { title: 'Your person was erased', remedy: 'Sign in again; you are somebody new then.' },
  personal_values_erased: {
    title: 'Values were erased with the person who gave them',
    remedy: 'Go back to the parameters and give values of your own.',
    detailed: true,
  },
  account_held: {
    title: 'Amazon does not accept the account',
    remedy: 'An administrator has to connect it again.',
    detailed: true,
  },
  no_secret_key: {
    title: 'The service has no key to encrypt this with',
    remedy: 'The operator has to set one.',
    detailed: true,
  },
  half_known: { title: 'The service lost its place', remedy: OPERATOR },
  too_many_backfills: {
    title: 'You have as many histories running as you may',
    remedy: 'Wait until one has come to its end, then submit again. Nothing is lost.',
  },
  too_many_schedules: {
    title: 'You have as many active schedules as you may',
    remedy: 'Pause or end one, then submit again. Nothing is lost.',
  },
  duplicate_schedule: {
    title: 'Your team has this very schedule already',
    remedy: 'Use that one, or change the window, the times or the parameters of this one.',
  },
  table_too_large: { title: 'The table is too large for that format', remedy: 'Take CSV or Parquet.', detailed: true },
  stale: {
    title: 'Someone else changed this in the meantime',
    remedy: 'Look at their version, or save yours over it.',
  },
  body_too_large: { title: 'That is too much at once', remedy: 'Send less than 2 MB: shorten the longest list.' },
  unknown_host: {
    title: 'The service is not known by this name',
    remedy: 'Open it at its own address.',
    detailed: true,
  },
  invalid: { title: 'Some fields need another look', remedy: 'Correct what is marked, then try again.' },
  idempotency_key_reused: {
    title: 'This was sent before with another content',
    remedy: 'Reload the page and try again.',
  },
  cosignature_refused: { title: 'The signature cannot be taken', remedy: 'Check what was pasted.', detailed: true },
  rate_limited: { title: 'Too many requests in a short time', remedy: AGAIN },
  too_many_streams: { title: 'Too many live pages are open', remedy: 'Close some tabs of Report Builder.' },
  internal: { title: 'The service failed', remedy: OPERATOR },
  result_missing: { title: 'A stored result is not there', remedy: 'The operator has to put it back.', detailed: true },
  result_damaged: {
    title: 'A stored result is damaged',
    remedy: 'Run those days again, or have the operator put it back.',
    detailed: true,
  },
  event_altered: {
    title: 'A recorded event is not what was signed',
    remedy: 'Tell the operator at once.',
    detailed: true,
  },
  amazon_refused: { title: 'Amazon refused it', remedy: 'Correct what Amazon names, then try again.', detailed: true },
  amazon_unavailable: { title: 'Amazon does not answer', remedy: AGAIN, detailed: true },
  broker_unavailable: { title: 'A part of the service does not answer', remedy: AGAIN },
  issuer_unavailable: { title: 'The sign-in service does not answer', remedy: AGAIN },
  store_unavailable: { title: 'The store of results does not answer', remedy: AGAIN },
  overloaded: { title: 'The service is busy', remedy: `Nothing was recorded. ${AGAIN}` },
  database_unavailable: { title: 'The service’s database does not answer', remedy: AGAIN },
  projection_behind: { title: 'The newest changes are not shown yet', remedy: AGAIN },
  tree_behind: { title: 'The signed log has not come so far yet', remedy: AGAIN },
}

export type Told = {
  title: string
  detail: string | null
  remedy: string
  /** When and where it happened, for faults that a person can only pass on. */
  reference: string | null
}

/** Any error, in words. */
export function told(error: unknown): Told {
  if (error instanceof ConnectionLost) {
    return {
      title: 'The connection was lost',
      detail: null,
      remedy: 'Try again: nothing happens twice.',
      reference: null,
    }
  }
  if (isProblem(error)) {
    const words = PROBLEM_WORDS[error.code]
    if (words) {
      const detail = words.detailed && error.detail ? sentence(error.detail) : null
      const reference = error.status >= 500 ? `${error.at.toISOString()} · ${error.status} ${error.asked}` : null
      const soon = error.retryAfter ? `Try again in ${counted(error.retryAfter, 'second')}.` : AGAIN
      return { title: words.title, detail, remedy: words.remedy.replace(AGAIN, soon), reference }
    }
    return { title: error.title, detail: sentence(error.detail), remedy: OPERATOR, reference: error.code }
  }
  const message = error instanceof Error ? error.message : String(error)
  return {
    title: 'This page has failed',
    detail: sentence(message),
    remedy: 'Reload the page. If it stays, tell the operator.',
    reference: new Date().toISOString(),
  }
}
