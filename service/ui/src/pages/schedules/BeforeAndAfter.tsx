/** The next three runs of a schedule as they were to be, and as they will be. */
import { localText, momentText, shortRange } from '../../lib/dates'
import { clocksText } from '../builder/outline'
import { type ComingRun, ownClock, sameRun } from './coming'
import styles from './Schedules.module.css'

const SHOWN = 3

type Runs = { runs: readonly ComingRun[]; zone: string }

export function BeforeAndAfter({ before, after }: { before: Runs; after: Runs }) {
  return (
    <div className={styles.compared}>
      <Column title="Before" {...before} others={after.runs} />
      <Column title="After" {...after} others={before.runs} />
    </div>
  )
}

function Column({ title, runs, zone, others }: Runs & { title: string; others: readonly ComingRun[] }) {
  const shown = runs.filter((run) => run.nominal !== null).slice(0, SHOWN)
  const beside = others.filter((run) => run.nominal !== null)
  return (
    <section>
      <h3>
        {title} <span className="muted small">{clocksText(zone)}</span>
      </h3>
      {shown.length === 0 ? (
        <p className="muted">No run is to come.</p>
      ) : (
        <ol className={styles.next}>
          {shown.map((run, index) => (
            <li key={run.nominal} className={sameRun(run, beside[index]) ? '' : styles.other}>
              <span className="nowrap">{run.nominal && localText(run.nominal)}</span>
              {ownClock(run) && <span className="muted small">{momentText(ownClock(run))} by your clock</span>}
              <span className="small">
                {run.window_start && run.window_end
                  ? `fetches ${shortRange(run.window_start, run.window_end)}`
                  : 'Amazon does not have those days'}
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}
