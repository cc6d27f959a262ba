/** One Amazon Ads account: how it stands, its pace, and the instances that Amazon lists for it. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { actualVersion, FieldErrors, sentence } from '../../api/problems'
import { accountQuery, listedQuery } from '../../api/queries'
import type { Account, AmazonInstance } from '../../api/types'
import { ActivityLink } from '../../components/ActivityLink'
import { Button, LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Dialog } from '../../components/Dialog'
import { NumberInput, TextInput } from '../../components/Field'
import type { Rereadable } from '../../components/Reread'
import { Failed, Loading } from '../../components/States'
import { Summary } from '../../components/Summary'
import { type Column, Table } from '../../components/Table'
import { Tag } from '../../components/Tag'
import { changesOf } from '../../lib/changes'
import { momentText, whenText } from '../../lib/dates'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { counted } from '../../words'
import { accountAgain } from './again'
import { AccountTag, accountName, paceText, regionText } from './words'

export function Component() {
  const { accountId = '' } = useParams()
  const account = useQuery(accountQuery(accountId))
  if (!account.data) {
    return (
      <Page title="Account">
        {account.error ? (
          <Failed
            error={account.error}
            retry={() => account.refetch()}
            actions={<LinkButton to="/instances">All instances</LinkButton>}
          />
        ) : (
          <Loading lines={8} />
        )}
      </Page>
    )
  }
  return <Shown account={account.data} query={account} />
}

type Asked = 'limits' | 'reconnect' | 'disconnect'

function Shown({ account, query }: { account: Account; query: Rereadable }) {
  const [asked, setAsked] = useState<Asked | null>(null)
  const own = account.account_id !== 'default'
  const connected = account.status === 'connected'
  const close = () => setAsked(null)
  return (
    <Page
      query={query}
      title={accountName(account)}
      above={
        <span className="row">
          <Link to="/instances">Instances and accounts</Link>
          <ActivityLink stream={`account-${account.account_id}`} />
        </span>
      }
      lead={<AccountTag account={account} />}
      actions={
        <>
          <Button look={connected ? 'secondary' : 'primary'} onClick={() => setAsked('reconnect')}>
            {reconnecting(account)}
          </Button>
          <Button onClick={() => setAsked('limits')}>Change the limits</Button>
          {own && account.status !== 'disconnected' && (
            <Button onClick={() => setAsked('disconnect')}>Disconnect</Button>
          )}
        </>
      }
    >
      <Standing account={account} />
      <Summary
        title="The account"
        rows={[
          { name: 'Region', value: regionText(account) },
          { name: 'Client id', value: account.client_id },
          { name: 'Pace', value: paceText(account) },
          { name: 'Calls at once', value: `At most ${counted(account.burst, 'call')}` },
          {
            name: 'Executions',
            value: `At most ${counted(account.max_concurrent, 'execution')} at once, over all its instances`,
          },
          ...(account.created_at ? [{ name: 'Connected since', value: momentText(account.created_at) }] : []),
        ]}
      />
      {connected && <Listed account={account} />}
      {asked === 'limits' && <ChangeLimits account={account} onClose={close} />}
      {asked === 'reconnect' && <Reconnect account={account} onClose={close} />}
      {asked === 'disconnect' && <Disconnect account={account} onClose={close} />}
    </Page>
  )
}

/** What connecting it again is for, as it stands. */
function reconnecting({ account_id: id, status }: Account): string {
  if (id === 'default') return 'Ask Amazon again'
  return status === 'connected' ? 'Change the secrets' : 'Connect again'
}

function Standing({ account }: { account: Account }) {
  const { status, error, held_by: hold, pace } = account
  if (status === 'reconnect') {
    return (
      <Callout look="bad" title="Amazon no longer accepts it">
        {error && <p>{sentence(error)}</p>}
        <p>
          Nothing runs on its instances{hold && ` since ${momentText(hold.since)}`}, and nothing is lost. Connect it
          again, with new secrets if Amazon has given you some, and work goes on by itself.
        </p>
      </Callout>
    )
  }
  if (status === 'disconnected') {
    return (
      <Callout title="It is disconnected">
        <p>Its secrets are deleted, and nothing runs on its instances. Connected again, all of it goes on.</p>
      </Callout>
    )
  }
  if (pace?.slowed_until && new Date(pace.slowed_until) > new Date()) {
    return (
      <Callout look="care" title="Amazon asks for a slower pace">
        <p>The next call goes at {whenText(pace.slowed_until)}. The pace grows back by itself.</p>
      </Callout>
    )
  }
  return null
}

