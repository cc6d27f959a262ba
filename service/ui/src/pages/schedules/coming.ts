/** A run that is to come, as the preview has it, or as the answer to a change has it. */
import { localText, momentText } from '../../lib/dates'

export type ComingRun = {
  nominal: string | null
  window_start: string | null
  window_end: string | null
  utc?: string
  instant?: string
}

function momentOf({ utc, instant }: ComingRun): string {
  return utc ?? instant ?? ''
}

/** When it runs, where the reader's clocks then show another time; else empty. */
export function ownClock(run: ComingRun): string {
  const moment = momentOf(run)
  if (!moment || !run.nominal) return ''
  return localText(run.nominal).endsWith(momentText(moment)) ? '' : moment
}

/** Whether it runs at the same moment, by the same clocks, with the same days. */
export function sameRun(a: ComingRun, b: ComingRun | undefined): boolean {
  return b !== undefined && textOf(a) === textOf(b)
}

function textOf(run: ComingRun): string {
  return [run.nominal, Date.parse(momentOf(run)), run.window_start, run.window_end].join(' ')
}
