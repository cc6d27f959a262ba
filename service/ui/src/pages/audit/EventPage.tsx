/** One event as it was recorded, and the proof that it was. */
import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { Link, useParams } from 'react-router'
import { answered, api } from '../../api/client'
import { isProblem } from '../../api/problems'
import { eventQuery, logQuery, proofQuery } from '../../api/queries'
import type { ActivityItem, Proof } from '../../api/types'
import { Button, LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Copyable } from '../../components/Copyable'
import { Failed, Loading } from '../../components/States'
import { Summary } from '../../components/Summary'
import { activityAddress } from '../../lib/addresses'
import { preciseText } from '../../lib/dates'
import { LOCALE } from '../../lib/locale'
import { saveText } from '../../lib/save'
import { canHash, rootOf } from '../../lib/tree'
import { Page } from '../../shell/Page'
import { counted, STEPS } from '../../words'
import styles from './Audit.module.css'
import { keyOf, readHead } from './heads'
import { Json, Rows, Thing } from './Values'
import { ForAuditors, whoText } from './who'
import { eventText, THINGS } from './words'

export function Component() {
  return (
    <ForAuditors title="Event">
      <Found />
    </ForAuditors>
  )
}

function Found() {
  const position = Number(useParams().position)
  const valid = Number.isSafeInteger(position) && position > 0
  const event = useQuery({ ...eventQuery(position), enabled: valid })
  const back = <LinkButton to="/audit">All events</LinkButton>
  if (event.data) return <Shown event={event.data} />
  return (
    <Page title="Event">
      {event.error ? (
        <Failed error={event.error} retry={() => event.refetch()} actions={back} />
      ) : !valid || event.data === null ? (
        <Callout title="There is no such event" actions={back}>
          <p>The log may not have come so far, or the address is not complete.</p>
        </Callout>
      ) : (
        <Loading />
      )}
    </Page>
  )
}

function Shown({ event }: { event: ActivityItem }) {
  const proof = useQuery(proofQuery(event.position))
  const step = STEPS.find((each) => each.step === event.step_completed)
  const stream = activityAddress(event.stream)
  const body = event.configuration ?? {}
  return (
    <Page
      title={eventText(event.event_type)}
      documentTitle={`${eventText(event.event_type)}, event ${event.position}`}
      above={
        <>
          <Link to="/audit">Audit</Link>, event {event.position.toLocaleString(LOCALE)}
        </>
      }
      actions={<LinkButton to={`${stream}?at=${event.position}`}>See what it changed</LinkButton>}
    >
      <Summary
        title="What was recorded"
        rows={[
          { name: 'Who', value: whoText(event) },
          { name: 'When, by your clock', value: preciseText(event.recorded_at) },
          { name: 'When, in UTC', value: <code>{event.recorded_at}</code> },
          { name: THINGS[event.entity], value: <Thing stream={event.stream} team={event.team_id} /> },
          { name: 'Team', value: event.team_id },
          ...(event.workflow_id && event.entity !== 'workflow'
            ? [{ name: 'Workflow', value: event.workflow_name ?? event.workflow_id }]
            : []),
          ...(step ? [{ name: 'Step', value: step.name }] : []),
          { name: 'Type', value: <code>{`${event.event_type}, form ${event.schema_version}`}</code> },
          { name: 'Stream', value: <code>{event.stream}</code> },
          { name: 'Version in its stream', value: event.stream_version.toLocaleString(LOCALE) },
          { name: 'Event id', value: <Copyable text={event.id} what="the event’s id" /> },
        ]}
      />
      <section className="stack-small" aria-labelledby="body">
        <h2 id="body">Its content</h2>
        <Rows fields={body} />
        <h3>As JSON, laid out to be read</h3>
        <Json value={body} label="The event’s content as JSON" />
        <p className="muted small">
          The exact bytes, whose SHA-256 stands below, are in <Link to="/audit/export">the export</Link>.
        </p>
      </section>
      <section className={styles.card} aria-labelledby="proof">
        <h2 id="proof">Proof</h2>
        {proof.data ? (
          <Proven event={event} proof={proof.data} />
        ) : proof.error ? (
          isProblem(proof.error, 'tree_behind') ? (
            <Callout
              look="care"
              role="status"
              title="It is recorded, but not signed yet"
              actions={
                <Button busy={proof.isFetching} onClick={() => void proof.refetch()}>
                  Try again
                </Button>
              }
            >
              <p>
                The tree is behind. It takes about a second as a rule. If it stays so, tell the operator: what signs the
                log may not be running.
              </p>
            </Callout>
          ) : (
            <Failed error={proof.error} retry={() => proof.refetch()} />
          )
        ) : (
          <Loading lines={3} what="Asking for the proof" />
        )}
      </section>
    </Page>
  )
}

