/** Windows on a calendar: each month with the parts of windows that lie in it. */
import { endOfMonth, parseDate, startOfMonth } from '@internationalized/date'

export type Bar<T> = { item: T; index: number; from: number; to: number }
export type MonthBars<T> = { year: number; month: number; bars: Bar<T>[] }

/** Months in order, oldest first; `from` and `to` are days of the month, both included. */
export function monthBars<T extends { start: string; end: string }>(items: readonly T[]): MonthBars<T>[] {
  const months = new Map<string, MonthBars<T>>()
  items.forEach((item, index) => {
    const end = parseDate(item.end)
    for (let at = parseDate(item.start); at.compare(end) <= 0; at = startOfMonth(at).add({ months: 1 })) {
      const last = endOfMonth(at)
      const key = at.toString().slice(0, 7)
      const month = months.get(key) ?? { year: at.year, month: at.month, bars: [] }
      months.set(key, month)
      month.bars.push({ item, index, from: at.day, to: (last.compare(end) < 0 ? last : end).day })
    }
  })
  return [...months.entries()].sort(([a], [b]) => a.localeCompare(b)).map(([, month]) => month)
}
