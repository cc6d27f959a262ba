/** One period from its beginning: what happened to it, attempt by attempt, and what can be done. */
import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { timelineQuery } from '../../api/queries'
import type { Attempt, Segment, SegmentTimeline } from '../../api/types'
import { ActivityLink } from '../../components/ActivityLink'
import { Button } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Details } from '../../components/Details'
import { Drawer } from '../../components/Drawer'
import { Failed, Loading } from '../../components/States'
import { Summary, type SummaryRow } from '../../components/Summary'
import { Tag } from '../../components/Tag'
import { daysOf, durationText, momentText, secondsText, timeText } from '../../lib/dates'
import { useInvalidation } from '../../live/hooks'
import type { Rules } from '../../live/rules'
import { counted } from '../../words'
import { useAct } from './commands'
import { stateOf, type View } from './progress'
import styles from './Result.module.css'
import { remedyFor } from './remedies'
import { EVENT_WORDS, LOOKS, OUTCOMES, periodText, stateText } from './words'

type DrawerProps = {
  view: View
  segment: Segment
  mayChange: boolean
  onOpen: (id: string) => void
  onClose: () => void
}

export function SegmentDrawer({ view, segment, mayChange, onOpen, onClose }: DrawerProps) {
  const { collection } = view
  const id = segment.segment_id
  const rules = useMemo<Rules>(
    () => ({
      'segment.*': (event) =>
        event.type === '' || event.stream === `segment-${id}` ? [['timeline', collection.collection_id, id]] : [],
    }),
    [collection.collection_id, id],
  )
  useInvalidation(rules, 500)
  const timeline = useQuery(timelineQuery(collection.collection_id, id))
  const state = stateOf(segment)
  return (
    <Drawer title={periodText(segment)} beside={<Tag look={LOOKS[state]}>{stateText(segment)}</Tag>} onClose={onClose}>
      <Said segment={segment} view={view} />
      {mayChange && <Acts view={view} segment={segment} />}
      <Pieces view={view} segment={segment} onOpen={onOpen} />
      <Summary title="This period" rows={rowsOf(segment)} />
      {timeline.error && !timeline.data && <Failed error={timeline.error} retry={() => timeline.refetch()} />}
      {!timeline.data && !timeline.error && <Loading lines={4} />}
      {timeline.data && <Attempts timeline={timeline.data} />}
      {timeline.data && <Events timeline={timeline.data} />}
      {timeline.data && timeline.data.events.length > 0 && (
        <p>
          <ActivityLink stream={`segment-${id}`} />
        </p>
      )}
    </Drawer>
  )
}

/** What stands in the way, with what to do about it. */
function Said({ segment, view }: { segment: Segment; view: View }) {
  const state = stateOf(segment)
  if (state === 'stuck' && segment.stalled) {
    return (
      <Callout look="bad" title="It waits for a person">
        <p>
          Its work has failed {counted(segment.stalled.tries, 'time')} in a row, since {momentText(segment.stalled.at)}.
          {segment.stalled.in_flight && ' Amazon may still have an execution of it.'}
        </p>
        {segment.error && <p className={styles.error}>{segment.error}</p>}
        <p>Retry it. If it gets stuck again, tell the operator.</p>
      </Callout>
    )
  }
  if (state === 'failed') {
    return (
      <Callout look="bad" title="It has no result">
        {segment.error && <p className={styles.error}>{segment.error}</p>}
        <p>{remedyFor(segment)}</p>
      </Callout>
    )
  }
  if (state === 'retry') {
    return (
      <Callout look="care" title={`Tried again ${segment.retry_at ? `from ${momentText(segment.retry_at)}` : 'soon'}`}>
        {segment.error && <p className={styles.error}>{segment.error}</p>}
        <p>
          Attempt {segment.attempts} of {view.collection.max_attempts} has failed in a way that may pass. Nothing needs
          to be done.
        </p>
      </Callout>
    )
  }
  if (state === 'provisional') {
    return (
      <Callout look="info">
        <p>Amazon may still change the data of these days. A later run fetches them again.</p>
      </Callout>
    )
  }
  return null
}

function Acts({ view, segment }: { view: View; segment: Segment }) {
  const [told, setTold] = useState('')
  const act = useAct(view.collection.collection_id, setTold)
  const state = stateOf(segment)
  const busy = (name: string) => act.isPending && act.variables.act.do === name
  const over = view.collection.finished_at !== null || view.collection.cancelled !== null
  const may = {
    retry: (state === 'failed' || state === 'stuck') && view.collection.cancelled === null,
    split: state === 'failed' && view.collection.cancelled === null && daysOf(segment.week_start, segment.week_end) > 1,
    front: state === 'turn' && !over && view.tally.total > 1,
  }
  const any = may.retry || may.split || may.front
  return (
    <div className="stack-small">
      {any && (
        <div className="row">
          {may.retry && (
            <Button
              look="primary"
              busy={busy('retry')}
              onClick={() =>
                act.mutate({
                  act: { do: 'retry', segmentIds: [segment.segment_id] },
                  says: 'It runs again as soon as a slot is free.',
                })
              }
            >
              Retry
            </Button>
          )}
          {may.split && (
            <Button
              busy={busy('split')}
              onClick={() =>
                act.mutate({
                  act: { do: 'split', segmentId: segment.segment_id },
                  says: 'It is fetched in smaller periods, which are on the page.',
                })
              }
            >
              Fetch it in pieces
            </Button>
          )}
          {may.front && (
            <Button
              busy={busy('front-period')}
              onClick={() =>
                act.mutate({
                  act: { do: 'front-period', segmentId: segment.segment_id },
                  says: 'It is the next one to run.',
                })
              }
            >
              To the front
            </Button>
          )}
        </div>
      )}
      <p role="status" className={told ? styles.told : undefined}>
        {!act.error && told}
      </p>
      {act.error && <Failed error={act.error} />}
    </div>
  )
}

