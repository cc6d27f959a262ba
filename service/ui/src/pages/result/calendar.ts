/** Where the periods of a window stand on a calendar: days in months, weeks in months, months in quarters. */
import { endOfMonth, getDayOfWeek, parseDate } from '@internationalized/date'
import type { Segment } from '../../api/types'
import { monthName } from '../../lib/dates'

export type Cut = 'daily' | 'weekly' | 'monthly'

/** A row with as many slots as its table has columns; null where no period begins. */
export type CalendarRow = { name: string; slots: readonly (Slot | null)[] }
export type Slot = { key: string; segment: Segment; pieces: readonly Segment[] }
export type CalendarTable = { key: string; title: string; columns: readonly string[]; rows: readonly CalendarRow[] }

const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']

/** Each period with the pieces that it was cut into. */
export function slotsOf(segments: readonly Segment[]): Slot[] {
  const cut = segments.filter((segment) => segment.skip_reason === 'split')
  const within = (segment: Segment, outer: Segment) =>
    segment !== outer && segment.week_start >= outer.week_start && segment.week_end <= outer.week_end
  const piece = new Set(segments.filter((segment) => cut.some((outer) => within(segment, outer))))
  return segments
    .filter((segment) => !piece.has(segment))
    .map((segment) => ({
      key: segment.segment_id,
      segment,
      pieces:
        segment.skip_reason === 'split'
          ? segments.filter((each) => within(each, segment) && each.skip_reason !== 'split')
          : [],
    }))
    .sort((a, b) => a.segment.week_start.localeCompare(b.segment.week_start))
}

export function calendarOf(segments: readonly Segment[], cut: Cut): CalendarTable[] {
  const slots = slotsOf(segments)
  return cut === 'daily' ? days(slots) : cut === 'weekly' ? [weeks(slots)] : [months(slots)]
}

/** By the text of what they share. */
function grouped(slots: readonly Slot[], length: number): Map<string, Slot[]> {
  const groups = new Map<string, Slot[]>()
  for (const slot of slots) {
    const key = slot.segment.week_start.slice(0, length)
    const group = groups.get(key)
    if (group) group.push(slot)
    else groups.set(key, [slot])
  }
  return groups
}

/** A table for each month, a row for each of its weeks. */
function days(slots: readonly Slot[]): CalendarTable[] {
  return [...grouped(slots, 7)].map(([key, ofMonth]) => {
    const first = parseDate(`${key}-01`)
    const byDay = new Map(ofMonth.map((slot) => [Number(slot.segment.week_start.slice(8)), slot]))
    const offset = getDayOfWeek(first, 'en-GB')
    const count = endOfMonth(first).day
    const rows: CalendarRow[] = []
    for (let begin = 1 - offset; begin <= count; begin += 7) {
      const row = Array.from({ length: 7 }, (_, index) => byDay.get(begin + index) ?? null)
      if (row.some((slot) => slot)) rows.push({ name: '', slots: row })
    }
    return { key, title: `${monthName(first.month)} ${first.year}`, columns: WEEKDAYS, rows }
  })
}

const NTH = ['1st week', '2nd week', '3rd week', '4th week', '5th week', '6th week']

/** A row for each month, with the weeks that begin in it. */
function weeks(slots: readonly Slot[]): CalendarTable {
  const groups = [...grouped(slots, 7)]
  const width = Math.max(...groups.map(([, group]) => group.length), 1)
  const rows = groups.map(([key, group]) => ({
    name: `${monthName(Number(key.slice(5)))} ${key.slice(0, 4)}`,
    slots: Array.from({ length: width }, (_, index) => group[index] ?? null),
  }))
  return { key: 'weeks', title: 'Weeks', columns: NTH.slice(0, width), rows }
}

/** A row for each quarter, with its months. */
function months(slots: readonly Slot[]): CalendarTable {
  const rows = new Map<string, (Slot | null)[]>()
  for (const slot of slots) {
    const month = Number(slot.segment.week_start.slice(5, 7)) - 1
    const name = `${slot.segment.week_start.slice(0, 4)}, quarter ${Math.floor(month / 3) + 1}`
    const row = rows.get(name) ?? [null, null, null]
    row[month % 3] = slot
    rows.set(name, row)
  }
  return {
    key: 'months',
    title: 'Months',
    columns: ['1st month', '2nd month', '3rd month'],
    rows: [...rows].map(([name, slots]) => ({ name, slots })),
  }
}
