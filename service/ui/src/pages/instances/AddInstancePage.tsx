/** Adds an instance that Amazon lists for an account, so that reports can run on it. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { Link, Navigate, useNavigate, useParams } from 'react-router'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { FieldErrors, sentence } from '../../api/problems'
import { listedQuery } from '../../api/queries'
import type { AmazonInstance, ZoneName } from '../../api/types'
import { Button, LinkButton } from '../../components/Button'
import { ErrorSummary } from '../../components/ErrorSummary'
import { NumberInput, TextInput } from '../../components/Field'
import { Failed, Loading } from '../../components/States'
import { Summary } from '../../components/Summary'
import { ZoneField } from '../../components/ZoneField'
import { Allowed } from '../../shell/Allowed'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { instanceAgain } from './again'
import styles from './Instances.module.css'

const MOST = 10

export function Component() {
  return (
    <Allowed
      scope="admin"
      title="Add an instance"
      refused="You may not add instances"
      back={{ to: '/instances', name: 'All instances' }}
    >
      <Add />
    </Allowed>
  )
}

function Add() {
  const { accountId = '', instanceId = '' } = useParams()
  const listed = useQuery(listedQuery(accountId))
  const found = listed.data?.items.find((each) => each.instance_id === instanceId)
  if (found?.usable) return <Navigate to={`/instances/${instanceId}`} replace />
  return (
    <Page
      title="Add an instance"
      above={<Link to={`/accounts/${accountId}`}>The account</Link>}
      lead="From then on your team’s reports can run on it."
    >
      {listed.error && !listed.data && (
        <Failed
          error={listed.error}
          retry={() => listed.refetch()}
          actions={<LinkButton to={`/accounts/${accountId}`}>Back to the account</LinkButton>}
        />
      )}
      {!listed.data && !listed.error && <Loading what="Asking Amazon" />}
      {listed.data && !found && (
        <>
          <p>Amazon does not list this instance for the account.</p>
          <div>
            <LinkButton to={`/accounts/${accountId}`}>See what it lists</LinkButton>
          </div>
        </>
      )}
      {found && <Form accountId={accountId} found={found} />}
    </Page>
  )
}

const FIELDS = [
  { pointer: '/name', name: 'Name' },
  { pointer: '/time_zone', name: 'Time zone' },
  { pointer: '/max_concurrent', name: 'Executions' },
  { pointer: '/max_executions_per_day', name: 'Executions in a day' },
]

type Added = { name: string; time_zone: ZoneName; max_concurrent: number; max_executions_per_day: number | null }

function Form({ accountId, found }: { accountId: string; found: AmazonInstance }) {
  const navigate = useNavigate()
  const client = useQueryClient()
  const [name, setName] = useState(found.name)
  const [zone, setZone] = useState<ZoneName>(new Intl.DateTimeFormat().resolvedOptions().timeZone as ZoneName)
  const [most, setMost] = useState<number | null>(MOST)
  const [perDay, setPerDay] = useState<number | null>(null)
  const add = useCommand<Added, { position: number }>(
    (body, key) =>
      answered(
        api.POST('/api/instances', {
          headers: writing(key),
          body: {
            ...body,
            instance_id: found.instance_id,
            advertiser_id: found.advertiser_id,
            marketplace_id: found.marketplace_id,
            account_id: accountId,
          },
        }),
      ),
    {
      onSuccess: async () => {
        announce('Added')
        await instanceAgain(client, found.instance_id)
        void client.invalidateQueries({ queryKey: listedQuery(accountId).queryKey })
        void navigate(`/instances/${found.instance_id}`, { replace: true })
      },
    },
  )
  const errors = FieldErrors.of(add.error)
  const error = (pointer: string) => {
    const said = errors.at(pointer)
    return said && sentence(said)
  }
  function submit(event: FormEvent) {
    event.preventDefault()
    if (add.isPending) return
    add.mutate({
      name: name.trim(),
      time_zone: zone,
      max_concurrent: most ?? MOST,
      max_executions_per_day: perDay,
    })
  }
  return (
    <form className={styles.form} onSubmit={submit} noValidate>
      <ErrorSummary errors={errors} fields={FIELDS} refusal={add.error} />
      {add.error && errors.all.length === 0 && <Failed error={add.error} />}
      <Summary
        title="As Amazon has it"
        rows={[
          { name: 'AMC’s id', value: found.instance_id },
          { name: 'Advertiser', value: found.advertiser_id },
          { name: 'Marketplace', value: found.marketplace_id },
        ]}
      />
      <TextInput
        label="Name"
        description="How your team knows it: the brand, say."
        pointer="/name"
        maxLength={200}
        error={error('/name')}
        value={name}
        onChange={setName}
      />
      <ZoneField
        label="Time zone"
        description="The advertiser’s: where a day of its data begins and ends."
        pointer="/time_zone"
        error={error('/time_zone')}
        value={zone}
        onChange={setZone}
      />
      <NumberInput
        label="Executions"
        description="What Amazon lets run on it at once."
        unit="at once"
        min={1}
        max={1000}
        pointer="/max_concurrent"
        error={error('/max_concurrent')}
        value={most}
        onChange={setMost}
      />
      <NumberInput
        label="Executions in a day"
        optional
        description="A day of UTC. Empty: any number."
        min={1}
        max={1_000_000}
        pointer="/max_executions_per_day"
        error={error('/max_executions_per_day')}
        value={perDay}
        onChange={setPerDay}
      />
      <div className="row">
        <Button type="submit" look="primary" busy={add.isPending}>
          Add the instance
        </Button>
        <Link to={`/accounts/${accountId}`}>Leave without adding</Link>
      </div>
    </form>
  )
}
