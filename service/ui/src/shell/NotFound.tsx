import { LinkButton } from '../components/Button'
import { Page } from './Page'

export function NotFound() {
  return (
    <Page title="There is no such page" lead="The address may be mistyped, or the page has moved.">
      <div>
        <LinkButton to="/">Go to the overview</LinkButton>
      </div>
    </Page>
  )
}
