/** Who did something, and the right to see it. */
import type { ReactNode } from 'react'
import { useMay } from '../../api/may'
import type { ActivityItem } from '../../api/types'
import { LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Page } from '../../shell/Page'
import { shortId } from './Values'

/** `Ada Lovelace`; a person without a name is told from others by the end of their id. */
export function whoText({ user_id: id, user_name: name }: Pick<ActivityItem, 'user_id' | 'user_name'>): string {
  if (id === null) return 'The service'
  return name ?? `Person ${shortId(id)}`
}

/** What only those see who may read the audit log. */
export function ForAuditors({ title, children }: { title: string; children: ReactNode }) {
  const may = useMay('audit:read')
  if (may) return children
  return (
    <Page title={title}>
      <Callout title="You may not read the audit log" actions={<LinkButton to="/">Go to the overview</LinkButton>}>
        <p>
          It takes the right <code>audit:read</code>, as it shows what everybody in the team does. Ask an administrator
          of your team for it.
        </p>
      </Callout>
    </Page>
  )
}
