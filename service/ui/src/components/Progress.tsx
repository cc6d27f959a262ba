/** How much of something is done: a bar for the eye, words for everybody. */
import { LOCALE } from '../lib/locale'
import styles from './Progress.module.css'

export function Progress({ done, failed, total }: { done: number; failed: number; total: number }) {
  const share = (part: number) => (total > 0 ? Math.round((1000 * part) / total) / 10 : 0)
  return (
    <span className={styles.progress}>
      <svg className={styles.bar} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
        <rect className={styles.rest} width="100" height="6" />
        <rect className={styles.done} width={share(done)} height="6" />
        <rect className={styles.failed} x={share(done)} width={share(failed)} height="6" />
      </svg>
      <span className="muted small">
        {done.toLocaleString(LOCALE)} of {total.toLocaleString(LOCALE)}
        {failed > 0 && `, ${failed.toLocaleString(LOCALE)} failed`}
      </span>
    </span>
  )
}
