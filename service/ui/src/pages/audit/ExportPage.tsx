/** The log as a file that proves itself, and how to verify it. */
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import { api } from '../../api/client'
import { problemOf } from '../../api/problems'
import { logQuery, sessionQuery } from '../../api/queries'
import { Button } from '../../components/Button'
import { Copyable } from '../../components/Copyable'
import { Choice, NumberInput } from '../../components/Field'
import { Failed } from '../../components/States'
import { LOCALE } from '../../lib/locale'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { counted } from '../../words'
import styles from './Audit.module.css'
import { ForAuditors } from './who'

export function Component() {
  return (
    <ForAuditors title="Export the log">
      <Export />
    </ForAuditors>
  )
}

type Part = { from?: number; to?: number; team?: string }

function Export() {
  const log = useQuery(logQuery)
  const session = useQuery(sessionQuery)
  const own = session.data?.team_id ?? ''
  const [from, setFrom] = useState<number | null>(null)
  const [to, setTo] = useState<number | null>(null)
  const [bodies, setBodies] = useState<'all' | 'own'>('all')
  const [begun, setBegun] = useState('')
  const [failed, setFailed] = useState<unknown>(null)
  const [busy, setBusy] = useState(false)
  const end = log.data?.size ?? 0
  const errors = {
    from: from !== null && from < 1 ? 'The first event is number 1.' : undefined,
    to:
      to !== null && to < (from ?? 1)
        ? from === null
          ? 'The first event is number 1.'
          : 'This is before the first event that you chose.'
        : undefined,
  }
  const part: Part = {
    ...(from === null ? {} : { from }),
    ...(to === null ? {} : { to }),
    ...(bodies === 'own' ? { team: own } : {}),
  }

  async function download() {
    if (errors.from || errors.to) return
    setBusy(true)
    setFailed(null)
    setBegun('')
    try {
      // Only whether it can be had: the browser itself fetches it to its disk, as it may be large.
      const ended = new AbortController()
      const { response, error } = await api.GET('/api/audit/export', {
        params: { query: part },
        parseAs: 'stream',
        signal: ended.signal,
      })
      if (!response.ok) throw problemOf(error, response, new URL(response.url).pathname)
      const name = /filename="([^"]+)"/.exec(response.headers.get('Content-Disposition') ?? '')?.[1] ?? 'audit.zip'
      ended.abort()
      const query = new URLSearchParams(Object.entries(part).map(([key, value]) => [key, String(value)]))
      const link = document.createElement('a')
      link.href = `/api/audit/export?${query}`
      link.download = name
      link.click()
      setBegun(name)
      announce('The download has begun')
    } catch (error) {
      setFailed(error)
    }
    setBusy(false)
  }

  return (
    <Page
      title="Export the log"
      above={<Link to="/audit">Audit</Link>}
      lead="The log as one file, for somebody who has no access to the service and need not trust it."
    >
      <form
        className={styles.card}
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          void download()
        }}
      >
        <div className={styles.fields}>
          <NumberInput
            label="From event no."
            optional
            description="Else from the first one."
            min={1}
            value={from}
            onChange={setFrom}
            error={errors.from}
          />
          <NumberInput
            label="To event no."
            optional
            description={end > 0 ? `Else to the last, now ${end.toLocaleString(LOCALE)}.` : 'Else to the last one.'}
            min={1}
            value={to}
            onChange={setTo}
            error={errors.to}
          />
        </div>
        <Choice
          label="Contents"
          description="Which team did what, and when, is there of every event: so it shows that none was left out."
          options={[
            { value: 'all', label: 'Of all teams’ events' },
            { value: 'own', label: `Of the events of team ${own} alone` },
          ]}
          value={bodies}
          onChange={setBodies}
        />
        <div>
          <Button type="submit" look="primary" busy={busy}>
            Download the bundle
          </Button>
        </div>
        <p role="status" className="muted">
          {begun && `The download of ${begun} has begun. Your browser shows how far it is.`}
        </p>
        {failed !== null && <Failed error={failed} retry={() => void download()} />}
      </form>
      <Verify part={part} file={begun || 'audit.zip'} />
    </Page>
  )
}

function Verify({ part, file }: { part: Part; file: string }) {
  const log = useQuery(logQuery)
  const { keys = [], size = 0 } = log.data ?? {}
  const key = keys[keys.length - 1]?.key ?? 'PUBLIC_KEY'
  const named = Object.entries(part).map(([name, value]) => ` --${name} ${name === 'team' ? `'${value}'` : value}`)
  return (
    <section className="stack" aria-labelledby="verify">
      <h2 id="verify">Verify it, offline</h2>
      <ol className={styles.steps}>
        <li>
          <div className="stack-small">
            <p>
              Install the verifier once, from the sources of the service. It shares no code with the service, and is
              made to be read.
            </p>
            <Copyable text="pip install ./verifier" what="the command that installs the verifier" />
          </div>
        </li>
        <li>
          <div className="stack-small">
            <p>Run it. Compare the key with the one that the operator has told you on another way.</p>
            <Copyable
              text={`report-builder-verify ${file} --key '${key}'${named.join('')}`}
              what="the command that verifies"
            />
          </div>
        </li>
        <li>
          <div className="stack-small">
            <p>
              From the second time on name a tree head that you have kept:{' '}
              <code>--head tree-head-{size || 'N'}.txt</code>. Only so does it show that nothing was taken back since.
            </p>
            {size > 0 && (
              <p>
                <a href={`/api/audit/log/checkpoint?size=${size}`} download={`tree-head-${size}.txt`}>
                  Keep the tree head of {counted(size, 'event')}
                </a>
              </p>
            )}
          </div>
        </li>
      </ol>
      <p className="muted">
        It ends with 0 where all is sound, 1 where something was tampered with, and then names the first bad event, and
        3 where something is missing.
      </p>
    </section>
  )
}
