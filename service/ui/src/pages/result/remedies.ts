/** What to do about a period that has failed, as far as its error tells. */
import type { Segment } from '../../api/types'
import { daysOf } from '../../lib/dates'

const REMEDIES: readonly [RegExp, string][] = [
  [/timed? ?out|too long|exceeded.*time|6 hours/i, 'Amazon needed too long. Fetch it in pieces, or simplify the SQL.'],
  [
    /column|syntax|sql|table|parameter|validat/i,
    'Amazon does not take the SQL or its values. Change the workflow, then start a new report: a retry alone gives the same answer.',
  ],
  [/429|too many|throttl|limit/i, 'Amazon was too busy. Retry it later.'],
  [/5\d\d|unavailable|internal/i, 'Amazon had a fault of its own. Retry it.'],
  [/row of more than|bytes|too large/i, 'The result is too large. Fetch it in pieces.'],
  [/cancel/i, 'Somebody ended it at Amazon. Retry it if that was not meant.'],
  [
    /access|denied|permission|unauthor|forbidden/i,
    'Amazon does not let the account do this. Have an administrator look at it, then retry.',
  ],
]

export function remedyFor({ error, week_start, week_end }: Segment): string {
  const found = REMEDIES.find(([pattern]) => pattern.test(error ?? ''))?.[1]
  const pieces = daysOf(week_start, week_end) > 1
  const usual = pieces ? 'Retry it. If it fails again, fetch it in pieces.' : 'Retry it.'
  return !found || (!pieces && found.includes('in pieces'))
    ? found
      ? found.replace('Fetch it in pieces, or simplify', 'Simplify')
      : usual
    : found
}
