import { afterEach, describe, expect, test, vi } from 'vitest'
import { Follower } from './follower'
import type { News } from './news'

const frame = (position: number) =>
  `id: ${position}\nevent: segment.started\ndata: {"subject":"segment-${position}","time":"t","data":{}}\n\n`

/** A service of a few answers, one for each request. */
function answering(...answers: (Response | Error)[]) {
  const asked: { path: string; headers: Record<string, string> }[] = []
  const answer = vi.fn(async (path: string, init: RequestInit = {}) => {
    asked.push({ path, headers: init.headers as Record<string, string> })
    const next = answers.shift() ?? new Response(new ReadableStream())
    if (next instanceof Error) throw next
    return next
  })
  vi.stubGlobal('fetch', answer)
  return asked
}

const json = (body: object, status = 200) => new Response(JSON.stringify(body), { status })
const events = (...positions: number[]) => new Response(positions.map(frame).join(''))
const told: News[] = []
let follower: Follower | undefined

function follow(from: { position: number; epoch: number } | null) {
  told.length = 0
  follower = new Follower('red', from, (news) => told.push(news))
}
const positions = () =>
  told.flatMap((news) => (news.kind === 'events' ? news.events.map((event) => event.position) : []))

describe('following the log', () => {
  afterEach(() => {
    follower?.close()
    vi.unstubAllGlobals()
  })

  test('begins at its end, for the team, and tells several events together', async () => {
    const asked = answering(json({ head: 41, epoch: 2 }), events(42, 43, 44))
    follow(null)
    await vi.waitFor(() => expect(positions()).toEqual([42, 43, 44]))
    expect(asked.slice(0, 2).map(({ path }) => path)).toEqual([
      '/api/events?limit=1',
      '/api/events/stream?after=41&epoch=2',
    ])
    expect(asked[1]?.headers).toMatchObject({ 'Report-Builder-Team': 'red', 'Last-Event-ID': '41' })
    expect(told.filter((news) => news.kind === 'events')).toHaveLength(1)
  })

  test('goes on after a cut where it was, and tells nothing twice', async () => {
    const asked = answering(events(5, 6), new Error('cut off'), events(6, 7))
    follow({ position: 4, epoch: 1 })
    await vi.waitFor(() => expect(positions()).toEqual([5, 6, 7]), { timeout: 5000 })
    expect(asked[1]?.path).toBe('/api/events/stream?after=6&epoch=1')
    expect(asked[2]?.headers).toMatchObject({ 'Last-Event-ID': '6' })
    expect(told.some((news) => news.kind === 'state' && news.state === 'lost')).toBe(true)
  })

  test('begins anew where the log was rewound', async () => {
    const asked = answering(json({ head: 3, epoch: 9 }, 409), events(4))
    follow({ position: 100, epoch: 8 })
    await vi.waitFor(() => expect(positions()).toEqual([4]))
    expect(told).toContainEqual({ kind: 'reset', place: { position: 3, epoch: 9 } })
    expect(asked[1]?.path).toBe('/api/events/stream?after=3&epoch=9')
  })

  test('stops where it may not, until it is woken', async () => {
    const asked = answering(json({}, 401), events(8))
    follow({ position: 7, epoch: 1 })
    await vi.waitFor(() => expect(told).toContainEqual(expect.objectContaining({ state: 'ended' })))
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(asked).toHaveLength(1)
    follower?.wake()
    await vi.waitFor(() => expect(positions()).toEqual([8]))
  })
})
