/** What a configuration will do, as the API says it. */
import type { ReactNode } from 'react'
import type { Preview } from '../../../api/types'
import { Callout, CalloutList } from '../../../components/Callout'
import { Details } from '../../../components/Details'
import { spanText } from '../../../lib/dates'
import { counted, inOurWords } from '../../../words'
import { Periods } from './Periods'
import styles from './Preview.module.css'
import { Runs } from './Runs'

type PreviewPanelProps = {
  preview: Preview
  /** What the window is of: a schedule has none of its own until it runs. */
  windowTitle: string
  zone: string
  /** A newer one is on its way. */
  waiting?: boolean
  /** The warnings are told elsewhere. */
  withoutWarnings?: boolean
  children?: ReactNode
}

export function PreviewPanel({ preview, windowTitle, zone, waiting, withoutWarnings, children }: PreviewPanelProps) {
  const { window, segments, next_runs, estimate, warnings, policies } = preview
  return (
    <div className={`stack ${styles.panel} ${waiting ? styles.waiting : ''}`} aria-busy={waiting}>
      <section className="stack-small">
        <h3>{windowTitle}</h3>
        <p>{window.sentence}</p>
        <Figures preview={preview} />
        {segments.length > 1 && <Periods segments={segments} />}
      </section>
      {!withoutWarnings && warnings.length > 0 && (
        <Callout look="care" title="Good to know">
          <CalloutList items={warnings.map((warning) => inOurWords(warning.message))} />
        </Callout>
      )}
      {next_runs.length > 0 && (
        <section className="stack-small">
          <h3>Next {counted(next_runs.filter((run) => run.runs).length, 'run')}</h3>
          <Runs runs={next_runs} zone={zone} />
        </section>
      )}
      <Details summary="The rules in full">
        <ul className={styles.rules}>
          {policies.map((policy) => (
            <li key={policy}>{inOurWords(policy)}</li>
          ))}
        </ul>
        {estimate && (
          <p className="muted small">
            The estimate is from {counted(estimate.based_on, 'earlier period')} on this instance.
          </p>
        )}
      </Details>
      {children}
    </div>
  )
}

function Figures({ preview }: { preview: Preview }) {
  const { amc_executions: executions, segments, estimate } = preview
  return (
    <dl className={styles.figures}>
      <div>
        <dt>{segments.length > 1 ? 'Periods to fetch' : 'AMC executions'}</dt>
        <dd>
          {executions.toLocaleString('en-GB')}
          {executions !== segments.length && <span className="muted small"> of {segments.length}</span>}
        </dd>
      </div>
      <div>
        <dt>Takes</dt>
        <dd>
          {estimate ? (
            spanText(estimate.low_seconds, estimate.high_seconds)
          ) : (
            <span className="muted small">Known after the first run</span>
          )}
        </dd>
      </div>
    </dl>
  )
}