/** Of a period that was cut: what it was cut into. */
function Pieces({ view, segment, onOpen }: { view: View; segment: Segment; onOpen: (id: string) => void }) {
  if (segment.skip_reason !== 'split') return null
  const pieces = view.segments.filter(
    (each) => each !== segment && each.week_start >= segment.week_start && each.week_end <= segment.week_end,
  )
  return (
    <section className="stack-small">
      <h3>Fetched in {counted(pieces.length, 'piece')}</h3>
      <ul className={styles.pieces}>
        {pieces.map((piece) => (
          <li key={piece.segment_id}>
            <Button look="quiet" onClick={() => onOpen(piece.segment_id)}>
              {periodText(piece)}
            </Button>
            <Tag look={LOOKS[stateOf(piece)]}>{stateText(piece)}</Tag>
          </li>
        ))}
      </ul>
    </section>
  )
}

function rowsOf(segment: Segment): SummaryRow[] {
  return [
    { name: 'Days', value: counted(daysOf(segment.week_start, segment.week_end), 'day') },
    { name: 'Attempts', value: segment.attempts },
    ...(segment.row_count === null ? [] : [{ name: 'Rows', value: segment.row_count.toLocaleString('en-GB') }]),
    ...(segment.null_count
      ? [
          {
            name: 'Empty values',
            value: `${segment.null_count.toLocaleString('en-GB')}; what Amazon leaves out for privacy is among them`,
          },
        ]
      : []),
    ...(segment.amc_execution_id
      ? [{ name: 'AMC execution', value: <code className={styles.id}>{segment.amc_execution_id}</code> }]
      : []),
    ...(segment.checksum ? [{ name: 'Checksum', value: <code className={styles.id}>{segment.checksum}</code> }] : []),
  ]
}

function Attempts({ timeline: { attempts } }: { timeline: SegmentTimeline }) {
  if (attempts.length === 0) return null
  return (
    <section className="stack-small">
      <h3>{counted(attempts.length, 'attempt')}</h3>
      <ol className={styles.attempts}>
        {[...attempts].reverse().map((attempt) => (
          <li key={`${attempt.attempt} ${attempt.dispatched_at}`}>
            <AttemptView attempt={attempt} />
          </li>
        ))}
      </ol>
    </section>
  )
}

function AttemptView({ attempt }: { attempt: Attempt }) {
  const { look, name } = OUTCOMES[attempt.outcome]
  const steps = stepsOf(attempt)
  return (
    <div className="stack-small">
      <div className="row">
        <strong>Attempt {attempt.attempt}</strong>
        <Tag look={look}>{name}</Tag>
      </div>
      <ol className={styles.steps}>
        {steps.map((step) => (
          <li key={step.name}>
            <span className="muted nowrap">{secondsText(step.at)}</span>
            <span>
              {step.name}
              {step.after !== null && step.after >= 1 && (
                <span className="muted"> after {durationText(step.after)}</span>
              )}
            </span>
          </li>
        ))}
      </ol>
      {attempt.execution_id && (
        <p className="small">
          <span className="muted">AMC execution </span>
          <code className={styles.id}>{attempt.execution_id}</code>
          {attempt.adopted && <span className="muted">, found again after a lost answer</span>}
        </p>
      )}
      {attempt.creates > 1 && <p className="small muted">Asked of Amazon {counted(attempt.creates, 'time')}.</p>}
      {attempt.resent > 0 && (
        <p className="small muted">Taken up again {counted(attempt.resent, 'time')}, as nobody was heard of.</p>
      )}
      {attempt.error && <p className={styles.error}>{attempt.error}</p>}
      {attempt.retry_at && <p className="small muted">Next attempt from {timeText(attempt.retry_at)}.</p>}
    </div>
  )
}

/** The moments of an attempt, each with what it took since the one before: where the time went. */
function stepsOf(attempt: Attempt): { name: string; at: string; after: number | null }[] {
  const ended = { completed: 'Result stored', failed: 'Failed', retried: 'Failed', cancelled: 'Cancelled' } as const
  const moments: [string, string | null][] = [
    ['Got a slot', attempt.dispatched_at],
    ['Amazon took it', attempt.submitted_at],
    ['Amazon began', attempt.started_at],
    ['Amazon was done', attempt.executed_at],
    [attempt.outcome in ended ? ended[attempt.outcome as keyof typeof ended] : 'Given back', attempt.ended_at],
  ]
  let before: number | null = null
  const found = []
  for (const [name, at] of moments) {
    if (!at) continue
    found.push({ name, at, after: before === null ? null : (Date.parse(at) - before) / 1000 })
    before = Date.parse(at)
  }
  return found
}

function Events({ timeline: { events } }: { timeline: SegmentTimeline }) {
  if (events.length === 0) return null
  return (
    <Details summary={`Everything that happened, ${counted(events.length, 'event')}`}>
      <ol className={styles.steps}>
        {events.map((event) => (
          <li key={event.position}>
            <span className="muted nowrap">{secondsText(event.recorded_at)}</span>
            <span>
              {EVENT_WORDS[event.event_type] ?? event.event_type}{' '}
              <span className="muted small">no. {event.position.toLocaleString('en-GB')}</span>
            </span>
          </li>
        ))}
      </ol>
    </Details>
  )
}
