/** A collection while it runs and after: how it stands, its periods, what can be done, its rows. */
import { useQuery } from '@tanstack/react-query'
import { useCallback, useEffect, useRef } from 'react'
import { Link, useLocation, useParams, useSearchParams } from 'react-router'
import { useMay } from '../../api/may'
import { isProblem } from '../../api/problems'
import { instanceQuery, resultVersionsQuery, sessionQuery, workflowQuery } from '../../api/queries'
import type { Limit } from '../../api/types'
import { ActivityLink } from '../../components/ActivityLink'
import { LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import type { Rereadable } from '../../components/Reread'
import { Failed, Loading } from '../../components/States'
import { Summary } from '../../components/Summary'
import { Tag } from '../../components/Tag'
import { dateText, momentText, shortRange, spanText, windowText } from '../../lib/dates'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { CUTS, counted, STATUSES } from '../../words'
import { lookbackText } from '../builder/outline'
import { Calendar } from './Calendar'
import { Controls } from './Controls'
import type { View } from './progress'
import styles from './Result.module.css'
import { Results } from './results/Results'
import { SegmentDrawer } from './SegmentDrawer'
import { SegmentList } from './SegmentList'
import { useResult } from './useResult'
import { estimateText, limitText, paceText, statusSentence } from './words'

export function Component() {
  const { collectionId = '' } = useParams()
  const { state } = useLocation()
  const position = typeof state?.position === 'number' ? state.position : 0
  const { view, query } = useResult(collectionId, position)
  const { error, refetch } = query
  if (view) return <Shown key={collectionId} view={view} query={query} />
  return (
    <Page title="Result">
      {error ? (
        <Failed
          error={error}
          retry={() => refetch()}
          actions={isProblem(error, 'not_found') && <LinkButton to="/results">All results</LinkButton>}
        />
      ) : (
        <Loading lines={8} />
      )}
    </Page>
  )
}

function Shown({ view, query }: { view: View; query: Rereadable }) {
  const { collection, segments } = view
  const session = useQuery(sessionQuery)
  const [search, setSearch] = useSearchParams()
  const open = useCallback((id: string) => setSearch({ period: id }, { preventScrollReset: true }), [setSearch])
  const shown = segments.find((segment) => segment.segment_id === search.get('period'))
  const mayChange = session.data?.scopes.some((scope) => scope === 'collections:write' || scope === 'admin') ?? false
  const many = view.tally.total > 1
  useSaid(view)
  return (
    <Page
      query={query}
      title={collection.name}
      documentTitle={`${view.tally.percent}% · ${collection.name}`}
      above={
        <span className="row">
          <StatusTag view={view} />
          {collection.report_id && <Link to={`/reports/${collection.report_id}`}>The report</Link>}
          <ActivityLink stream={`collection-${collection.collection_id}`} />
        </span>
      }
      lead={windowText(collection.window_start, collection.window_end)}
    >
      <Standing view={view} />
      <Held view={view} />
      <Replaced view={view} />
      {mayChange ? (
        <Controls view={view} />
      ) : (
        session.data &&
        !collection.finished_at && <p className="muted small">You may look at this, but not change how it runs.</p>
      )}
      {many && collection.segmentation_config && (
        <Calendar segments={segments} cut={collection.segmentation_config.type} onOpen={open} />
      )}
      <Results view={view} />
      <SegmentList segments={segments} onOpen={open} />
      <About view={view} />
      {shown && (
        <SegmentDrawer
          key={shown.segment_id}
          view={view}
          segment={shown}
          mayChange={mayChange}
          onOpen={open}
          onClose={() => setSearch({}, { preventScrollReset: true, replace: true })}
        />
      )}
    </Page>
  )
}

/** Read out where the whole changes, and at each quarter of the way. */
function useSaid(view: View) {
  const quarter = Math.floor(view.tally.percent / 25)
  const { cancelled, paused, held, finished_at } = view.collection
  const mark = [quarter, cancelled !== null, paused !== null, held !== null, finished_at !== null].join()
  const before = useRef(mark)
  useEffect(() => {
    if (before.current === mark) return
    before.current = mark
    announce(`${statusSentence(view)} ${view.tally.percent} percent.`)
  })
}

function StatusTag({ view: { collection, tally } }: { view: View }) {
  const { backfill_status: status, finished_at: over } = collection
  if (over && collection.cancelled) return <Tag>Cancelled</Tag>
  if (!over && (collection.held || collection.held_by || tally.stuck > 0))
    return <Tag look="care">Waits for a person</Tag>
  if (!over && collection.paused) return <Tag look="care">Paused</Tag>
  if (!over) return <Tag look="accent">{STATUSES[tally.working > 0 ? 'in_progress' : status]}</Tag>
  if (status === 'completed' && tally.left > 0) return <Tag>Done</Tag>
  const look = { pending: 'plain', in_progress: 'accent', completed: 'good', partial: 'care', failed: 'bad' } as const
  return <Tag look={look[status]}>{STATUSES[status]}</Tag>
}

function Standing({ view }: { view: View }) {
  const { collection, tally, estimate, per_hour: rate, limited_by: limits } = view
  const over = collection.finished_at !== null
  const now = Date.now()
  const left = estimate && [Date.parse(estimate.earliest) - now, Date.parse(estimate.latest) - now]
  return (
    <section className={styles.standing} aria-label="How it stands">
      <div className={styles.line}>
        <p className={styles.sentence}>{statusSentence(view)}</p>
        {tally.total > 1 && <p className={styles.percent}>{tally.percent}%</p>}
      </div>
      {tally.total > 1 && <Bar view={view} />}
      <dl className={styles.figures}>
        {!over && tally.total > 1 && (
          <Figure name="Expected end">
            {estimate && left && left[1] !== undefined && left[0] !== undefined ? (
              <>
                {estimateText(estimate)}{' '}
                <span className={styles.beside}>
                  in {spanText(Math.max(1, left[0] / 1000), Math.max(1, left[1] / 1000))}
                </span>
              </>
            ) : (
              <span className={styles.beside}>
                {collection.cancelled
                  ? 'As soon as Amazon has ended what it runs'
                  : collection.paused || collection.held || collection.held_by
                    ? 'Not as long as it waits'
                    : 'Known after the first period'}
              </span>
            )}
          </Figure>
        )}
        {!over && rate !== null && rate > 0 && tally.total > 1 && (
          <Figure name="Pace">
            {paceText(rate)} <span className={styles.beside}>an hour</span>
          </Figure>
        )}
        {over && collection.finished_at && <Figure name="Finished">{momentText(collection.finished_at)}</Figure>}
        <Figure name="Rows so far" hidden={over}>
          {rowsOf(view).toLocaleString('en-GB')}
        </Figure>
        <Figure name="Rows" hidden={!over}>
          {rowsOf(view).toLocaleString('en-GB')}
        </Figure>
        <Figure name="Complete through">
          {collection.complete_through ? (
            dateText(collection.complete_through)
          ) : (
            <span className={styles.beside}>Not yet from the first day</span>
          )}
        </Figure>
      </dl>
      {!over && limits.length > 0 && (
        <div className={styles.limits}>
          <h2>What limits it now</h2>
          <ul>
            {limits.map((limit) => (
              <li key={limit.reason + limit.detail}>
                {limitText(limit)} <LimitLink limit={limit} view={view} />
              </li>
            ))}
          </ul>
        </div>
      )}
    </section>
  )
}

/** Where what limits it is to be mended, if a person can. */
function LimitLink({ limit: { reason }, view: { collection, segments } }: { limit: Limit; view: View }) {
  const stuck = segments.find((each) => each.stalled)?.segment_id
  const period = reason === 'stalled' ? stuck : reason === 'held' ? collection.held?.segment_id : null
  if (period && segments.some((each) => each.segment_id === period)) {
    return (
      <Link to={`?period=${period}`} preventScrollReset>
        Look at the period
      </Link>
    )
  }
  if (reason === 'account') return <Link to={`/instances/${collection.instance_id}`}>See the instance</Link>
  return null
}

const rowsOf = ({ segments }: View) =>
  segments.reduce((rows, each) => rows + (each.skip_reason === 'split' ? 0 : (each.row_count ?? 0)), 0)

function Figure({ name, hidden, children }: { name: string; hidden?: boolean; children: React.ReactNode }) {
  if (hidden) return null
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** The parts of the whole side by side; the same is said in words below it. */
function Bar({ view: { tally } }: { view: View }) {
  const parts = [
    { name: 'in', count: tally.arrived, look: styles.barDone },
    { name: 'running', count: tally.working, look: styles.barWork },
    { name: 'failed', count: tally.failed + tally.stuck, look: styles.barFailed },
    { name: 'waiting', count: tally.waiting, look: styles.barRest },
    { name: 'cancelled', count: tally.cancelled, look: styles.barRest },
    { name: 'left out', count: tally.left, look: styles.barRest },
  ].filter((part) => part.count > 0)
  return (
    <div className="stack-small">
      <div
        className={styles.bar}
        role="progressbar"
        aria-label="Periods that have come to their end"
        aria-valuenow={tally.percent}
        aria-valuemin={0}
        aria-valuemax={100}
      >
        {parts.map((part) => (
          <span key={part.name} className={part.look} style={{ flexGrow: part.count }} />
        ))}
      </div>
      <ul className={styles.counts}>
        {parts.map((part) => (
          <li key={part.name}>
            <i className={part.look} aria-hidden="true" />
            {part.count.toLocaleString('en-GB')} {part.name}
          </li>
        ))}
      </ul>
    </div>
  )
}

/** That newer results of its days are there, and where. */
function Replaced({ view: { collection, segments } }: { view: View }) {
  const replaced = new Set(segments.flatMap((each) => each.superseded_by ?? []))
  const report = collection.report_id
  const versions = useQuery({ ...resultVersionsQuery(report ?? ''), enabled: report !== null && replaced.size > 0 })
  if (replaced.size === 0) return null
  const newer = versions.data?.items.filter((each) => replaced.has(each.segment_id)) ?? []
  const results = [...new Set(newer.map((each) => each.collection_id))].slice(-NEWER)
  return (
    <Callout
      look="info"
      title={
        segments.length === 1
          ? 'A newer result of these days is there'
          : `Newer results of ${counted(replaced.size, 'period')} are there`
      }
      actions={
        <>
          {results.map((id) => {
            const own = newer.filter((each) => each.collection_id === id)
            const [first, last] = [own[0], own[own.length - 1]]
            return (
              <LinkButton key={id} to={`/results/${id}`}>
                {`The newer result of ${first && last ? shortRange(first.week_start, last.week_end) : 'these days'}`}
              </LinkButton>
            )
          })}
          {report && results.length === 0 && <LinkButton to={`/reports/${report}`}>All its results</LinkButton>}
        </>
      }
    >
      <p>
        Amazon restates its data for some days, so that they were fetched again. The rows below stay as they were
        fetched then.
      </p>
    </Callout>
  )
}

/** So many newer results are led to, the last ones; the report's page has all. */
const NEWER = 3

/** What a person has to look at before it goes on. */
function Held({ view: { collection, segments } }: { view: View }) {
  const { held, held_by: account, paused, cancelled } = collection
  const admin = useMay('admin')
  if (collection.finished_at || cancelled) {
    return cancelled?.reason ? (
      <Callout>
        <p>
          Cancelled on {momentText(cancelled.at)}: {cancelled.reason}
        </p>
      </Callout>
    ) : null
  }
  return (
    <>
      {held && (
        <Callout
          look="bad"
          role="alert"
          title={
            held.cause === 'sql_rejected' ? 'Amazon does not take the SQL or its values' : 'As many have failed as may'
          }
          actions={
            segments.some((each) => each.segment_id === held.segment_id) &&
            held.segment_id && (
              <LinkButton to={`?period=${held.segment_id}`} preventScrollReset>
                Look at the period
              </LinkButton>
            )
          }
        >
          <p className={styles.error}>{held.error}</p>
          <p>
            {held.cause === 'sql_rejected'
              ? 'All periods share it, so that the others wait. Where the cause is gone, resume it; where the SQL is wrong, cancel it, correct the workflow and start a new report.'
              : 'Look at what has failed. Then resume it, or cancel it.'}
          </p>
        </Callout>
      )}
      {account && (
        <Callout
          look="care"
          title={
            account.reason === 'account_disconnected'
              ? 'The account is disconnected'
              : 'Amazon does not accept the account'
          }
          actions={
            admin && account.account_id !== 'default' ? (
              <LinkButton to={`/accounts/${account.account_id}`}>See the account</LinkButton>
            ) : (
              <LinkButton to={`/instances/${collection.instance_id}`}>See the instance</LinkButton>
            )
          }
        >
          <p>
            Nothing runs since {momentText(account.since)}. It goes on by itself as soon as{' '}
            {admin ? 'the account is connected again' : 'an administrator has connected the account again'}.
          </p>
        </Callout>
      )}
      {paused?.reason && (
        <Callout>
          <p>
            Paused on {momentText(paused.at)}: {paused.reason}
          </p>
        </Callout>
      )}
    </>
  )
}

function About({ view: { collection } }: { view: View }) {
  const workflow = useQuery(workflowQuery(collection.workflow_id))
  const instance = useQuery(instanceQuery(collection.instance_id))
  const cut = collection.segmentation_config
  return (
    <Summary
      title="What runs"
      rows={[
        { name: 'Workflow', value: workflow.data?.name ?? collection.workflow_id },
        {
          name: 'Instance',
          value: instance.data ? `${instance.data.name} (${instance.data.instance_id})` : collection.instance_id,
        },
        { name: 'Window', value: lookbackText(collection.lookback_config) },
        { name: 'Days counted in', value: collection.timezone.replaceAll('_', ' ') },
        ...(cut ? [{ name: 'Periods', value: `${CUTS[cut.type]}, at most ${collection.parallel_limit} at once` }] : []),
        ...(collection.stop_after_failures
          ? [{ name: 'Stops after', value: counted(collection.stop_after_failures, 'failed period') }]
          : []),
        { name: 'Submitted', value: momentText(collection.created_at) },
      ]}
    />
  )
}
