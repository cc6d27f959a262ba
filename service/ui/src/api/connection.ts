/** Whether the service answers. Requests tell; while none gets through, somebody asks again and again. */
import { createStore } from '../lib/store'
import { isAway } from './problems'

export const connection = createStore({ lost: false })

let asking: number | undefined

export function connectionLost() {
  if (connection.get().lost) return
  connection.set({ lost: true })
  ask(1000)
}

export function connectionFound() {
  window.clearTimeout(asking)
  if (connection.get().lost) connection.set({ lost: false })
}

/** Whether the service is away; where it is, that is told once it is back. */
export async function wasAway(): Promise<boolean> {
  if (await answers()) return false
  connectionLost()
  await new Promise<void>((resolve) => {
    const left = connection.subscribe(() => {
      if (connection.get().lost) return
      left()
      resolve()
    })
  })
  return true
}

async function answers(): Promise<boolean> {
  try {
    return !isAway(await fetch('/api/clock', { cache: 'no-store' }))
  } catch {
    return false
  }
}

function ask(pause: number) {
  window.clearTimeout(asking)
  asking = window.setTimeout(async () => {
    if (await answers()) connectionFound()
    else ask(Math.min(pause * 1.6, 8000))
  }, pause)
}