function Listed({ account }: { account: Account }) {
  const listed = useQuery(listedQuery(account.account_id))
  const columns: Column<AmazonInstance>[] = [
    {
      name: 'Instance',
      main: true,
      cell: (each) => (
        <>
          {each.usable ? <Link to={`/instances/${each.instance_id}`}>{each.name}</Link> : <strong>{each.name}</strong>}
          <div className="muted small">{each.instance_id}</div>
        </>
      ),
    },
    { name: 'Kind', cell: (each) => each.kind },
    { name: 'Advertiser', cell: (each) => each.advertiser_id },
    { name: 'Marketplace', cell: (each) => each.marketplace_id },
    {
      name: 'Here',
      cell: (each) => {
        if (each.usable) return <Tag look="good">Added</Tag>
        if (each.added) return <Tag>Another team’s</Tag>
        return (
          <LinkButton
            to={`/accounts/${account.account_id}/add/${encodeURIComponent(each.instance_id)}`}
            aria-label={`Add ${each.name}`}
          >
            Add
          </LinkButton>
        )
      },
    },
  ]
  return (
    <section className="stack-small">
      <h2>Instances that Amazon lists for it</h2>
      {listed.error && <Failed error={listed.error} retry={() => listed.refetch()} />}
      {!listed.data && !listed.error && <Loading lines={3} what="Asking Amazon" />}
      {listed.data?.items.length === 0 && (
        <p className="muted">None. The account’s user needs access to an AMC instance at Amazon.</p>
      )}
      {listed.data && listed.data.items.length > 0 && (
        <Table
          caption="Instances that Amazon lists"
          columns={columns}
          rows={listed.data.items}
          keyOf={(each) => each.instance_id}
        />
      )}
    </section>
  )
}

type ActProps = { account: Account; onClose: () => void }

function ChangeLimits({ account, onClose }: ActProps) {
  const client = useQueryClient()
  const [opened] = useState(account)
  const [most, setMost] = useState<number | null>(opened.max_concurrent)
  const [rate, setRate] = useState(String(opened.requests_per_second))
  const [burst, setBurst] = useState<number | null>(opened.burst)
  const change = useCommand<Partial<Limits> & { version: number }, { position: number }>(
    ({ version, ...body }, key) =>
      answered(
        api.PATCH('/api/accounts/{account_id}', {
          params: { path: { account_id: account.account_id } },
          headers: writing(key, version),
          body,
        }),
      ),
    {
      onError: () => void accountAgain(client, account.account_id),
      onSuccess: async () => {
        announce('The limits are changed')
        await accountAgain(client, account.account_id)
        onClose()
      },
    },
  )
  const number = Number(rate.replace(',', '.'))
  const wrong = rate.trim() !== '' && !Number.isFinite(number)
  const errors = FieldErrors.of(change.error)
  const error = (pointer: string) => {
    const found = errors.at(pointer)
    return found && sentence(found)
  }
  return (
    <Dialog
      title="The account’s limits"
      act="Change"
      busy={change.isPending}
      error={errors.all.length > 0 ? undefined : change.error}
      onAct={() => {
        if (wrong) return
        // What was not changed is not sent: the service's own settings would become the account's.
        const { max_concurrent, requests_per_second, burst: atOnce } = opened
        const changed = changesOf<Limits>(
          { max_concurrent, requests_per_second, burst: atOnce },
          {
            max_concurrent: most ?? 0,
            requests_per_second: rate.trim() === '' ? 0 : number,
            burst: burst ?? 0,
          },
        )
        if (Object.keys(changed).length === 0) onClose()
        else change.mutate({ ...changed, version: actualVersion(change.error) ?? opened.version })
      }}
      onClose={onClose}
    >
      <p>What Amazon gets at most. Left empty, a limit is that of the service’s settings.</p>
      <NumberInput
        label="Executions"
        optional
        unit="at once"
        min={1}
        error={error('/max_concurrent')}
        value={most}
        onChange={setMost}
      />
      <TextInput
        label="Calls a second"
        optional
        size="narrow"
        inputMode="decimal"
        error={wrong ? 'It must be a number.' : error('/requests_per_second')}
        value={rate}
        onChange={setRate}
      />
      <NumberInput label="Calls at once" optional min={1} error={error('/burst')} value={burst} onChange={setBurst} />
    </Dialog>
  )
}

