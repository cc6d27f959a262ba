/** The bar at the top of every page. `index.html` shows it without what is within, so that it stands there from the first. */
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import icon from '../icon.svg'

export function Bar({ children }: { children?: ReactNode }) {
  return (
    <header className="bar">
      <div className="bar-inner">
        <Link to="/" className="bar-name">
          <img src={icon} alt="" width="24" height="24" />
          Report Builder
        </Link>
        {children}
      </div>
    </header>
  )
}
