/** The team's brands: each is an AMC instance, which has one advertiser's data. */
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import { newestOnQuery } from '../../api/queries'
import type { Collection, Instance, ScheduleSummary } from '../../api/types'
import { Button } from '../../components/Button'
import { Details } from '../../components/Details'
import { type Column, Nothing, Table } from '../../components/Table'
import { Tag } from '../../components/Tag'
import { dateText, whenText } from '../../lib/dates'
import { counted } from '../../words'
import { countsOf, countsText, nextRuns, reachByReport } from './figures'
import styles from './OverviewPage.module.css'

const SHOWN = 12
const REPORTS = 8

type BrandsProps = {
  instances: readonly Instance[]
  /** None of them was left out. */
  whole: boolean
  today: readonly Collection[]
  schedules: readonly ScheduleSummary[]
}

export function Brands({ instances, whole, today, schedules }: BrandsProps) {
  const [all, setAll] = useState(false)
  const on = (id: string) => today.filter((each) => each.instance_id === id)
  // Those on which something happens come first.
  const sorted = [...instances].sort((a, b) => {
    const busy = (each: Instance) => Number(on(each.instance_id).length > 0)
    return busy(b) - busy(a) || a.name.localeCompare(b.name)
  })
  const shown = all ? sorted : sorted.slice(0, SHOWN)
  if (instances.length === 0) return null
  const columns: Column<Instance>[] = [
    {
      name: 'Brand',
      main: true,
      cell: (each) => (
        <>
          <Link to={`/instances/${each.instance_id}`}>{each.name}</Link>
          {each.held_by && (
            <div>
              <Tag look="bad">Nothing runs</Tag>
            </div>
          )}
          {!each.held_by && each.failing?.resting_until && (
            <div>
              <Tag look="care">Amazon fails on it</Tag>
            </div>
          )}
        </>
      ),
    },
    {
      name: 'Today',
      cell: (each) => countsText(countsOf(on(each.instance_id))) || <span className="muted">Nothing yet</span>,
    },
    { name: 'Data complete to', cell: (each) => <Reached instanceId={each.instance_id} /> },
    {
      name: 'Next run',
      cell: (each) => {
        const [next] = nextRuns(schedules.filter((one) => one.instance_id === each.instance_id))
        return next?.next_run_at ? whenText(next.next_run_at) : <Nothing>None is due</Nothing>
      },
    },
  ]
  return (
    <section className="stack-small">
      <div className={styles.head}>
        <h2>Brands</h2>
        <Link to="/instances">All instances</Link>
      </div>
      <Table caption="Brands" columns={columns} rows={shown} keyOf={(each) => each.instance_id} />
      {sorted.length > shown.length && (
        <div>
          <Button onClick={() => setAll(true)}>Show all {counted(sorted.length, 'brand')}</Button>
        </div>
      )}
      {!whole && (all || shown.length === sorted.length) && (
        <p className="muted small">There are more than fit here. Each is found by its results and schedules.</p>
      )}
    </section>
  )
}

function Reached({ instanceId }: { instanceId: string }) {
  const results = useQuery(newestOnQuery(instanceId))
  if (!results.data) return <span className="muted">{results.error ? 'Not known now' : '…'}</span>
  const reports = reachByReport(results.data.items)
  const newest = reports[0]?.through
  if (!newest) return <span className="muted">{reports.length > 0 ? 'No complete day yet' : 'No results yet'}</span>
  return (
    <div>
      {dateText(newest)}
      {reports.length > 1 && (
        <Details summary={`By report (${reports.length})`}>
          <dl className={styles.reach}>
            {reports.slice(0, REPORTS).map(({ key, name, reportId, through }) => (
              <div key={key}>
                <dt>{reportId ? <Link to={`/reports/${reportId}`}>{name}</Link> : name}</dt>
                <dd>{through ? dateText(through) : <span className="muted">No complete day yet</span>}</dd>
              </div>
            ))}
          </dl>
          {reports.length > REPORTS && <p className="muted small">And {reports.length - REPORTS} more.</p>}
        </Details>
      )}
    </div>
  )
}
