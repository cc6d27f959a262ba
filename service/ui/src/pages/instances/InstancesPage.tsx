/** Where reports run: the team's instances, what of them is in use, and the accounts that they run with. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { useMay } from '../../api/may'
import { accountsQuery, instancesQuery, teamQuery } from '../../api/queries'
import type { Account, Instance, Team } from '../../api/types'
import { Button, LinkButton } from '../../components/Button'
import { Dialog } from '../../components/Dialog'
import { NumberInput } from '../../components/Field'
import { Empty, Failed, Loading } from '../../components/States'
import { Summary } from '../../components/Summary'
import { type Column, Nothing, Table } from '../../components/Table'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { counted } from '../../words'
import { teamAgain } from './again'
import { AccountTag, accountName, InstanceTag, paceText, regionText, slotsText } from './words'

export function Component() {
  const admin = useMay('admin')
  const instances = useQuery(instancesQuery)
  const accounts = useQuery({ ...accountsQuery, enabled: admin })
  const named = (id: string) => {
    const found = accounts.data?.items.find((each) => each.account_id === id)
    return found ? accountName(found) : null
  }
  const columns: Column<Instance>[] = [
    {
      name: 'Instance',
      main: true,
      cell: (each) => (
        <>
          <Link to={`/instances/${each.instance_id}`}>{each.name}</Link>
          <div className="muted small">{each.instance_id}</div>
        </>
      ),
    },
    { name: 'State', cell: (each) => <InstanceTag instance={each} /> },
    { name: 'Executions', cell: (each) => slotsText(each.in_flight, each.max_concurrent) },
    { name: 'Days in', cell: (each) => each.time_zone.replaceAll('_', ' ') },
    ...(admin
      ? [{ name: 'Account', cell: (each: Instance) => named(each.account_id) ?? <Nothing>Another team’s</Nothing> }]
      : []),
  ]
  return (
    <Page
      title="Instances"
      lead="Each AMC instance has the data of one advertiser. Reports run on them."
      actions={
        admin && (
          <LinkButton look="primary" to="/accounts/new">
            Connect an account
          </LinkButton>
        )
      }
    >
      {instances.error && <Failed error={instances.error} retry={() => instances.refetch()} />}
      {!instances.data && !instances.error && <Loading />}
      {instances.data?.items.length === 0 && (
        <Empty title="No instances yet">
          <p className="muted">
            {admin
              ? 'Connect an Amazon Ads account, or open one below: it lists the instances that can be added.'
              : 'An administrator of your team adds one, or has another team grant one.'}
          </p>
        </Empty>
      )}
      {instances.data && instances.data.items.length > 0 && (
        <Table caption="Instances" columns={columns} rows={instances.data.items} keyOf={(each) => each.instance_id} />
      )}
      {admin && (
        <section className="stack-small">
          <h2>Accounts</h2>
          {accounts.error && <Failed error={accounts.error} retry={() => accounts.refetch()} />}
          {!accounts.data && !accounts.error && <Loading lines={3} />}
          {accounts.data && (
            <Table
              caption="Accounts"
              columns={accountColumns(instances.data?.items ?? [])}
              rows={accounts.data.items}
              keyOf={(each) => each.account_id}
            />
          )}
        </section>
      )}
      <TeamLimits admin={admin} />
    </Page>
  )
}

function accountColumns(instances: readonly Instance[]): Column<Account>[] {
  return [
    {
      name: 'Account',
      main: true,
      cell: (each) => <Link to={`/accounts/${each.account_id}`}>{accountName(each)}</Link>,
    },
    { name: 'State', cell: (each) => <AccountTag account={each} /> },
    { name: 'Region', cell: regionText },
    { name: 'Pace', cell: paceText },
    {
      name: 'Instances',
      numeric: true,
      cell: (each) => instances.filter((one) => one.account_id === each.account_id).length,
    },
  ]
}

function TeamLimits({ admin }: { admin: boolean }) {
  const team = useQuery(teamQuery)
  const [asked, setAsked] = useState(false)
  if (!team.data) return team.error ? <Failed error={team.error} retry={() => team.refetch()} /> : null
  const { in_flight: inFlight, max_concurrent: most, max_concurrent_per_user: each } = team.data
  return (
    <>
      <Summary
        title="Your team"
        rows={[
          { name: 'Executions', value: slotsText(inFlight, most) },
          {
            name: 'Of each person',
            value: each === null ? 'As many as the team may' : `At most ${counted(each, 'execution')} at once`,
          },
        ]}
      />
      {admin && (
        <div>
          <Button onClick={() => setAsked(true)}>Change the team’s limits</Button>
        </div>
      )}
      {asked && <ChangeTeam team={team.data} onClose={() => setAsked(false)} />}
    </>
  )
}

function ChangeTeam({ team, onClose }: { team: Team; onClose: () => void }) {
  const client = useQueryClient()
  const [most, setMost] = useState(team.max_concurrent)
  const [each, setEach] = useState(team.max_concurrent_per_user)
  const change = useCommand<{ max_concurrent: number; max_concurrent_per_user: number }, { position: number }>(
    (body, key) => answered(api.PATCH('/api/team', { headers: writing(key), body })),
    {
      onSuccess: async () => {
        announce('The limits are changed')
        await teamAgain(client)
        onClose()
      },
    },
  )
  return (
    <Dialog
      title="The team’s limits"
      act="Change"
      busy={change.isPending}
      error={change.error}
      onAct={() => change.mutate({ max_concurrent: most ?? 0, max_concurrent_per_user: each ?? 0 })}
      onClose={onClose}
    >
      <p>So many executions may be under way at once, over all instances. Nothing that runs is ended.</p>
      <NumberInput label="Of the team" optional unit="at once" min={1} value={most} onChange={setMost} />
      <NumberInput label="Of each person" optional unit="at once" min={1} value={each} onChange={setEach} />
    </Dialog>
  )
}
