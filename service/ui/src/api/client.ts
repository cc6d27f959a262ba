/** The one way to the API: typed by its own document, so that a route or field that does not exist is a type error. */
import createClient from 'openapi-fetch'
import { createStore } from '../lib/store'
import { connectionFound, connectionLost } from './connection'
import { ConnectionLost, isAway, problemOf } from './problems'
import type { paths } from './schema'

const TEAM = 'report-builder:team'

/** Who is signed in, as requests need to know it; `signedOut` is set by the first 401. */
export const access = createStore<{ csrfToken: string | null; team: string | null; signedOut: boolean }>({
  csrfToken: null,
  team: remembered(),
  signedOut: false,
})

function remembered(): string | null {
  try {
    return localStorage.getItem(TEAM)
  } catch {
    return null
  }
}

/** From here on requests are for this team of the person's. */
export function actForTeam(team: string | null) {
  try {
    if (team) localStorage.setItem(TEAM, team)
    else localStorage.removeItem(TEAM)
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  access.set({ ...access.get(), team })
}

async function send(request: Request): Promise<Response> {
  const { csrfToken, team } = access.get()
  if (csrfToken && request.method !== 'GET') request.headers.set('X-CSRF-Token', csrfToken)
  if (team) request.headers.set('Report-Builder-Team', team)
  let response: Response
  try {
    response = await fetch(request)
    if (isAway(response)) throw new ConnectionLost()
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    connectionLost()
    throw new ConnectionLost()
  }
  connectionFound()
  if (response.status === 401) access.set({ ...access.get(), signedOut: true })
  return response
}

export const api = createClient<paths>({ fetch: send })

type Answer<T> = { data?: T; error?: unknown; response: Response }

/** The answer's body. Throws ApiProblem for a refusal, ConnectionLost where there is no answer. */
export async function answered<T>(sent: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await sent
  if (response.ok && data !== undefined) return data
  throw problemOf(error, response, new URL(response.url).pathname)
}

/** The headers of a write: the key under which it is recorded once, and the version that it changes. */
export function writing(key: string, version?: number) {
  return { 'Idempotency-Key': key, ...(version === undefined ? {} : { 'If-Match': `"${version}"` }) }
}
