/** Days that a report has fetched more than once: each of their results. */
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import { FILES, fileAddress } from '../../api/files'
import { resultVersionsQuery } from '../../api/queries'
import type { ResultVersion } from '../../api/types'
import { Button } from '../../components/Button'
import { Failed } from '../../components/States'
import { type Column, Table } from '../../components/Table'
import { Tag } from '../../components/Tag'
import { momentText, shortRange } from '../../lib/dates'
import { LOCALE } from '../../lib/locale'
import { counted } from '../../words'
import { versionsOf } from './again'

const SHOWN = 10

const COLUMNS: Column<ResultVersion>[] = [
  {
    name: 'Days',
    main: true,
    cell: (each) => <Link to={`/results/${each.collection_id}`}>{shortRange(each.week_start, each.week_end)}</Link>,
  },
  {
    name: 'Version',
    cell: (each) => (
      <span className="row">
        {each.version}
        {each.newest && <Tag look="good">Newest</Tag>}
      </span>
    ),
  },
  { name: 'Fetched', cell: (each) => <span className="nowrap">{momentText(each.finished_at)}</span> },
  { name: 'Rows', numeric: true, cell: (each) => each.row_count.toLocaleString(LOCALE) },
]

export function Versions({ reportId }: { reportId: string }) {
  const { data, error, refetch } = useQuery(resultVersionsQuery(reportId))
  const [all, setAll] = useState(false)
  const several = versionsOf(data?.items ?? [])
  if (error && !data) return <Failed error={error} retry={() => refetch()} />
  if (several.length === 0) return null
  const shown = all ? several : several.slice(0, SHOWN)
  return (
    <section className="stack" aria-labelledby="versions">
      <div className="stack-small">
        <h2 id="versions">Fetched more than once</h2>
        <p className="muted">
          Amazon restates its data for some days, so that they are fetched again. Nothing is written over: each result
          stays.
        </p>
        <p className="row">
          <span>All results, in their versions:</span>
          {FILES.map(({ format, name }) => (
            <a
              key={format}
              href={fileAddress(`/api/reports/${reportId}/results`, { versions: 'all', format })}
              download
            >
              {name}
              <span className="visually-hidden"> of all versions</span>
            </a>
          ))}
        </p>
      </div>
      <Table caption="Versions" columns={COLUMNS} rows={shown} keyOf={(each) => each.segment_id} />
      {several.length > shown.length && (
        <div>
          <Button onClick={() => setAll(true)}>Show all {counted(several.length, 'result')}</Button>
        </div>
      )}
      {data?.whole === false && <p className="muted">Later days have versions too: the files have all of them.</p>}
    </section>
  )
}
