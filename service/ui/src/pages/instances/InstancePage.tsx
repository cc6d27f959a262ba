/** One instance: how it stands, its limits, and which teams may run on it. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { useMay } from '../../api/may'
import { actualVersion, FieldErrors, sentence } from '../../api/problems'
import { accountQuery, instanceQuery, sessionQuery } from '../../api/queries'
import type { Instance } from '../../api/types'
import { ActivityLink } from '../../components/ActivityLink'
import { Button, LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Dialog } from '../../components/Dialog'
import { NumberInput, TextInput } from '../../components/Field'
import type { Rereadable } from '../../components/Reread'
import { Failed, Loading } from '../../components/States'
import { Summary } from '../../components/Summary'
import { changesOf } from '../../lib/changes'
import { momentText, whenText } from '../../lib/dates'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { counted } from '../../words'
import { instanceAgain } from './again'
import styles from './Instances.module.css'
import { accountName, InstanceTag, slotsText } from './words'

export function Component() {
  const { instanceId = '' } = useParams()
  const instance = useQuery({ ...instanceQuery(instanceId), refetchInterval: 30_000 })
  if (!instance.data) {
    return (
      <Page title="Instance">
        {instance.error ? (
          <Failed
            error={instance.error}
            retry={() => instance.refetch()}
            actions={<LinkButton to="/instances">All instances</LinkButton>}
          />
        ) : (
          <Loading lines={8} />
        )}
      </Page>
    )
  }
  return <Shown instance={instance.data} query={instance} />
}

function Shown({ instance, query }: { instance: Instance; query: Rereadable }) {
  const session = useQuery(sessionQuery)
  const admin = useMay('admin')
  const ours = session.data?.team_id === instance.team_id
  const owns = admin && ours
  const account = useQuery({ ...accountQuery(instance.account_id), enabled: owns })
  const [asked, setAsked] = useState(false)
  const perDay = instance.max_executions_per_day
  return (
    <Page
      query={query}
      title={instance.name}
      above={
        <span className="row">
          <Link to="/instances">Instances</Link>
          <ActivityLink stream={`instance-${instance.instance_id}`} />
        </span>
      }
      lead={<InstanceTag instance={instance} />}
      actions={
        <>
          <LinkButton to={`/results?instance=${encodeURIComponent(instance.instance_id)}`}>Its results</LinkButton>
          {owns && <Button onClick={() => setAsked(true)}>Change the limits</Button>}
        </>
      }
    >
      <Standing instance={instance} owns={owns} />
      <Summary
        title="The instance"
        rows={[
          { name: 'AMC’s id', value: instance.instance_id },
          { name: 'Advertiser', value: `${instance.advertiser_id}, marketplace ${instance.marketplace_id}` },
          { name: 'Days counted in', value: instance.time_zone.replaceAll('_', ' ') },
          ...(owns && account.data
            ? [
                {
                  name: 'Account',
                  value: <Link to={`/accounts/${instance.account_id}`}>{accountName(account.data)}</Link>,
                },
              ]
            : []),
          ...(ours ? [] : [{ name: 'Of', value: `Team ${instance.team_id}, which has granted it to yours` }]),
        ]}
      />
      <Summary
        title="Limits"
        rows={[
          { name: 'Executions', value: slotsText(instance.in_flight, instance.max_concurrent) },
          { name: 'In a day', value: perDay === null ? 'Any number' : `At most ${counted(perDay, 'execution')} begun` },
          { name: 'AMC keeps', value: counted(instance.retention_days, 'day') },
          {
            name: 'Results are final',
            value: `${counted(instance.final_after_days, 'day')} after their last day: Amazon restates them no more`,
          },
        ]}
      />
      {owns && <Grants instance={instance} />}
      {asked && <ChangeLimits instance={instance} onClose={() => setAsked(false)} />}
    </Page>
  )
}

function Standing({ instance, owns }: { instance: Instance; owns: boolean }) {
  const { held_by: hold, failing } = instance
  if (hold) {
    return (
      <Callout
        look="bad"
        title="Nothing runs on it"
        actions={owns && <LinkButton to={`/accounts/${hold.account_id}`}>See the account</LinkButton>}
      >
        <p>
          {hold.reason === 'account_disconnected'
            ? 'Its account is disconnected'
            : 'Amazon no longer accepts its account'}
          , since {momentText(hold.since)}. Work waits, and goes on by itself once the account is connected again.
        </p>
        {!owns && <p>An administrator of team {instance.team_id} has to do that.</p>}
      </Callout>
    )
  }
  if (failing) {
    return (
      <Callout look="care" title={failing.resting_until ? 'It is left alone for a while' : 'Some calls failed'}>
        <p>
          Amazon has failed on it {counted(failing.failures, 'time')} in a row: {failing.error}
        </p>
        {failing.resting_until && (
          <p>It is tried again at {whenText(failing.resting_until)}. Nothing has to be done: work goes on by itself.</p>
        )}
      </Callout>
    )
  }
  return null
}

function ChangeLimits({ instance, onClose }: { instance: Instance; onClose: () => void }) {
  const client = useQueryClient()
  const [opened] = useState(instance)
  const before = limitsOf(opened)
  const [name, setName] = useState(opened.name)
  const [most, setMost] = useState(before.max_concurrent)
  const [perDay, setPerDay] = useState(opened.max_executions_per_day)
  const [retention, setRetention] = useState(before.retention_days)
  const [final, setFinal] = useState(before.final_after_days)
  const change = useCommand<Partial<Limits> & { version: number }, { position: number }>(
    ({ version, ...body }, key) => patch(instance.instance_id, body, key, version),
    {
      onSuccess: async () => {
        announce('The instance is changed')
        await instanceAgain(client, instance.instance_id)
        onClose()
      },
      onError: () => void client.invalidateQueries({ queryKey: ['instance', instance.instance_id] }),
    },
  )
  const errors = FieldErrors.of(change.error)
  const error = (pointer: string) => {
    const found = errors.at(pointer)
    return found && sentence(found)
  }
  return (
    <Dialog
      title="The instance’s limits"
      act="Change"
      busy={change.isPending}
      error={errors.all.length > 0 ? undefined : change.error}
      onAct={() => {
        const changed = changesOf(before, {
          name: name.trim(),
          max_concurrent: most,
          retention_days: retention,
          final_after_days: final,
          max_executions_per_day: perDay ?? 0,
        })
        if (Object.keys(changed).length === 0) onClose()
        else change.mutate({ ...changed, version: actualVersion(change.error) ?? opened.version })
      }}
      onClose={onClose}
    >
      <TextInput label="Name" maxLength={200} error={error('/name')} value={name} onChange={setName} />
      <NumberInput
        label="Executions"
        unit="at once"
        min={1}
        max={1000}
        error={error('/max_concurrent')}
        value={most}
        onChange={setMost}
      />
      <NumberInput
        label="Executions in a day"
        optional
        description="A day of UTC. Empty: any number."
        min={1}
        error={error('/max_executions_per_day')}
        value={perDay}
        onChange={setPerDay}
      />
      <NumberInput
        label="AMC keeps"
        unit="days"
        min={1}
        max={3650}
        error={error('/retention_days')}
        value={retention}
        onChange={setRetention}
      />
      <NumberInput
        label="Results are final after"
        unit="days"
        min={0}
        max={3650}
        error={error('/final_after_days')}
        value={final}
        onChange={setFinal}
      />
    </Dialog>
  )
}

type Limits = {
  name: string | null
  max_concurrent: number | null
  retention_days: number | null
  final_after_days: number | null
  max_executions_per_day: number | null
}

/** As they are sent: no number of executions in a day is 0. */
function limitsOf(instance: Instance): Limits {
  const { name, max_concurrent, retention_days, final_after_days, max_executions_per_day: perDay } = instance
  return { name, max_concurrent, retention_days, final_after_days, max_executions_per_day: perDay ?? 0 }
}

