/** The first page of a day: what ran, what failed, what waits for a person, and how far the data of each brand reaches. */
import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { Link } from 'react-router'
import { useMay } from '../../api/may'
import {
  draftsQuery,
  instancesQuery,
  lateResultsQuery,
  lettersQuery,
  liveSchedulesQuery,
  sessionQuery,
} from '../../api/queries'
import type { Collection, Instance, ScheduleSummary } from '../../api/types'
import { LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Progress } from '../../components/Progress'
import { Empty, Failed, Loading } from '../../components/States'
import { ResultTag } from '../../components/StateTags'
import { type Column, Nothing, Table } from '../../components/Table'
import { resultAddress } from '../../lib/addresses'
import { shortRange, whenText } from '../../lib/dates'
import { LOCALE } from '../../lib/locale'
import { Page } from '../../shell/Page'
import { type Waiting, waiting } from './attention'
import { Brands } from './Brands'
import { countsOf, dayText, hasFailed, nextRuns, ranSince, startOfDay } from './figures'
import { useFirstPage } from './firstPage'
import styles from './OverviewPage.module.css'

const SHOWN = 8
const DAYS = 7

export function Component() {
  const day = startOfDay(new Date())
  const results = useQuery(lateResultsQuery(day))
  const schedules = useQuery(liveSchedulesQuery)
  const instances = useQuery(instancesQuery)
  const drafts = useQuery(draftsQuery)
  const session = useQuery(sessionQuery)
  const letters = useFirstPage(lettersQuery, session.data?.scopes.includes('admin') ?? false)

  const begin = useMay('reports:write') && (
    <LinkButton look="primary" to="/reports/new">
      New report
    </LinkButton>
  )
  const read = [results, schedules, instances, drafts]
  if (!results.data || !schedules.data || !instances.data || !drafts.data) {
    const failed = read.find((each) => each.error && !each.data)
    return (
      <Page title="Overview" actions={begin}>
        {failed ? (
          <Failed error={failed.error} retry={() => read.map((each) => each.refetch())} />
        ) : (
          <Loading lines={9} />
        )}
      </Page>
    )
  }
  const known = {
    results: results.data.items,
    schedules: schedules.data,
    instances: instances.data.items,
    drafts: { items: drafts.data.items, more: drafts.data.next_cursor !== null },
    letters: letters ?? null,
  }
  const { active, paused } = known.schedules
  if (known.results.length + active.length + paused.length + known.drafts.items.length === 0) {
    return (
      <Page title="Overview">
        <First instances={known.instances} begin={begin} />
      </Page>
    )
  }
  const waits = waiting(known)
  const since = new Date(Date.now() - DAYS * 86_400_000).toISOString()
  const failed = known.results.filter((each) => hasFailed(each) && (each.finished_at ?? '') >= since)
  const today = known.results.filter((each) => ranSince(each, day))
  const brands = new Map(known.instances.map((each) => [each.instance_id, each.name]))
  const broken = read.find((each) => each.error)
  return (
    <Page title="Overview" lead={dayText(countsOf(today), today.length, waits.length)} actions={begin}>
      {broken && <Failed error={broken.error} retry={() => read.map((each) => each.refetch())} />}
      {waits.length > 0 && <Waits items={waits} brands={brands} />}
      {failed.length > 0 && (
        <Results
          title={`Failed in the last ${DAYS} days`}
          items={failed}
          brands={brands}
          all="/results?status=failed"
          allName="All that failed"
        />
      )}
      <Brands instances={known.instances} whole={instances.data.whole} today={today} schedules={active} />
      {today.length > 0 && (
        <Results title="Ran today" items={today} brands={brands} all="/results" allName="All results" />
      )}
      {!results.data.whole && (
        <Callout>
          <p>There are more results than fit here. All of them are under Results.</p>
        </Callout>
      )}
      <Coming schedules={nextRuns(active)} brands={brands} />
    </Page>
  )
}

