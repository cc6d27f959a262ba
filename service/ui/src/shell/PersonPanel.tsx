/** Who one is, for which team one works, and how the interface looks. */
import { useQueryClient } from '@tanstack/react-query'
import { access, actForTeam, answered, api, writing } from '../api/client'
import { useCommand } from '../api/command'
import type { Session } from '../api/types'
import { Button } from '../components/Button'
import { Choice } from '../components/Field'
import { Failed } from '../components/States'
import { useStore } from '../lib/store'
import styles from './Shell.module.css'
import { chooseTheme, theme } from './theme'

export function PersonPanel({ session }: { session: Session }) {
  const chosen = useStore(theme)
  const client = useQueryClient()
  const signOut = useCommand<null, unknown>(
    (_, key) => answered(api.POST('/auth/sign-out', { headers: writing(key), body: {} })),
    {
      onSuccess: () => {
        actForTeam(null)
        access.set({ ...access.get(), csrfToken: null, signedOut: true })
        client.clear()
      },
    },
  )
  const name = session.name ?? session.email ?? (session.credential === 'none' ? 'Local person' : 'Signed in')
  return (
    <>
      <button type="button" className={styles.person} popoverTarget="person">
        <span className={styles.initial} aria-hidden="true">
          {name.charAt(0).toUpperCase()}
        </span>
        <span className={styles.personName}>{name}</span>
        <span className="visually-hidden">Settings</span>
      </button>
      <div id="person" popover="auto" className={styles.panel}>
        <div>
          <h2>{name}</h2>
          {session.email && session.email !== name && <p className="muted small">{session.email}</p>}
          <p className="muted small">Team {session.team_id}</p>
        </div>
        {session.teams.length > 1 && (
          <Choice
            label="Work for"
            options={session.teams.map((team) => ({ value: team, label: team }))}
            value={session.team_id}
            onChange={(team) => {
              actForTeam(team)
              void client.resetQueries()
            }}
          />
        )}
        <Choice
          label="Theme"
          look="chips"
          options={[
            { value: 'system', label: 'System' },
            { value: 'light', label: 'Light' },
            { value: 'dark', label: 'Dark' },
          ]}
          value={chosen}
          onChange={chooseTheme}
        />
        {signOut.error && <Failed error={signOut.error} />}
        {session.credential === 'session' && (
          <div>
            <Button busy={signOut.isPending} onClick={() => signOut.mutate(null)}>
              Sign out
            </Button>
          </div>
        )}
        <p className={styles.links}>
          <a href="/docs">API</a>
          <a href="/docs/errors">Errors</a>
        </p>
      </div>
    </>
  )
}
