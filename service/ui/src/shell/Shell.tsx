/** What stands around every page: the bar, the banner of a lost connection, the sign-in, what is read out. */
import { useQuery } from '@tanstack/react-query'
import { Outlet, ScrollRestoration, useNavigation } from 'react-router'
import { access } from '../api/client'
import { connection } from '../api/connection'
import { sessionQuery } from '../api/queries'
import { Failed, Loading } from '../components/States'
import { useDebounced } from '../lib/debounced'
import { useStore } from '../lib/store'
import { useLiveLink } from '../live/hooks'
import { Announcer } from './announce'
import { Bar } from './Bar'
import { Navigation } from './Navigation'
import { Page } from './Page'
import { PersonPanel } from './PersonPanel'
import styles from './Shell.module.css'
import { SignIn } from './SignIn'

export function Shell() {
  const { signedOut } = useStore(access)
  const session = useQuery(sessionQuery)
  useLiveLink(session.data?.team_id ?? null, session.data !== undefined && !signedOut)
  return (
    <>
      <a className={styles.skip} href="#main">
        Skip to content
      </a>
      <Bar>
        {!signedOut && <Navigation session={session.data} />}
        {session.data && !signedOut && <PersonPanel session={session.data} />}
      </Bar>
      <OnItsWay />
      <main id="main" tabIndex={-1} className={styles.main}>
        {signedOut ? (
          <SignIn />
        ) : session.data ? (
          <Outlet />
        ) : (
          <Page title="Report Builder">
            {session.error ? <Failed error={session.error} retry={() => session.refetch()} /> : <Loading />}
          </Page>
        )}
      </main>
      <Announcer />
      <ScrollRestoration />
    </>
  )
}

/** Why what one asked for is not there yet. */
export function OnItsWay() {
  const { lost } = useStore(connection)
  const loading = useNavigation().state === 'loading'
  const long = useDebounced(loading, 500) && loading
  return (
    <div role="status" aria-live="polite">
      {lost ? (
        <p className={styles.lost}>Connection lost, trying again …{long && ' The page that you opened comes then.'}</p>
      ) : (
        long && <p className={styles.coming}>The page is on its way …</p>
      )}
    </div>
  )
}
