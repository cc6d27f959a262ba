/** The next runs of a schedule: by its clocks and in UTC, with what a change of clocks does. */
import type { NextRun } from '../../../api/types'
import { localText, rangeText } from '../../../lib/dates'
import { inOurWords } from '../../../words'
import styles from './Preview.module.css'

export function Runs({ runs, zone }: { runs: readonly NextRun[]; zone: string }) {
  return (
    <table className={styles.runs}>
      <caption className="visually-hidden">Next runs, by the clocks of {zone}</caption>
      <thead>
        <tr>
          <th scope="col">When, in {zone.replaceAll('_', ' ')}</th>
          <th scope="col">Fetches</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <tr key={run.utc}>
            <td>
              {run.runs ? (
                <>
                  <span className="nowrap">
                    {localText(run.local)} {/^[A-Z]/.test(run.abbreviation) ? run.abbreviation : ''}
                  </span>
                  {run.abbreviation !== 'UTC' && (
                    <>
                      <br />
                      <span className="muted small nowrap">{utcText(run)} UTC</span>
                    </>
                  )}
                </>
              ) : (
                <span className="muted">No run</span>
              )}
              {run.note && <p className={styles.note}>{inOurWords(run.note)}</p>}
            </td>
            <td>
              {run.window_start && run.window_end && (
                <>
                  <span className={styles.narrow}>Fetches </span>
                  {rangeText(run.window_start, run.window_end)}
                </>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function utcText(run: NextRun): string {
  const utc = localText(new Date(run.utc).toISOString())
  return utc.slice(0, utc.indexOf(',')) === localText(run.local).slice(0, utc.indexOf(',')) ? utc.slice(-5) : utc
}