type Limits = { max_concurrent: number; requests_per_second: number; burst: number }

type Secrets = { client_id?: string; client_secret?: string; refresh_token?: string }

function Reconnect({ account, onClose }: ActProps) {
  const client = useQueryClient()
  const own = account.account_id !== 'default'
  const [opened] = useState(account)
  const [clientId, setClientId] = useState(opened.client_id)
  const [secret, setSecret] = useState('')
  const [token, setToken] = useState('')
  const needed = account.status === 'disconnected'
  const reconnect = useCommand<Secrets, { position: number }>(
    (body, key) =>
      answered(
        api.POST('/api/accounts/{account_id}/reconnect', {
          params: { path: { account_id: account.account_id } },
          headers: writing(key),
          body,
        }),
      ),
    {
      onSuccess: async () => {
        announce('Connected')
        await accountAgain(client, account.account_id)
        onClose()
      },
    },
  )
  const errors = FieldErrors.of(reconnect.error)
  const error = (pointer: string) => {
    const found = errors.at(pointer)
    return found && sentence(found)
  }
  return (
    <Dialog
      title={`${reconnecting(account)}?`}
      act={reconnecting(account)}
      busy={reconnect.isPending}
      error={errors.all.length > 0 ? undefined : reconnect.error}
      onAct={() =>
        reconnect.mutate(
          own
            ? {
                ...(clientId.trim() && clientId.trim() !== opened.client_id ? { client_id: clientId.trim() } : {}),
                ...(secret.trim() ? { client_secret: secret.trim() } : {}),
                ...(token.trim() ? { refresh_token: token.trim() } : {}),
              }
            : {},
        )
      }
      onClose={onClose}
    >
      {own ? (
        <>
          <p>
            {needed
              ? 'Its secrets were deleted: give them anew. Amazon is asked with them at once.'
              : 'Give what has changed. Left empty, Amazon is asked once more with what there is.'}
          </p>
          <TextInput
            label="Client id"
            maxLength={200}
            error={error('/client_id')}
            value={clientId}
            onChange={setClientId}
          />
          <TextInput
            label="Client secret"
            optional={!needed}
            type="password"
            autoComplete="off"
            maxLength={4096}
            error={error('/client_secret')}
            value={secret}
            onChange={setSecret}
          />
          <TextInput
            label="Refresh token"
            optional={!needed}
            type="password"
            autoComplete="off"
            maxLength={4096}
            error={error('/refresh_token')}
            value={token}
            onChange={setToken}
          />
        </>
      ) : (
        <p>Its secrets are in the service’s settings. Amazon is asked once more with what there is.</p>
      )}
    </Dialog>
  )
}

function Disconnect({ account, onClose }: ActProps) {
  const client = useQueryClient()
  const disconnect = useCommand<null, { position: number }>(
    (_, key) =>
      answered(
        api.POST('/api/accounts/{account_id}/disconnect', {
          params: { path: { account_id: account.account_id } },
          headers: writing(key),
          body: {},
        }),
      ),
    {
      onSuccess: async () => {
        announce('Disconnected')
        await accountAgain(client, account.account_id)
        onClose()
      },
    },
  )
  return (
    <Dialog
      title={`Disconnect “${accountName(account)}”?`}
      act="Disconnect and delete its secrets"
      final
      busy={disconnect.isPending}
      error={disconnect.error}
      onAct={() => disconnect.mutate(null)}
      onClose={onClose}
    >
      <p>
        Nothing runs on its instances any more until it is connected again, and its secrets are deleted. Results stay,
        and what waits is not lost.
      </p>
    </Dialog>
  )
}
