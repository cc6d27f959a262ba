/** One for all tabs of a browser: of each team that they show it follows the log once, and tells them all. */
import { Follower } from './follower'
import type { News, Place, Wish } from './news'

type Followed = { follower: Follower; ports: Set<MessagePort>; closing?: ReturnType<typeof setTimeout> }

/** A page that is loaded again finds the stream where it was. */
const LINGERS = 3000

const teams = new Map<string, Followed>()

function followed(team: string | null, from: Place | null): Followed {
  const name = team ?? ''
  const found = teams.get(name)
  if (found) return found
  const ports = new Set<MessagePort>()
  const tell = (news: News) => {
    for (const port of ports) port.postMessage(news)
  }
  const made = { follower: new Follower(team, from, tell), ports }
  teams.set(name, made)
  return made
}

function leave(port: MessagePort) {
  for (const [name, each] of teams) {
    if (!each.ports.delete(port) || each.ports.size > 0) continue
    each.closing = setTimeout(() => {
      each.follower.close()
      teams.delete(name)
    }, LINGERS)
  }
}

self.addEventListener('connect', (event) => {
  const port = (event as MessageEvent).ports[0]
  if (!port) return
  port.onmessage = ({ data }: MessageEvent<Wish>) => {
    if (data.kind === 'leave') leave(port)
    else if (data.kind === 'wake') for (const each of teams.values()) each.follower.wake()
    else {
      leave(port)
      const each = followed(data.team, data.from)
      clearTimeout(each.closing)
      each.ports.add(port)
      port.postMessage(each.follower.news)
    }
  }
})
