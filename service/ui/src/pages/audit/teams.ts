/** Whose events they are: an auditor may read those of all teams. */
import { useQuery } from '@tanstack/react-query'
import { sessionQuery } from '../../api/queries'

/** To whom events of no team belong. */
const SYSTEM = 'system'

/** `team red`; what belongs to none is the service's own. */
export function teamText(team: string): string {
  return team === SYSTEM ? 'the service' : `team ${team}`
}

/** Whether it is of the team that one works for, whose things have names and pages for one. */
export function useOurs(team: string | undefined): boolean {
  const { data } = useQuery(sessionQuery)
  return team === SYSTEM || team === data?.team_id
}
