/** How components hear of what happens. */
import { type QueryKey, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { useStore } from '../lib/store'
import { hearOf, live, onEvents, wakeLink } from './live'
import { EVERYWHERE, keysOf, type Rules } from './rules'

/** For the shell: hears for this team while somebody is signed in, and keeps what every page shows up to date. */
export function useLiveLink(team: string | null, signedIn: boolean) {
  useEffect(() => (signedIn ? hearOf(team) : undefined), [team, signedIn])
  const state = useStore(live)
  useEffect(() => {
    if (signedIn && state === 'ended') wakeLink()
  }, [signedIn, state])
  useInvalidation(EVERYWHERE)
}

/**
 * Reads again what events are about, at once and then at most every so many milliseconds, however many come. `rules` must
 * be the same object each time.
 */
export function useInvalidation(rules: Rules, every = 1000) {
  const client = useQueryClient()
  useEffect(() => {
    const pending = new Map<string, QueryKey>()
    let [timer, last] = [undefined as number | undefined, 0]
    function flush() {
      timer = undefined
      if (document.hidden) return
      last = performance.now()
      for (const [name, queryKey] of pending) {
        // What is being read already may be too old: it is read once more, after that.
        if (client.isFetching({ queryKey }) > 0) continue
        pending.delete(name)
        void client.invalidateQueries({ queryKey })
      }
      if (pending.size > 0) timer = window.setTimeout(flush, every)
    }
    function soon() {
      timer ??= window.setTimeout(flush, Math.max(0, last + every - performance.now()))
    }
    const shown = () => {
      if (!document.hidden && pending.size > 0) soon()
    }
    document.addEventListener('visibilitychange', shown)
    const end = onEvents({
      events(events) {
        for (const key of keysOf(rules, events)) pending.set(JSON.stringify(key), key)
        if (pending.size > 0) soon()
      },
      reset() {
        const roots = new Set(Object.values(rules).flatMap((rule) => rule(ANY).map((key) => key[0])))
        for (const root of roots) pending.set(JSON.stringify([root]), [root])
        soon()
      },
    })
    return () => {
      end()
      document.removeEventListener('visibilitychange', shown)
      window.clearTimeout(timer)
    }
  }, [client, rules, every])
}

/** Of any type: what rules answer for it begins as what they answer for others. */
const ANY = { position: 0, type: '', stream: '', time: '', user: null, data: {} }

/** How often to ask while nobody tells: not at all while events come, but for what changes without one. */
export function usePolling(quiet: number | false = false): number | false {
  const state = useStore(live)
  return state === 'live' || state === 'connecting' ? quiet : 5000
}
