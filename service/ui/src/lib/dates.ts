/** Dates for people: calendar dates as the API has them (`YYYY-MM-DD`), without any zone, and moments in one. */
import { type CalendarDate, parseDate } from '@internationalized/date'
import { counted } from '../words'
import { LOCALE } from './locale'

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const

export function monthName(month: number): string {
  return MONTHS[month - 1] ?? ''
}

function day(text: string | CalendarDate): CalendarDate {
  return typeof text === 'string' ? parseDate(text) : text
}

/** `7 March 2026` */
export function dateText(text: string | CalendarDate): string {
  const date = day(text)
  return `${date.day} ${monthName(date.month)} ${date.year}`
}

/** `7 Mar 2026` */
export function shortDate(text: string | CalendarDate): string {
  const date = day(text)
  return `${date.day} ${monthName(date.month).slice(0, 3)} ${date.year}`
}

/** `1 to 7 March 2026`, `28 February to 6 March 2026`, `30 December 2025 to 5 January 2026`, `1 March 2026`. */
export function rangeText(from: string | CalendarDate, to: string | CalendarDate): string {
  const [start, end] = [day(from), day(to)]
  if (start.compare(end) === 0) return dateText(start)
  if (start.year !== end.year) return `${dateText(start)} to ${dateText(end)}`
  if (start.month !== end.month) return `${start.day} ${monthName(start.month)} to ${dateText(end)}`
  return `${start.day} to ${dateText(end)}`
}

/** The same with short months, for where there is little room. */
export function shortRange(from: string | CalendarDate, to: string | CalendarDate): string {
  return rangeText(from, to).replace(/[A-Z][a-z]+/g, (month) => month.slice(0, 3))
}

/** How many days a window has, both ends included. */
export function daysOf(from: string | CalendarDate, to: string | CalendarDate): number {
  const utc = (date: CalendarDate) => Date.UTC(date.year, date.month - 1, date.day)
  return Math.round((utc(day(to)) - utc(day(from))) / 86_400_000) + 1
}

/** `1 to 7 March 2026, 7 days` */
export function windowText(from: string | CalendarDate, to: string | CalendarDate): string {
  return `${rangeText(from, to)}, ${counted(daysOf(from, to), 'day')}`
}

/** `Mon 9 March 2026, 09:00` of a local time as the API has it, `2026-03-09T09:00:00-04:00`: its own clocks. */
export function localText(local: string): string {
  const date = parseDate(local.slice(0, 10))
  return `${weekdayOf(date)} ${shortDate(date)}, ${local.slice(11, 16)}`
}

/** `Mon` */
export function weekdayOf(date: CalendarDate): string {
  const names = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
  return names[new Date(Date.UTC(date.year, date.month - 1, date.day)).getUTCDay()] ?? ''
}

/** `23 Nov 2026, 20:05`, in the reader's own zone. */
export function momentText(moment: string): string {
  return new Intl.DateTimeFormat(LOCALE, {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  }).format(new Date(moment))
}

/** `Today, 20:05`, `Tomorrow, 09:00`, else the date: by the reader's own clocks. */
export function whenText(moment: string, now = new Date()): string {
  const at = new Date(moment)
  const days = Math.round((midnight(at) - midnight(now)) / 86_400_000)
  const word = { '-1': 'Yesterday', '0': 'Today', '1': 'Tomorrow' }[String(days)]
  if (!word) return momentText(moment)
  return `${word}, ${at.toLocaleTimeString(LOCALE, { hour: '2-digit', minute: '2-digit' })}`
}

function midnight(at: Date): number {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime()
}

/** `20:05`, in the reader's own zone. */
export function timeText(moment: string): string {
  return new Intl.DateTimeFormat(LOCALE, { hour: '2-digit', minute: '2-digit' }).format(new Date(moment))
}

/** `23 Nov, 20:05:09`, in the reader's own zone: what follows each other within a minute. */
export function secondsText(moment: string): string {
  return new Intl.DateTimeFormat(LOCALE, {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).format(new Date(moment))
}

/** `20 s`, `3 min`, `1 h 20 min`, `2 days`: as long as somebody waits, not to the second. */
export function durationText(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return minutes % 60 && hours < 10 ? `${hours} h ${minutes % 60} min` : `${Math.round(minutes / 60)} h`
  return counted(Math.round(minutes / 1440), 'day')
}

/** `about 3 min`, `3 to 12 min`. */
export function spanText(low: number, high: number): string {
  const [from, to] = [durationText(low), durationText(high)]
  if (from === to) return `about ${from}`
  const [fromNumber, fromUnit] = from.split(' ')
  return fromUnit && to.endsWith(` ${fromUnit}`) && to.split(' ').length === 2
    ? `${fromNumber} to ${to}`
    : `${from} to ${to}`
}

/** Every zone that the browser knows, and UTC. */
export function zones(): string[] {
  const known = Intl.supportedValuesOf('timeZone')
  return known.includes('UTC') ? known : ['UTC', ...known]
}

/** `UTC−05:00`, now. */
export function offsetText(zone: string, at = new Date()): string {
  try {
    const parts = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' }).formatToParts(at)
    const found = parts.find((part) => part.type === 'timeZoneName')?.value ?? ''
    return found.replace('GMT', 'UTC').replace('-', '−')
  } catch {
    return ''
  }
}

/** `23 Nov 2026, 20:05:09`, in the reader's own zone, or in another. */
export function preciseText(moment: string, timeZone?: string): string {
  return new Intl.DateTimeFormat(LOCALE, {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    ...(timeZone ? { timeZone } : {}),
  }).format(new Date(moment))
}
