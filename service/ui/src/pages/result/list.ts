/** The periods of a list: which of them, in which order. */
import type { Segment } from '../../api/types'
import { type PeriodState, stateOf } from './progress'
import { periodText, stateText } from './words'

export const COLUMNS = ['period', 'state', 'rows', 'attempts', 'took'] as const
export type Column = (typeof COLUMNS)[number]
export type Order = { by: Column; descending: boolean }

/** What asks for a look comes first. */
const RANK: Record<PeriodState, number> = {
  failed: 0,
  stuck: 1,
  retry: 2,
  work: 3,
  turn: 4,
  provisional: 5,
  done: 6,
  there: 7,
  pieces: 8,
  left: 9,
  cancelled: 10,
}

/** How long the current attempt took, in seconds; null where it is not over. */
export function tookSeconds({ dispatched_at: from, finished_at: to }: Segment): number | null {
  if (!from || !to) return null
  return Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000)
}

function sortedBy(segment: Segment, by: Column): number | string | null {
  switch (by) {
    case 'period':
      return segment.week_start
    case 'state':
      return RANK[stateOf(segment)]
    case 'rows':
      return segment.row_count
    case 'attempts':
      return segment.attempts
    case 'took':
      return tookSeconds(segment)
  }
}

/** In this order; what has no value comes last either way, and equals stand newest first. */
export function ordered(segments: readonly Segment[], { by, descending }: Order): Segment[] {
  return [...segments].sort((a, b) => {
    const [x, y] = [sortedBy(a, by), sortedBy(b, by)]
    if (x === null || y === null) return Number(x === null) - Number(y === null)
    const order = x < y ? -1 : x > y ? 1 : 0
    return order === 0 ? b.week_start.localeCompare(a.week_start) : descending ? -order : order
  })
}

/** Those of a state in which all that was typed is found: days, execution ids, errors. */
export function filtered(segments: readonly Segment[], state: PeriodState | 'all', typed: string): Segment[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean)
  return segments.filter((segment) => {
    if (state !== 'all' && stateOf(segment) !== state) return false
    if (words.length === 0) return true
    const { week_start, week_end, amc_execution_id: execution, error } = segment
    const text = `${periodText(segment)} ${week_start} ${week_end} ${execution ?? ''} ${error ?? ''} ${stateText(segment)}`
    return words.every((word) => text.toLowerCase().includes(word))
  })
}
