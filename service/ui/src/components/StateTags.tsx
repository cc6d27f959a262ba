/** The states of what runs, as tags. */
import type { Collection, Run, ScheduleSummary } from '../api/types'
import { RUN_STATUSES, SCHEDULE_STATUSES, STATUSES } from '../words'
import { Tag } from './Tag'

const RESULT_LOOKS = {
  pending: 'plain',
  in_progress: 'accent',
  completed: 'good',
  partial: 'care',
  failed: 'bad',
} as const

type Stood = Pick<Collection, 'backfill_status' | 'finished_at' | 'cancelled' | 'held' | 'paused' | 'held_by'>

/** How a collection stands: what a person did, or must do, comes before where it is. */
export function ResultTag({ result }: { result: Stood }) {
  const { backfill_status: status } = result
  if (result.cancelled) return <Tag>{result.finished_at ? 'Cancelled' : 'Being cancelled'}</Tag>
  if (!result.finished_at) {
    if (result.held || result.held_by) return <Tag look="care">Waits for a person</Tag>
    if (result.paused) return <Tag look="care">Paused</Tag>
  }
  return <Tag look={RESULT_LOOKS[status]}>{STATUSES[status]}</Tag>
}

export function ScheduleTag({ schedule }: { schedule: Pick<ScheduleSummary, 'status' | 'held'> }) {
  const { status, held } = schedule
  if (held && status === 'active') return <Tag look="accent">Waits for its history</Tag>
  return (
    <Tag look={({ active: 'good', paused: 'care', ended: 'plain' } as const)[status]}>{SCHEDULE_STATUSES[status]}</Tag>
  )
}

/** What became of a run: of one that has started, how its result stands. */
export function RunTag({ run }: { run: Run }) {
  const { status, backfill_status: result } = run
  if (status === 'started' && result) return <Tag look={RESULT_LOOKS[result]}>{STATUSES[result]}</Tag>
  const look = ({ waiting: 'plain', started: 'accent', missed: 'care', skipped: 'care' } as const)[status]
  return <Tag look={look}>{RUN_STATUSES[status]}</Tag>
}
