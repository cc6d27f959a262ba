/** What every page begins with: its title, which is the document's too, and the focus that goes there. */
import { type ReactNode, useEffect, useRef } from 'react'
import { useLocation } from 'react-router'
import { Reread, type Rereadable } from '../components/Reread'
import styles from './Page.module.css'

// The first address that is shown leaves the focus where the browser has it.
let shown = window.location.pathname

type PageProps = {
  title: string
  /** The document's title, where the heading alone would not say what it is of. */
  documentTitle?: string
  above?: ReactNode
  lead?: ReactNode
  actions?: ReactNode
  /** What the page shows, so that it says where that could not be read again. */
  query?: Rereadable
  children?: ReactNode
}

export function Page({ title, documentTitle, above, lead, actions, query, children }: PageProps) {
  const page = useRef<HTMLDivElement>(null)
  const heading = useRef<HTMLHeadingElement>(null)
  const { pathname } = useLocation()
  useEffect(() => {
    // A field that asks for the focus keeps it.
    const taken = page.current?.contains(document.activeElement)
    if (pathname !== shown && !taken) heading.current?.focus()
    shown = pathname
  }, [pathname])
  return (
    <div ref={page} className={styles.page}>
      <title>{`${documentTitle ?? title} · Report Builder`}</title>
      <header className={styles.head}>
        <div className={styles.titles}>
          {above && <p className={styles.above}>{above}</p>}
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {lead && <p className={styles.lead}>{lead}</p>}
        </div>
        {actions && <div className="row">{actions}</div>}
      </header>
      {query && <Reread query={query} />}
      {children}
    </div>
  )
}