/** What of the event is hashed into the tree. */
function hashOf(proof: Proof): string | null {
  if (proof.leaf === null) return null
  const leaf = JSON.parse(proof.leaf) as { configuration_sha256?: string }
  return leaf.configuration_sha256 ?? null
}

type Check = 'busy' | 'holds' | 'fails' | 'cannot'

/** Whether the leaf is this event's, and its path leads to the head's root: worked out here, whatever the service says. */
function useCheck(event: ActivityItem, proof: Proof): Check {
  const [check, setCheck] = useState<Check>('busy')
  useEffect(() => {
    const { leaf, index, size, hashes } = proof
    if (leaf === null || !canHash()) {
      setCheck('cannot')
      return
    }
    let gone = false
    const said = JSON.parse(leaf) as Partial<ActivityItem>
    const head = readHead(proof.head)
    const same = (['position', 'id', 'stream', 'event_type'] as const).every((name) => said[name] === event[name])
    const fits = same && index === event.position - 1
    void rootOf({ leaf, index, size, hashes })
      .then((found) => fits && head?.size === size && found.leaf === proof.leaf_hash && found.root === head.root)
      .catch(() => false)
      .then((holds) => {
        if (!gone) setCheck(holds ? 'holds' : 'fails')
      })
    return () => {
      gone = true
    }
  }, [event, proof])
  return check
}

function Checked({ event, proof }: { event: ActivityItem; proof: Proof }) {
  const check = useCheck(event, proof)
  const tree = `the signed tree of ${counted(proof.size, 'event')}, as number ${event.position.toLocaleString(LOCALE)}`
  const path = `${counted(proof.hashes.length, 'hash leads', 'hashes lead')} from it to the root`
  switch (check) {
    case 'busy':
      return <p className="muted">Working out its hashes …</p>
    case 'holds':
      return (
        <div className="stack-small">
          <p>
            <span aria-hidden="true">✓ </span>
            It is in {tree}. {path}.
          </p>
          <p className="muted small">
            Your browser has worked that out, with the hash of the event’s leaf. It has checked neither the bytes of the
            content nor who signed the root, and which witnesses: the commands of the verifier do.
          </p>
        </div>
      )
    case 'fails':
      return (
        <Callout look="bad" role="alert" title="The proof does not hold">
          <p>
            What the service sent does not lead from this event to the signed root. Keep the proof, and tell the
            operator.
          </p>
        </Callout>
      )
    case 'cannot':
      return (
        <p>
          The service says: it is in {tree}; {path}. Your browser works out hashes on encrypted pages alone, so that
          this is not checked. Check it yourself, with the command below.
        </p>
      )
  }
}

function Proven({ event, proof }: { event: ActivityItem; proof: Proof }) {
  const log = useQuery(logQuery)
  const [failed, setFailed] = useState<unknown>(null)
  const [busy, setBusy] = useState(false)
  const known = log.data?.keys.map(({ key }) => key) ?? []
  const signatures = readHead(proof.head)?.signatures ?? []
  const key = signatures.map((each) => keyOf(each, known)).find(Boolean) ?? 'PUBLIC_KEY'
  const hash = hashOf(proof)
  async function save() {
    setBusy(true)
    setFailed(null)
    try {
      const path = { position: `${event.position}.tlog-proof` }
      const text = await answered(
        api.GET('/api/audit/proof/{position}', { params: { path, query: { size: proof.size } }, parseAs: 'text' }),
      )
      saveText(path.position, text as unknown as string, 'text/plain')
    } catch (error) {
      setFailed(error)
    }
    setBusy(false)
  }
  return (
    <>
      <Checked event={event} proof={proof} />
      <dl className={styles.rows}>
        {hash && (
          <div>
            <dt>SHA-256 of its content</dt>
            <dd>
              <Copyable text={hash} what="the hash of its content" />
            </dd>
          </div>
        )}
        <div>
          <dt>Its hash in the tree</dt>
          <dd>
            <Copyable text={proof.leaf_hash} what="the hash in the tree" />
          </dd>
        </div>
      </dl>
      <div className="row">
        <Button look="primary" busy={busy} onClick={() => void save()}>
          Download the proof
        </Button>
        <Button
          onClick={() =>
            saveText(`${event.position}-proof.json`, `${JSON.stringify(proof, null, 2)}\n`, 'application/json')
          }
        >
          Proof as JSON
        </Button>
      </div>
      {failed !== null && <Failed error={failed} />}
      <div className="stack-small">
        <p className="muted">
          The proof is a file <code>{event.position}.tlog-proof</code>. Any program for c2sp.org/tlog-proof reads it,
          without the service. Ours asks for it and checks it with the public key that the operator has told you:
        </p>
        <Copyable
          text={`report-builder audit prove ${event.position} --key '${key}' --output ${event.position}.tlog-proof`}
          what="the command"
        />
      </div>
    </>
  )
}
