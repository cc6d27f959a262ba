/** A form that only those see whose writes the service takes: others are told so before they fill it in. */
import type { ReactNode } from 'react'
import { type Scope, useMay } from '../api/may'
import { LinkButton } from '../components/Button'
import { Callout } from '../components/Callout'
import { Page } from './Page'

type AllowedProps = {
  scope: Scope
  title: string
  /** What it is that one may not: `You may not change schedules`. */
  refused: string
  /** Where one can see it all the same. */
  back: { to: string; name: string }
  children: ReactNode
}

export function Allowed({ scope, title, refused, back, children }: AllowedProps) {
  if (useMay(scope)) return children
  return (
    <Page title={title}>
      <Callout title={refused} actions={<LinkButton to={back.to}>{back.name}</LinkButton>}>
        <p>
          It takes the right <code>{scope}</code>. Ask an administrator of your team for it.
        </p>
      </Callout>
    </Page>
  )
}