function First({ instances, begin }: { instances: readonly Instance[]; begin: ReactNode }) {
  return (
    <Empty
      title="Nothing has run yet"
      action={
        <div className="row">
          {begin}
          {instances.length === 0 && <LinkButton to="/instances">See the instances</LinkButton>}
        </div>
      }
    >
      <p className="muted">
        {instances.length === 0
          ? 'A report runs on an AMC instance, and your team has none yet. An administrator connects an account first.'
          : 'A report takes four steps: parameters, schedule, review, submit. What it does each day is shown here.'}
      </p>
    </Empty>
  )
}

type Names = ReadonlyMap<string, string>

function Waits({ items, brands }: { items: readonly Waiting[]; brands: Names }) {
  const [all, setAll] = useState(false)
  const shown = all ? items : items.slice(0, SHOWN)
  return (
    <section className="stack-small">
      <h2>Waits for a person</h2>
      <ul className={styles.waits}>
        {shown.map(({ key, look, title, to, says, instanceId, since }) => (
          <li key={key} className={styles[look]}>
            <span className={styles.glyph} aria-hidden="true">
              {look === 'plain' ? '○' : '!'}
            </span>
            <div>
              <p>
                {to ? (
                  <Link to={to} className={styles.title}>
                    {title}
                  </Link>
                ) : (
                  <strong>{title}</strong>
                )}
                {instanceId && <span className="muted"> · {brands.get(instanceId) ?? instanceId}</span>}
                {since && (
                  <span className="muted"> · since {whenText(since).replace(/^[TY]/, (a) => a.toLowerCase())}</span>
                )}
              </p>
              <p className={styles.says}>{says}</p>
            </div>
          </li>
        ))}
      </ul>
      {items.length > shown.length && (
        <div>
          <button type="button" className={styles.more} onClick={() => setAll(true)}>
            Show all {items.length.toLocaleString(LOCALE)}
          </button>
        </div>
      )}
    </section>
  )
}

type ResultsProps = { title: string; items: readonly Collection[]; brands: Names; all: string; allName: string }

function Results({ title, items, brands, all, allName }: ResultsProps) {
  const columns: Column<Collection>[] = [
    {
      name: 'Result',
      main: true,
      cell: (each) => <Link to={resultAddress(each)}>{each.name}</Link>,
    },
    {
      name: 'State',
      cell: (each) => (
        <div className="stack-small">
          <span>
            <ResultTag result={each} />
          </span>
          {each.segments_total > 1 && each.backfill_status !== 'completed' && (
            <Progress
              done={each.segments_completed + each.segments_skipped}
              failed={each.segments_failed}
              total={each.segments_total}
            />
          )}
        </div>
      ),
    },
    { name: 'Brand', cell: (each) => brands.get(each.instance_id) ?? each.instance_id },
    { name: 'Window', cell: (each) => shortRange(each.window_start, each.window_end) },
    {
      name: 'When',
      cell: (each) => (
        <span className="muted nowrap">{whenText(each.finished_at ?? each.started_at ?? each.created_at)}</span>
      ),
    },
  ]
  return (
    <section className="stack-small">
      <div className={styles.head}>
        <h2>{title}</h2>
        <Link to={all}>{allName}</Link>
      </div>
      <Table caption={title} columns={columns} rows={items.slice(0, SHOWN)} keyOf={(each) => each.collection_id} />
      {items.length > SHOWN && <p className="muted small">And {(items.length - SHOWN).toLocaleString(LOCALE)} more.</p>}
    </section>
  )
}

function Coming({ schedules, brands }: { schedules: readonly ScheduleSummary[]; brands: Names }) {
  if (schedules.length === 0) return null
  const columns: Column<ScheduleSummary>[] = [
    { name: 'Schedule', main: true, cell: (each) => <Link to={`/schedules/${each.schedule_id}`}>{each.name}</Link> },
    { name: 'Brand', cell: (each) => brands.get(each.instance_id) ?? each.instance_id },
    { name: 'Next run', cell: (each) => (each.next_run_at ? whenText(each.next_run_at) : <Nothing />) },
  ]
  return (
    <section className="stack-small">
      <div className={styles.head}>
        <h2>Comes next</h2>
        <Link to="/schedules">All schedules</Link>
      </div>
      <Table caption="Comes next" columns={columns} rows={schedules.slice(0, 5)} keyOf={(each) => each.schedule_id} />
    </section>
  )
}
