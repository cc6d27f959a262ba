/** When the rows that are drawn are read again, as more of them has arrived. */

/** While more arrives the chart is drawn anew so often. */
const AGAIN = 10_000
/** The longest pause after a read that failed. */
const LONGEST = 120_000

type Reads = {
  /** When they were last read, and when that last failed; 0 for never. */
  dataUpdatedAt: number
  errorUpdatedAt: number
  over: boolean
}

/** After a failure the pause is as long as it has been failing: it doubles each time. */
export function nextRead({ dataUpdatedAt, errorUpdatedAt, over }: Reads): number {
  if (errorUpdatedAt <= dataUpdatedAt) return over ? dataUpdatedAt : dataUpdatedAt + AGAIN
  return errorUpdatedAt + Math.min(LONGEST, Math.max(AGAIN, errorUpdatedAt - dataUpdatedAt))
}
