/** What is different between two values of any shape, down to what a person would name. */
export type Kind = 'added' | 'changed' | 'removed'

export type Difference = {
  /** The names on the way to it: `['lookback_config', 'value']`. */
  path: string[]
  kind: Kind
  before: unknown
  after: unknown
}

type Fields = Record<string, unknown>

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Nothing that a person would call a value. */
export function isNothing(value: unknown): boolean {
  if (value === null || value === undefined || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

export function differences(before: unknown, after: unknown, path: string[] = []): Difference[] {
  if (isNothing(before) && isNothing(after)) return []
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  if ((isFields(before) || isNothing(before)) && (isFields(after) || isNothing(after))) {
    const [old, now] = [isFields(before) ? before : {}, isFields(after) ? after : {}]
    return [...new Set([...Object.keys(old), ...Object.keys(now)])].flatMap((name) =>
      differences(old[name], now[name], [...path, name]),
    )
  }
  const kind = isNothing(before) ? 'added' : isNothing(after) ? 'removed' : 'changed'
  return [{ path, kind, before, after }]
}

/** A list's new and lost values; null where they are not what is different, or it holds more than plain values. */
export function listChange(before: unknown, after: unknown): { added: unknown[]; removed: unknown[] } | null {
  if (!Array.isArray(before) || !Array.isArray(after)) return null
  if ([...before, ...after].some((each) => typeof each === 'object' && each !== null)) return null
  const [old, now] = [new Set(before), new Set(after)]
  const added = after.filter((each) => !old.has(each))
  const removed = before.filter((each) => !now.has(each))
  return added.length + removed.length > 0 ? { added, removed } : null
}

export type Change = { of: string; key: string | null; field: string | null; before: unknown; after: unknown }

export type Group = { of: string; key: string | null; isNew: boolean; found: Difference[] }

/** What the service counts for itself, and says nothing of the thing. */
const INNER = new Set(['stream_version', 'updated_at', 'team_id'])

/** The API's changes, by what they are of, without what only the service needs. */
export function grouped(changes: readonly Change[]): Group[] {
  const groups = new Map<string, Group>()
  for (const { of, key, field, before, after } of changes) {
    if (field !== null && INNER.has(field)) continue
    const name = `${of} ${key ?? ''}`
    const group = groups.get(name) ?? { of, key, isNew: field === null, found: [] }
    const found = field === null ? differences(null, after) : differences(before, after, [field])
    group.found.push(...found.filter(({ path }) => !INNER.has(path[0] ?? '')))
    if (group.found.length > 0) groups.set(name, group)
  }
  return [...groups.values()]
}
