/** A collection as it stands this very moment: read now and then, and carried on by events in between. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { startTransition, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react'
import { progressQuery } from '../../api/queries'
import { useInvalidation, usePolling } from '../../live/hooks'
import { onEvents } from '../../live/live'
import type { LiveEvent } from '../../live/news'
import type { Rules } from '../../live/rules'
import { collectionAfter, isAbout, segmentsAfter, tallyOf, type View } from './progress'

/** What only the service can say (what limits it, when it may end) is read anew so often while something happens … */
const AGAIN = 2000
/** … and so often while nothing does: limits end by themselves. */
const QUIET = 15_000
/** So many events are kept to carry on from what was read; a hidden tab may get more. */
const KEPT = 3000

/** Only the last of the segments that were read is kept: all of them are the same objects as long as they are equal. */
export function useResult(id: string, position: number) {
  const rules = useMemo<Rules>(() => {
    const progress = [['progress', id]]
    return {
      'collection.*': (event) => (event.type === '' || isAbout(id, event) ? progress : []),
      'segment.*': (event) => (event.type === '' || isAbout(id, event) ? progress : []),
      'account.*': () => progress,
    }
  }, [id])
  useInvalidation(rules, AGAIN)
  const polling = usePolling(QUIET)
  const progress = useQuery({
    ...progressQuery(id, position),
    refetchInterval: ({ state }) => (state.data?.collection.finished_at ? false : polling),
  })
  const events = useEventsOf(id)
  // What one does comes before what is drawn of the year: here, and of the events below.
  const read = useDeferredValue(progress.data)
  const view = useMemo<View | null>(() => {
    if (!read) return null
    const since = events.filter((event) => event.position > read.position)
    const segments = segmentsAfter(read.segments, since)
    return { ...read, collection: collectionAfter(read.collection, since), segments, tally: tallyOf(segments) }
  }, [read, events])
  return { view, query: progress }
}

/** The events of a collection that came since the page was opened, as far as they are needed. */
function useEventsOf(id: string): readonly LiveEvent[] {
  const [events, setEvents] = useState<readonly LiveEvent[]>([])
  const client = useQueryClient()
  const missed = useRef(false)
  useEffect(() => {
    missed.current = false
    setEvents([])
    return onEvents({
      events(more) {
        const known = client.getQueryData(progressQuery(id).queryKey)
        const ours = more.filter((event) => isAbout(id, event, known?.segments))
        if (ours.length === 0) return
        const read = known?.position ?? 0
        startTransition(() =>
          setEvents((kept) => [...kept.filter((event) => event.position > read), ...ours].slice(-KEPT)),
        )
      },
      reset: () => setEvents([]),
    })
  }, [id, client])
  return events
}
