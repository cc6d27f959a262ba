/** A tab's way to the one stream of its browser: over a shared worker; where there is none, one tab follows for all. */
import { Follower } from './follower'
import type { News, Place, Wish } from './news'

export type Link = { wake(): void; close(): void }

export function openLink(team: string | null, place: () => Place | null, hear: (news: News) => void): Link {
  if (typeof SharedWorker !== 'undefined') return overWorker(team, place, hear)
  if (typeof BroadcastChannel !== 'undefined' && 'locks' in navigator) return overChannel(team, place, hear)
  return alone(team, place, hear)
}

function overWorker(team: string | null, place: () => Place | null, hear: (news: News) => void): Link {
  const worker = new SharedWorker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'report-builder' })
  const ask = (wish: Wish) => worker.port.postMessage(wish)
  const join = () => ask({ kind: 'follow', team, from: place() })
  const leave = () => ask({ kind: 'leave' })
  const back = (event: PageTransitionEvent) => {
    if (event.persisted) join()
  }
  worker.port.onmessage = ({ data }: MessageEvent<News>) => hear(data)
  // Where the worker cannot be loaded the tab follows by itself.
  let instead: Link | undefined
  worker.onerror = () => {
    instead ??= alone(team, place, hear)
  }
  join()
  window.addEventListener('pagehide', leave)
  window.addEventListener('pageshow', back)
  return {
    wake: () => (instead ? instead.wake() : ask({ kind: 'wake' })),
    close() {
      window.removeEventListener('pagehide', leave)
      window.removeEventListener('pageshow', back)
      leave()
      worker.port.close()
      instead?.close()
    },
  }
}

/** The tab that has the lock follows, and tells the others; when it is closed the lock goes on to one of them. */
function overChannel(team: string | null, place: () => Place | null, hear: (news: News) => void): Link {
  const name = `report-builder:live:${team ?? ''}`
  const channel = new BroadcastChannel(name)
  const closed = new AbortController()
  let follower: Follower | undefined
  channel.onmessage = ({ data }: MessageEvent<News | Wish>) => {
    if (data.kind === 'wake') follower?.wake()
    else if (data.kind === 'follow') follower && channel.postMessage(follower.news)
    else if (data.kind !== 'leave') hear(data)
  }
  channel.postMessage({ kind: 'follow', team, from: null } satisfies Wish)
  void navigator.locks
    .request(name, { signal: closed.signal }, () => {
      follower = new Follower(team, place(), (news) => {
        hear(news)
        channel.postMessage(news)
      })
      return new Promise<void>((resolve) => closed.signal.addEventListener('abort', () => resolve()))
    })
    .catch(() => undefined)
  return {
    wake: () => (follower ? follower.wake() : channel.postMessage({ kind: 'wake' } satisfies Wish)),
    close() {
      closed.abort()
      follower?.close()
      channel.close()
    },
  }
}

function alone(team: string | null, place: () => Place | null, hear: (news: News) => void): Link {
  const follower = new Follower(team, place(), hear)
  return { wake: () => follower.wake(), close: () => follower.close() }
}
