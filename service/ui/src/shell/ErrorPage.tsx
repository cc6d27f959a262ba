/** Instead of a page that has failed. */
import { useRouteError } from 'react-router'
import { Button } from '../components/Button'
import { Failed } from '../components/States'
import { Page } from './Page'

export function ErrorPage() {
  const error = useRouteError()
  return (
    <Page title="Something went wrong">
      <Failed error={error} actions={<Button onClick={() => window.location.reload()}>Reload the page</Button>} />
    </Page>
  )
}
