/** What one may do here. The API has the last word; this is for what need not be offered. */
import { useQuery } from '@tanstack/react-query'
import { sessionQuery } from './queries'
import type { Session } from './types'

export type Scope = Session['scopes'][number]

export function useMay(scope: Scope): boolean {
  const { data } = useQuery(sessionQuery)
  return data ? data.scopes.includes(scope) || data.scopes.includes('admin') : false
}
