/** A report's rows as a chart or a table: loaded when they are asked for, as they may be many. */
import { useQuery } from '@tanstack/react-query'
import { reportRowsQuery } from '../../api/queries'
import { Failed, Loading } from '../../components/States'
import { dateText } from '../../lib/dates'
import { Drawn } from '../result/results/Results'

export default function ReportRows({ reportId }: { reportId: string }) {
  const { data, error, refetch } = useQuery(reportRowsQuery(reportId))
  if (error && !data) return <Failed error={error} retry={() => refetch()} />
  if (!data) return <Loading lines={6} what="Loading the rows" />
  return (
    <div className="stack-small">
      {data.through && <p className="muted small">Complete through {dateText(data.through)}.</p>}
      <Drawn view={{ segments: [], collection: { complete_through: data.through } }} gathered={data.gathered} />
    </div>
  )
}
