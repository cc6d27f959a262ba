/** The parts of the interface: in the bar where it is wide enough, behind a button where it is not. */
import { useEffect, useRef } from 'react'
import { Link, useLocation } from 'react-router'
import type { Session } from '../api/types'
import styles from './Shell.module.css'

type Part = { to: string; name: string; scope?: Session['scopes'][number]; also?: string }

/** In their order. A new page that people go to by themselves is named here; one with a scope is for those who have it,
 * and what else belongs to one is `also` its. */
const PARTS: readonly Part[] = [
  { to: '/', name: 'Overview' },
  { to: '/reports', name: 'Reports' },
  { to: '/results', name: 'Results' },
  { to: '/schedules', name: 'Schedules' },
  { to: '/workflows', name: 'Workflows' },
  { to: '/instances', name: 'Instances', also: '/accounts' },
  { to: '/audit', name: 'Audit', scope: 'audit:read' },
  { to: '/dead-letters', name: 'Dead letters', scope: 'admin' },
]

export function Navigation({ session }: { session: Session | undefined }) {
  const menu = useRef<HTMLDivElement>(null)
  const { pathname } = useLocation()
  // biome-ignore lint/correctness/useExhaustiveDependencies: it closes when one has gone on
  useEffect(() => menu.current?.hidePopover(), [pathname])
  const within = (part: string) => pathname === part || (part !== '/' && pathname.startsWith(`${part}/`))
  const may = (scope: Part['scope']) => !scope || session?.scopes.some((each) => each === scope || each === 'admin')
  const links = PARTS.filter(({ scope }) => may(scope)).map(({ to, name, also }) => (
    <Link key={to} to={to} aria-current={within(to) || (also && within(also)) ? 'page' : undefined}>
      {name}
    </Link>
  ))
  return (
    <>
      <nav className={styles.nav} aria-label="Main">
        {links}
      </nav>
      <div className={styles.narrow}>
        <button type="button" className={styles.menuButton} popoverTarget="menu">
          <svg viewBox="0 0 16 16" width="16" height="16" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
            <path d="M2 4h12M2 8h12M2 12h12" />
          </svg>
          Menu
        </button>
        <div ref={menu} id="menu" popover="auto" className={styles.menu}>
          <nav aria-label="Main">{links}</nav>
        </div>
      </div>
    </>
  )
}
