import type { ResultVersion } from '../../api/types'

/** Of days that were fetched more than once the results: the newest days first, of the same days the newest first. */
export function versionsOf(items: readonly ResultVersion[]): ResultVersion[] {
  const days = (each: ResultVersion) => `${each.week_start} ${each.week_end}`
  const again = new Set(items.filter((each) => each.version > 1).map(days))
  return items
    .filter((each) => again.has(days(each)))
    .sort((a, b) => days(b).localeCompare(days(a)) || b.version - a.version)
}
