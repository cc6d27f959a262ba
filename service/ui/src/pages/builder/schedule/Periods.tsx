/** The periods of a window: on a calendar to be looked at, and as a table to be read. */
import { useMemo } from 'react'
import type { PreviewSegment } from '../../../api/types'
import { Details } from '../../../components/Details'
import { monthName, rangeText } from '../../../lib/dates'
import { monthBars } from '../../../lib/months'
import { counted, inOurWords } from '../../../words'
import styles from './Preview.module.css'

export function Periods({ segments }: { segments: readonly PreviewSegment[] }) {
  const months = useMemo(() => monthBars(segments), [segments])
  const there = segments.filter((segment) => !segment.runs).length
  return (
    <div className="stack-small">
      <div className={styles.months} aria-hidden="true">
        {months.map((month) => (
          <Month key={`${month.year} ${month.month}`} {...month} />
        ))}
      </div>
      {there > 0 && (
        <p className={styles.key} aria-hidden="true">
          <span>
            <i className={styles.bar} /> To be fetched
          </span>
          <span>
            <i className={`${styles.bar} ${styles.there}`} /> Left out
          </span>
        </p>
      )}
      <Details summary={`All ${counted(segments.length, 'period')} as a list`}>
        {/* It scrolls, so that it must be reached by keyboard. */}
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: see above */}
        <section className={styles.periods} tabIndex={0} aria-label="Periods">
          <table>
            <thead>
              <tr>
                <th scope="col">Period</th>
                <th scope="col">Days</th>
                <th scope="col">What happens</th>
              </tr>
            </thead>
            <tbody>
              {segments.map((segment) => (
                <tr key={segment.number}>
                  <td>{segment.number}</td>
                  <td>{rangeText(segment.start, segment.end)}</td>
                  <td className="muted">
                    {segment.note
                      ? inOurWords(segment.note)
                      : `${segment.runs ? 'To be fetched' : 'Left out'}${segment.partial ? ', cut short by the window' : ''}`}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </Details>
    </div>
  )
}

function Month({ year, month, bars }: ReturnType<typeof monthBars<PreviewSegment>>[number]) {
  return (
    <>
      <span className={styles.month}>
        {monthName(month).slice(0, 3)} {year}
      </span>
      <span className={styles.days}>
        {bars.map((bar) => (
          <span
            key={bar.index}
            className={`${styles.bar} ${bar.index % 2 ? styles.odd : ''} ${bar.item.runs ? '' : styles.there}`}
            style={{ gridColumn: `${bar.from} / ${bar.to + 1}`, gridRow: 1 }}
          />
        ))}
      </span>
    </>
  )
}
