/** Where the signed log stands, and what that proves. */
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { logQuery } from '../../api/queries'
import type { LogState } from '../../api/types'
import { LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Copyable } from '../../components/Copyable'
import { Details } from '../../components/Details'
import { Reread } from '../../components/Reread'
import { Failed, Loading } from '../../components/States'
import { momentText, preciseText } from '../../lib/dates'
import { LOCALE } from '../../lib/locale'
import { counted } from '../../words'
import styles from './Audit.module.css'
import { type Head, keyOf, readHead, standingOf } from './heads'

const number = (value: number) => value.toLocaleString(LOCALE)

export function LogCard() {
  const log = useQuery(logQuery)
  if (!log.data) return log.error ? <Failed error={log.error} retry={() => log.refetch()} /> : <Loading lines={4} />
  const head = log.data.head === null ? null : readHead(log.data.head)
  return (
    <section className={styles.card} aria-labelledby="log">
      <div className="stack-small">
        <h2 id="log">The signed log</h2>
        <Standing log={log.data} readAt={log.dataUpdatedAt} />
        <Reread query={log} />
      </div>
      {head && <Facts log={log.data} head={head} />}
      <div className="row">
        <LinkButton to="/audit/export">Export and verify</LinkButton>
        {head && (
          <a href={`/api/audit/log/checkpoint?size=${head.size}`} download={`tree-head-${head.size}.txt`}>
            Keep this tree head
          </a>
        )}
      </div>
      <Details summary="What this proves, and what it does not">
        <Proves />
      </Details>
    </section>
  )
}

/** Signing takes about a second; a head that stays behind for so long has nobody who signs. */
const STILL = 15_000

/** Whether a head that is behind has not moved since long ago, as far as this page has seen. */
function useStill({ size, log_end: end }: LogState, readAt: number): boolean {
  const [behind, setBehind] = useState({ size, since: readAt })
  // At the log's end nobody waits for it, so that the time counts from when it is behind.
  if (behind.size !== size || (end <= size && behind.since !== readAt)) setBehind({ size, since: readAt })
  return readAt - behind.since >= STILL
}

function Standing({ log, readAt }: { log: LogState; readAt: number }) {
  const still = useStill(log, readAt)
  const { size, log_end: end } = log
  const missing = end - size
  switch (standingOf(size, end, still)) {
    case 'short':
      return (
        <Callout look="bad" role="alert" title="The log ends before what was signed">
          <p>
            The newest tree head is of {counted(size, 'event')}, and the log has {number(end)}: the last{' '}
            {number(size - end)} are gone, or an older copy of the database was brought back. Tell the operator, and
            keep this tree head: it is what shows it.
          </p>
        </Callout>
      )
    case 'empty':
      return <p>Nothing is recorded yet.</p>
    case 'all':
      return (
        <p>
          All {counted(end, 'event')} are signed. This page does not check them: a tree head that you keep outside of
          the service finds what is changed after it.
        </p>
      )
    case 'follows':
      return (
        <p>
          {size === 0 ? 'None' : number(size)} of {counted(end, 'event')} {size === 1 ? 'is' : 'are'} signed
          {size === 0 && ' yet'}. The last {missing === 1 ? 'one follows' : `${number(missing)} follow`}; that takes
          about a second as a rule.
        </p>
      )
    case 'stopped':
      return (
        <Callout look="care" role="status" title="The last events are not signed">
          <p>
            {size === 0 ? 'None' : number(size)} of {counted(end, 'event')} {size === 1 ? 'is' : 'are'} signed, and{' '}
            {counted(missing, 'event')} {missing === 1 ? 'waits' : 'wait'}
            {log.signed_at && `; the last signature is of ${preciseText(log.signed_at)}`}. It takes about a second as a
            rule. If it stays so, tell the operator: what signs the log may not be running.
          </p>
        </Callout>
      )
  }
}

function Facts({ log, head }: { log: LogState; head: Head }) {
  const [own, others] = [head.signatures.filter(({ at }) => !at), head.signatures.filter(({ at }) => at)]
  const known = log.keys.map(({ key }) => key)
  return (
    <dl className={styles.rows}>
      <div>
        <dt>Tree head of</dt>
        <dd>{counted(head.size, 'event')}</dd>
      </div>
      <div>
        <dt>Root hash</dt>
        <dd>
          <Copyable text={head.root} what="the root hash" />
        </dd>
      </div>
      <div>
        <dt>Signed</dt>
        <dd>{log.signed_at ? preciseText(log.signed_at) : 'Not known when'}</dd>
      </div>
      <div>
        <dt>Signed with the key</dt>
        <dd>
          {own.map((signature) => {
            const key = keyOf(signature, known)
            return key ? (
              <Copyable key={key} text={key} what="the public key" />
            ) : (
              <div key={signature.hash}>
                {signature.name}, key {signature.hash}: the log does not know it
              </div>
            )
          })}
        </dd>
      </div>
      <div>
        <dt>Witnesses</dt>
        <dd>
          {others.length > 0
            ? others.map(({ name, at }) => (
                <div key={name}>
                  {name}, {at && preciseText(at.toISOString())}
                </div>
              ))
            : log.witnesses.length > 0
              ? 'None has signed this one yet'
              : 'None is set up'}
        </dd>
      </div>
      <div>
        <dt>Epoch</dt>
        <dd>
          {log.epoch}
          {log.epochs.length === 0 && <span className="muted">: the log was never restored to an earlier state</span>}
          {log.epochs.map((each) => (
            <div key={each.epoch} className="muted small">
              Epoch {each.epoch} began on {momentText(each.begun_at)} with event {number(each.position)}, after a
              restore to {counted(each.proven_size, 'event')}
            </div>
          ))}
        </dd>
      </div>
    </dl>
  )
}

function Proves() {
  return (
    <>
      <div className="stack-small">
        <h3>Protected</h3>
        <ul className={styles.list}>
          <li>
            Every event that a tree head covers: its place, time, person and every byte of its content. To alter, add,
            remove or reorder one changes the root hash.
          </li>
          <li>
            From the moment at which the head is where the one who alters cannot reach it. So keep one from time to
            time, outside of the service.
          </li>
          <li>
            Against whoever can change the database, its administrator included; against an older copy of it; and
            against a service that shows one log to one reader and another to the next.
          </li>
        </ul>
      </div>
      <div className="stack-small">
        <h3>Not protected</h3>
        <ul className={styles.list}>
          <li>The last second or so: events that no head covers yet.</li>
          <li>
            Whether what was recorded is true. Whoever has a person’s sign-in records in that person’s name, and whoever
            runs the service’s program in a form of their own records what they like.
          </li>
          <li>
            The signing key: whoever has it and the database can sign another history. Only a head that was kept
            outside, or a witness, finds that.
          </li>
          <li>
            Other tables. Lists can be built anew from the log and compared; each result’s checksum is in the log, and
            so protected.
          </li>
          <li>What never became an event, and the deletion of everything: it is found, but not undone.</li>
        </ul>
      </div>
      <Callout>
        <p>
          For the key and for heads do not rely on this page alone: have the operator tell you the key on another way,
          and compare.
        </p>
      </Callout>
    </>
  )
}
