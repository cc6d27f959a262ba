/** Shown in the place of a page while nobody is signed in. What was typed is kept, and there again afterwards. */
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useLocation } from 'react-router'
import { ConnectionLost, isProblem, problemOf } from '../api/problems'
import { sessionQuery } from '../api/queries'
import { Button } from '../components/Button'
import { Callout } from '../components/Callout'
import { Failed } from '../components/States'
import { Page } from './Page'
import styles from './Shell.module.css'

export function SignIn() {
  const { pathname, search } = useLocation()
  const client = useQueryClient()
  const [state, setState] = useState<{ busy: boolean; error: unknown; linkOnly: boolean; notYet?: boolean }>({
    busy: false,
    error: null,
    linkOnly: false,
  })
  const address = `/auth/sign-in?${new URLSearchParams({ return_to: pathname + search })}`

  async function signIn() {
    setState({ busy: true, error: null, linkOnly: false })
    try {
      // Looked at first, as a refusal would be shown by the browser as it comes.
      const found = await fetch(address, { redirect: 'manual' })
      if (found.type === 'opaqueredirect') {
        window.location.assign(address)
        return
      }
      const body: unknown = await found.json().catch(() => null)
      setState({
        busy: false,
        linkOnly: found.status === 404,
        error: found.status === 404 ? null : problemOf(body, found, '/auth/sign-in'),
      })
    } catch {
      setState({ busy: false, error: new ConnectionLost(), linkOnly: false })
    }
  }

  async function lookAgain() {
    if (state.busy) return
    setState({ busy: true, error: null, linkOnly: true })
    try {
      await client.fetchQuery({ ...sessionQuery, staleTime: 0, retry: false })
      void client.invalidateQueries()
    } catch (error) {
      const notYet = isProblem(error, 'unauthenticated')
      setState({ busy: false, error: notYet ? null : error, linkOnly: true, notYet })
    }
  }

  return (
    <Page title="Sign in">
      <div className={styles.panelPage}>
        {state.linkOnly ? (
          <>
            <p>
              This service has no sign-in page. Open the link that it printed when it started, in this browser; it is
              good once. Then go on here.
            </p>
            <Button look="primary" busy={state.busy} onClick={() => void lookAgain()}>
              I have opened the link
            </Button>
            {state.notYet && (
              <Callout look="care" role="alert">
                <p>
                  You are not signed in yet: open the link first. One that was opened before is used up; the service
                  prints another when it starts again.
                </p>
              </Callout>
            )}
          </>
        ) : (
          <>
            <p>You are not signed in, or your sign-in has ended. You go on where you were; what you typed is kept.</p>
            <Button look="primary" busy={state.busy} onClick={() => void signIn()}>
              Sign in
            </Button>
          </>
        )}
        {state.error !== null && <Failed error={state.error} />}
      </div>
    </Page>
  )
}
