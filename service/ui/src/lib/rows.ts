/** A result's rows as they arrive: the first ones kept, all of them added up by day. */
export type Value = string | number | boolean | null
export type Row = Readonly<Record<string, Value>>

/** So many rows are kept to be read and cut by a column; beyond them there are sums alone. */
export const KEPT = 50_000

const LONG = /\d{16}/
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g
const LONG_WHOLE = /^-?\d{16,}$/

/** JSON with whole numbers of 16 or more digits as texts, ids as a rule: as numbers they would lose digits. */
function exactly(json: string): string {
  if (!LONG.test(json)) return json
  return json.replace(TOKENS, (token) => (LONG_WHOLE.test(token) ? `"${token}"` : token))
}

/** Cuts a list of objects, which comes in pieces of text, into its objects. */
export class RowReader {
  #rest = ''
  #at = 0
  #begin = -1
  #depth = 0
  #quoted = false
  #escaped = false

  push(piece: string): Row[] {
    const text = this.#rest + piece
    const rows: Row[] = []
    for (let at = this.#at; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (this.#quoted) {
        if (this.#escaped) this.#escaped = false
        else if (code === 92) this.#escaped = true
        else if (code === 34) this.#quoted = false
      } else if (code === 34) this.#quoted = true
      else if (code === 123) {
        if (this.#depth++ === 0) this.#begin = at
      } else if (code === 125 && --this.#depth === 0) {
        rows.push(JSON.parse(exactly(text.slice(this.#begin, at + 1))) as Row)
        this.#begin = -1
      }
    }
    this.#rest = this.#begin < 0 ? '' : text.slice(this.#begin)
    this.#at = this.#rest.length
    if (this.#begin >= 0) this.#begin = 0
    return rows
  }
}

export type Sum = { sum: number; count: number }
/** By measure, then by day. */
type Sums = Map<string, Map<string, Sum>>

export type Gathered = {
  rows: readonly Row[]
  total: number
  columns: readonly string[]
  /** Columns of numbers, to be drawn. */
  measures: readonly string[]
  /** The column that a row's day is read from. */
  day: string
  /** Columns of few texts, to cut by; none where not all rows are kept. */
  parts: readonly string[]
  sums: Sums
  /** Where rows have no day of their own, `day` is the first one of their period, and this has the last by the first. */
  ends: ReadonlyMap<string, string>
}

/** What stands for the day of rows that have none. */
const PERIOD = 'segment_start'
const OURS = new Set(['segment_start', 'segment_end', 'segment_version'])
const DAY = /^\d{4}-\d{2}-\d{2}$/
const ID = /(^|_)(id|ids|asin|code|zip|year|month|week|hour)$/i

/** Whether a column's numbers name something, an id or a year, so that they are neither added up nor grouped. */
export function isName(column: string): boolean {
  return ID.test(column)
}

const LOOKED_AT = 500
const MOST_PARTS = 200

export class Gatherer {
  #rows: Row[] = []
  #total = 0
  #sums: Sums = new Map()
  #day: string | null = null
  #waiting: Row[] = []
  #ends = new Map<string, string>()

  add(rows: readonly Row[]) {
    for (const row of rows) {
      this.#total++
      if (this.#rows.length < KEPT) this.#rows.push(row)
      if (this.#day !== null) this.#sum(row, this.#day)
      else if (this.#waiting.push(row) >= LOOKED_AT) this.#decide()
    }
  }

  #decide() {
    if (this.#day !== null) return
    const names = Object.keys(this.#waiting[0] ?? {}).filter((name) => !OURS.has(name))
    const day = names.find((name) => {
      const values = this.#waiting.map((row) => row[name]).filter((value) => value !== null)
      return values.length > 0 && values.every((value) => typeof value === 'string' && DAY.test(value))
    })
    this.#day = day ?? PERIOD
    for (const row of this.#waiting) this.#sum(row, this.#day)
    this.#waiting = []
  }

  #sum(row: Row, day: string) {
    addTo(this.#sums, row, day)
    const { segment_start: start, segment_end: end } = row
    if (day !== PERIOD || typeof start !== 'string' || typeof end !== 'string') return
    if (end > (this.#ends.get(start) ?? '')) this.#ends.set(start, end)
  }

  end(): Gathered {
    this.#decide()
    const columns = [...new Set(this.#rows.slice(0, LOOKED_AT).flatMap((row) => Object.keys(row)))]
    const measures = columns.filter((name) => this.#sums.has(name) && !isName(name))
    const all = this.#total <= this.#rows.length
    return {
      rows: this.#rows,
      total: this.#total,
      columns,
      measures,
      day: this.#day ?? PERIOD,
      parts: all ? columns.filter((name) => this.#cuts(name, measures)) : [],
      sums: this.#sums,
      ends: this.#ends,
    }
  }

  #cuts(name: string, measures: readonly string[]): boolean {
    if (OURS.has(name) || measures.includes(name) || name === this.#day) return false
    const values = new Set<Value>()
    for (const row of this.#rows) if (values.add(row[name] ?? null).size > MOST_PARTS) return false
    return values.size > 1
  }
}

function addTo(sums: Sums, row: Row, day: string) {
  const at = row[day] ?? row.segment_start
  if (typeof at !== 'string') return
  for (const name in row) {
    const value = row[name]
    if (typeof value !== 'number' || OURS.has(name)) continue
    const days = sums.get(name) ?? new Map<string, Sum>()
    if (days.size === 0) sums.set(name, days)
    const sum = days.get(at)
    if (sum) {
      sum.sum += value
      sum.count++
    } else days.set(at, { sum: value, count: 1 })
  }
}

/** The last day of what stands at a day: of a period the period's, else the day itself. */
export function lastDay({ ends }: Pick<Gathered, 'ends'>, day: string): string {
  return (ends.get(day) ?? day).slice(0, 10)
}

/** Whether Amazon may still change what stands at a day, as the result is complete to `through` alone. */
export function isProvisional(gathered: Pick<Gathered, 'ends'>, day: string, through: string | null): boolean {
  return through !== null && lastDay(gathered, day) > through
}

export type Series = { name: string; values: readonly (number | null)[] }
export type ChartData = { days: readonly string[]; series: readonly Series[] }
export type How = 'sum' | 'mean'

const SHOWN_PARTS = 5

/** What is drawn: a measure by day, cut by a column into its largest parts where one is named. */
export function chartOf(gathered: Gathered, measure: string, part: string | null, how: How): ChartData {
  const groups =
    part === null ? new Map([[measure, gathered.sums.get(measure) ?? new Map()]]) : cut(gathered, measure, part)
  const days = [...new Set([...groups.values()].flatMap((group) => [...group.keys()]))].sort()
  const series = [...groups].map(([name, group]) => ({
    name,
    values: days.map((day) => {
      const sum = group.get(day)
      return sum === undefined ? null : how === 'sum' ? sum.sum : sum.sum / sum.count
    }),
  }))
  return { days, series }
}

function cut({ rows, day }: Gathered, measure: string, part: string): Map<string, Map<string, Sum>> {
  const groups = new Map<string, { all: number; sums: Sums }>()
  for (const row of rows) {
    const value = row[measure]
    if (typeof value !== 'number') continue
    const name = row[part] === null || row[part] === undefined ? 'None' : String(row[part])
    const group = groups.get(name) ?? { all: 0, sums: new Map() }
    groups.set(name, group)
    group.all += Math.abs(value)
    addTo(group.sums, { [measure]: value, [day]: row[day] ?? null, segment_start: row.segment_start ?? null }, day)
  }
  const largest = [...groups].sort(([, a], [, b]) => b.all - a.all)
  const found = new Map<string, Map<string, Sum>>()
  for (const [name, group] of largest.slice(0, SHOWN_PARTS)) found.set(name, group.sums.get(measure) ?? new Map())
  const rest = largest.slice(SHOWN_PARTS)
  if (rest.length > 0) {
    const others = new Map<string, Sum>()
    for (const [, group] of rest) {
      for (const [at, { sum, count }] of group.sums.get(measure) ?? []) {
        const other = others.get(at) ?? { sum: 0, count: 0 }
        others.set(at, { sum: other.sum + sum, count: other.count + count })
      }
    }
    found.set(`${rest.length} others`, others)
  }
  return found
}

/** Whether a day has several rows, so that adding them up and their mean are not the same. */
export function hasSeveral({ sums }: Gathered, measure: string): boolean {
  for (const { count } of sums.get(measure)?.values() ?? []) if (count > 1) return true
  return false
}

/** Days between which no other of the data's days are missing get an empty one where periods have no result. */
export function withGaps(data: ChartData, missing: readonly { start: string; end: string }[]): ChartData {
  const gaps = missing
    .map(({ start }) => start)
    .filter((start) => !data.days.includes(start) && start > (data.days[0] ?? '') && start < (data.days.at(-1) ?? ''))
  if (gaps.length === 0) return data
  const days = [...data.days, ...gaps].sort()
  const at = new Map(data.days.map((day, index) => [day, index]))
  const series = data.series.map(({ name, values }) => ({
    name,
    values: days.map((day) => {
      const index = at.get(day)
      return index === undefined ? null : (values[index] ?? null)
    }),
  }))
  return { days, series }
}
