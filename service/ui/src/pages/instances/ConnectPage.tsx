/** Connects an Amazon Ads account. What is typed here is kept nowhere: secrets are among it. */
import { useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { Link, useNavigate } from 'react-router'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { FieldErrors, sentence } from '../../api/problems'
import { Button } from '../../components/Button'
import { ErrorSummary } from '../../components/ErrorSummary'
import { Choice, TextInput } from '../../components/Field'
import { Failed } from '../../components/States'
import { Allowed } from '../../shell/Allowed'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { REGIONS } from '../../words'
import { accountAgain } from './again'
import styles from './Instances.module.css'

type Region = keyof typeof REGIONS | 'settings'
type Body = { name: string; client_id: string; client_secret: string; refresh_token: string }

const FIELDS = [
  { pointer: '/name', name: 'Name' },
  { pointer: '/client_id', name: 'Client id' },
  { pointer: '/client_secret', name: 'Client secret' },
  { pointer: '/refresh_token', name: 'Refresh token' },
  { pointer: '/region', name: 'Region' },
] as const

export function Component() {
  return (
    <Allowed
      scope="admin"
      title="Connect an account"
      refused="You may not connect accounts"
      back={{ to: '/instances', name: 'All instances' }}
    >
      <Connect />
    </Allowed>
  )
}

function Connect() {
  const navigate = useNavigate()
  const client = useQueryClient()
  const [values, setValues] = useState<Body>({ name: '', client_id: '', client_secret: '', refresh_token: '' })
  const [region, setRegion] = useState<Region>('NA')
  const [attempt, setAttempt] = useState(0)
  const connect = useCommand<{ body: Body; region: Region }, { account_id: string; position: number }>(
    ({ body, region: where }, key) =>
      answered(
        api.POST('/api/accounts', {
          headers: writing(key),
          body: { ...body, ...(where === 'settings' ? {} : { region: where }) },
        }),
      ),
    {
      onSuccess: async (answer) => {
        announce('Connected')
        await accountAgain(client, answer.account_id)
        void navigate(`/accounts/${answer.account_id}`, { replace: true })
      },
    },
  )
  const missing = Object.entries(values).flatMap(([name, text]) =>
    text.trim() ? [] : [{ pointer: `/${name}`, message: 'fill this in' }],
  )
  const asking = attempt > 0 ? missing : []
  const errors = new FieldErrors([...asking, ...FieldErrors.of(connect.error).all])
  const field = (name: keyof Body) => {
    const found = errors.at(`/${name}`)
    return {
      pointer: `/${name}`,
      error: found && sentence(found),
      value: values[name],
      onChange: (text: string) => setValues({ ...values, [name]: text }),
    }
  }
  function submit(event: FormEvent) {
    event.preventDefault()
    if (connect.isPending) return
    setAttempt(attempt + 1)
    if (missing.length > 0) return connect.reset()
    const body = Object.fromEntries(Object.entries(values).map(([name, text]) => [name, text.trim()])) as Body
    connect.mutate({ body, region })
  }
  return (
    <Page
      title="Connect an account"
      above={<Link to="/instances">Instances and accounts</Link>}
      lead="An Amazon Ads login with access to AMC. Amazon is asked with it at once; what Amazon refuses is not kept."
    >
      <form className={styles.form} onSubmit={submit} noValidate>
        <ErrorSummary errors={errors} fields={FIELDS} refusal={connect.error ?? attempt} />
        {connect.error && FieldErrors.of(connect.error).all.length === 0 && <Failed error={connect.error} />}
        <TextInput label="Name" description="How your team knows it." maxLength={200} {...field('name')} />
        <TextInput
          label="Client id"
          description="Of your Login with Amazon application."
          maxLength={200}
          spellCheck={false}
          {...field('client_id')}
        />
        <TextInput label="Client secret" type="password" maxLength={4096} {...field('client_secret')} />
        <TextInput
          label="Refresh token"
          description="What Amazon gave you when the account’s user agreed."
          type="password"
          maxLength={4096}
          {...field('refresh_token')}
        />
        <Choice
          label="Region"
          look="chips"
          pointer="/region"
          error={errors.at('/region')}
          options={[
            ...Object.entries(REGIONS).map(([value, label]) => ({ value: value as Region, label })),
            { value: 'settings', label: 'As the service is set up' },
          ]}
          value={region}
          onChange={setRegion}
        />
        <p className="muted small">
          The secret and the token are kept encrypted, and shown to nobody again. They are not in the log.
        </p>
        <div className="row">
          <Button type="submit" look="primary" busy={connect.isPending}>
            Connect
          </Button>
          <Link to="/instances">Leave without connecting</Link>
        </div>
      </form>
    </Page>
  )
}
