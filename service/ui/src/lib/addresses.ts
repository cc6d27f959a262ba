/** Where things are shown. */
import type { Collection } from '../api/types'

/** The page of a collection: how it goes, or what it has brought. */
export function resultAddress({ collection_id: id }: Pick<Collection, 'collection_id'>): string {
  return `/results/${id}`
}

/** What has happened to one thing: the slider through it. */
export function activityAddress(stream: string): string {
  return `/audit/history/${stream}`
}

const OWN: Record<string, string> = {
  report: '/reports/',
  collection: '/results/',
  schedule: '/schedules/',
  workflow: '/workflows/',
  instance: '/instances/',
  account: '/accounts/',
}

/** The page of a stream's thing as it is now; null for what has none of its own. */
export function thingAddress(stream: string): string | null {
  const dash = stream.indexOf('-')
  const base = OWN[stream.slice(0, dash)]
  return base ? base + stream.slice(dash + 1) : null
}
