/** What to read again when something happens: the queries' keys by the events' types. Pages of all kinds rest on it. */
import type { QueryKey } from '@tanstack/react-query'
import type { LiveEvent } from './news'

/** By a type, `report.submitted`, or what types begin with, `report.*`. */
export type Rules = Readonly<Record<string, (event: LiveEvent) => readonly QueryKey[]>>

const idOf = (event: LiveEvent) => event.stream.slice(event.stream.indexOf('-') + 1)
const collectionOf = (event: LiveEvent) => String(event.data.collection_id ?? '')

/** What every page has, whichever it is. Lists are read again as a whole. */
export const EVERYWHERE: Rules = {
  'report.*': () => [['reports']],
  'report.submitted': (event) => [['report', idOf(event)]],
  // A schedule shows what became of its runs.
  'collection.*': (event) => [['collection', idOf(event)], ['collections'], ['schedule'], ['schedules']],
  'segment.*': (event) => [['collection', collectionOf(event)], ['collections']],
  'schedule.*': (event) => [['schedule', idOf(event)], ['schedules']],
  'workflow.*': (event) => [['workflow', idOf(event)], ['workflows']],
  'instance.*': (event) => [['instance', idOf(event)], ['instances']],
  'account.*': (event) => [['account', idOf(event)], ['accounts'], ['instances']],
  'team.*': () => [['team']],
}

/** The keys that these events are about, each once. */
export function keysOf(rules: Rules, events: readonly LiveEvent[]): QueryKey[] {
  const found = new Map<string, QueryKey>()
  for (const event of events) {
    for (const pattern of [event.type, `${event.type.slice(0, event.type.indexOf('.'))}.*`]) {
      for (const key of rules[pattern]?.(event) ?? []) found.set(JSON.stringify(key), key)
    }
  }
  return [...found.values()]
}
