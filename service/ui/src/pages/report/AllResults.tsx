/** All that a report has fetched, over its history and its runs, as one: files, and a chart or table. */
import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useState } from 'react'
import { FILES, reportAddress } from '../../api/files'
import { hasResultsQuery } from '../../api/queries'
import { Button } from '../../components/Button'
import { Failed, Loading } from '../../components/States'
import { patiently } from '../../lib/patience'

const ReportRows = lazy(() => patiently(() => import('./ReportRows')))

export function AllResults({ reportId }: { reportId: string }) {
  const some = useQuery(hasResultsQuery(reportId))
  const [open, setOpen] = useState(false)
  if (some.error && some.data === undefined) return <Failed error={some.error} retry={() => some.refetch()} />
  if (!some.data) return null
  return (
    <section className="stack" aria-labelledby="all-results">
      <div className="stack-small">
        <h2 id="all-results">All results</h2>
        <p className="muted">
          What its history and its runs have fetched, as one. Days that were fetched again are in it once, with their
          newest result.
        </p>
        <p className="row">
          <span>Download:</span>
          {FILES.map(({ format, name }) => (
            <a key={format} href={reportAddress(reportId, format)} download>
              {name}
              <span className="visually-hidden"> of all results</span>
            </a>
          ))}
        </p>
      </div>
      {open ? (
        <Suspense fallback={<Loading lines={6} what="Loading the rows" />}>
          <ReportRows reportId={reportId} />
        </Suspense>
      ) : (
        <div>
          <Button onClick={() => setOpen(true)}>Show them here</Button>
        </div>
      )}
    </section>
  )
}
