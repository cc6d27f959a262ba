/** What the overview counts, by day and by brand. */
import type { Collection, ScheduleSummary } from '../../api/types'
import { LOCALE } from '../../lib/locale'
import { counted, listed } from '../../words'

/** The day's beginning by the reader's clocks, as the API writes moments. */
export function startOfDay(now: Date): string {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate()).toISOString()
}

/** Whether something of it has happened since: begun, ended, or still at it. */
export function ranSince(result: Collection, since: string): boolean {
  const moments = [result.started_at, result.finished_at]
  return moments.some((moment) => moment !== null && moment >= since) || isRunning(result)
}

export function isRunning(result: Collection): boolean {
  return !result.finished_at && !result.held && !result.paused && !result.held_by
}

/** Whether it has come to an end without all that it should have. */
export function hasFailed(result: Collection): boolean {
  return result.finished_at !== null && !result.cancelled && result.segments_failed > 0
}

export type Counts = { complete: number; running: number; failed: number; cancelled: number; waiting: number }

export function countsOf(results: readonly Collection[]): Counts {
  return {
    complete: results.filter((each) => each.backfill_status === 'completed' && !each.cancelled).length,
    running: results.filter(isRunning).length,
    failed: results.filter(hasFailed).length,
    cancelled: results.filter((each) => each.finished_at && each.cancelled).length,
    waiting: results.filter((each) => !each.finished_at && !isRunning(each)).length,
  }
}

/** `5 complete, 1 running and 2 failed`; nothing of what there is none. */
export function countsText({ complete, running, failed, cancelled, waiting }: Counts): string {
  const said = [
    complete > 0 && `${complete.toLocaleString(LOCALE)} complete`,
    running > 0 && `${running.toLocaleString(LOCALE)} running`,
    failed > 0 && `${failed.toLocaleString(LOCALE)} failed`,
    cancelled > 0 && `${cancelled.toLocaleString(LOCALE)} cancelled`,
    waiting > 0 && `${waiting.toLocaleString(LOCALE)} held up`,
  ]
  return listed(said.filter((each) => each !== false))
}

/** What the day was, in a sentence. */
export function dayText(counts: Counts, ran: number, waits: number): string {
  const said = countsText(counts)
  const day = ran === 0 ? 'Nothing has run today yet.' : `${counted(ran, 'result')} today${said && `: ${said}`}.`
  const persons =
    waits === 0
      ? 'Nothing waits for a person.'
      : `${counted(waits, 'thing')} ${waits === 1 ? 'waits' : 'wait'} for a person.`
  return `${day} ${persons}`
}

export type Reach = { key: string; name: string; reportId: string | null; through: string | null }

/** To which day there is data, by report: the newest day of all its results. Reports of one name without an id are one. */
export function reachByReport(results: readonly Collection[]): Reach[] {
  const found = new Map<string, Reach>()
  for (const each of results) {
    const key = each.report_id ?? each.name
    const before = found.get(key)
    const through =
      [before?.through, each.complete_through]
        .filter((day) => day != null)
        .sort()
        .at(-1) ?? null
    found.set(key, { key, name: before?.name ?? each.name, reportId: each.report_id, through })
  }
  return [...found.values()].sort((a, b) => (b.through ?? '').localeCompare(a.through ?? ''))
}

/** The next runs of all schedules, the soonest first. */
export function nextRuns(schedules: readonly ScheduleSummary[]): ScheduleSummary[] {
  return schedules
    .filter((each) => each.next_run_at !== null)
    .sort((a, b) => (a.next_run_at ?? '').localeCompare(b.next_run_at ?? ''))
}
