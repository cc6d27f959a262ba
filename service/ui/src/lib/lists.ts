/** Long lists as they are pasted. Ids are parted by lines, commas, semicolons and spaces; texts, which may have commas of
 * their own, by lines where there is more than one, and by commas on a single line. */
export type ListEntry = {
  value: string
  /** The line of the text that it stands in, from 1. */
  line: number
  /** Where it begins in the text. */
  start: number
}

export type PastedList = {
  /** Every value, in order, repeated ones too: an error of the API names one by its place here. */
  entries: ListEntry[]
  /** How many different ones. */
  distinct: number
}

export const MOST_VALUES = 10_000

export function readList(text: string, ids: boolean): PastedList {
  const parted = ids ? /[^\s,;]+/g : /[\n\r]/.test(text) ? /[^\n\r]+/g : /[^,]+/g
  const entries: ListEntry[] = []
  const seen = new Set<string>()
  let line = 1
  let counted = 0
  for (const found of text.matchAll(parted)) {
    const value = found[0].trim().replace(/(\s*,)+$/, '')
    if (!value) continue
    for (; counted < found.index; counted++) if (text.charCodeAt(counted) === 10) line++
    entries.push({ value, line, start: found.index + found[0].indexOf(value) })
    seen.add(value)
  }
  return { entries, distinct: seen.size }
}

/** Values as they are typed, so that they are read again as they are. */
export function writeList(values: readonly unknown[]): string {
  const text = values.join('\n')
  // The line's end says that its commas are its own.
  return values.length === 1 && text.includes(',') ? `${text}\n` : text
}

export type BadEntry = ListEntry & { message: string }

/** The entries that the API named, `/parameters/asins/17`. */
export function badEntries(
  list: PastedList,
  pointer: string,
  problems: readonly { pointer: string; message: string }[],
): BadEntry[] {
  const found: BadEntry[] = []
  for (const problem of problems) {
    const index = problem.pointer.startsWith(`${pointer}/`)
      ? Number(problem.pointer.slice(pointer.length + 1))
      : Number.NaN
    const entry = list.entries[index]
    if (entry) found.push({ ...entry, message: problem.message })
  }
  return found.sort((a, b) => a.start - b.start)
}