function patch(id: string, body: Partial<Limits>, key: string, version: number) {
  return answered(
    api.PATCH('/api/instances/{instance_id}', {
      params: { path: { instance_id: id } },
      headers: writing(key, version),
      body,
    }),
  )
}

function Grants({ instance }: { instance: Instance }) {
  const { instance_id: id, granted_to: teams } = instance
  const client = useQueryClient()
  const [asked, setAsked] = useState<'grant' | { revoke: string } | null>(null)
  const [team, setTeam] = useState('')
  const done = async (said: string) => {
    announce(said)
    await instanceAgain(client, id)
    setAsked(null)
    setTeam('')
  }
  const grant = useCommand<{ team_id: string }, { position: number }>(
    (body, key) =>
      answered(
        api.POST('/api/instances/{instance_id}/grants', {
          params: { path: { instance_id: id } },
          headers: writing(key),
          body,
        }),
      ),
    { onSuccess: () => done('Granted') },
  )
  const revoke = useCommand<{ team_id: string }, { position: number }>(
    ({ team_id }, key) =>
      answered(
        api.DELETE('/api/instances/{instance_id}/grants/{team_id}', {
          params: { path: { instance_id: id, team_id } },
          headers: writing(key),
          body: {},
        }),
      ),
    { onSuccess: () => done('Taken back') },
  )
  const close = () => {
    setAsked(null)
    grant.reset()
    revoke.reset()
  }
  const refused = FieldErrors.of(grant.error).at('/team_id')
  return (
    <section className="stack-small">
      <h2>Other teams</h2>
      {teams.length === 0 ? (
        <p className="muted">Yours alone runs on it.</p>
      ) : (
        <ul className={styles.teams}>
          {teams.map((each) => (
            <li key={each}>
              <span>{each}</span>
              <Button look="quiet" aria-label={`Take it back from ${each}`} onClick={() => setAsked({ revoke: each })}>
                Take it back
              </Button>
            </li>
          ))}
        </ul>
      )}
      <div>
        <Button onClick={() => setAsked('grant')}>Grant it to a team</Button>
      </div>
      {asked === 'grant' && (
        <Dialog
          title={`Grant “${instance.name}” to a team?`}
          act="Grant"
          busy={grant.isPending}
          error={refused ? undefined : grant.error}
          onAct={() => team.trim() && grant.mutate({ team_id: team.trim() })}
          onClose={close}
        >
          <p>Its people see the instance, and run reports on it within its limits.</p>
          <TextInput
            label="Team"
            description="As your sign-in service names it."
            maxLength={200}
            error={refused && sentence(refused)}
            value={team}
            onChange={setTeam}
          />
        </Dialog>
      )}
      {asked !== null && asked !== 'grant' && (
        <Dialog
          title={`Take “${instance.name}” back from ${asked.revoke}?`}
          act="Take it back"
          final
          busy={revoke.isPending}
          error={revoke.error}
          onAct={() => revoke.mutate({ team_id: asked.revoke })}
          onClose={close}
        >
          <p>That team no longer sees the instance. What it has submitted goes on.</p>
        </Dialog>
      )}
    </section>
  )
}
