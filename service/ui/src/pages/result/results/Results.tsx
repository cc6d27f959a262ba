/** The rows of a collection: a chart over time, the rows themselves, and files to take along. */
import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useEffect, useMemo, useState } from 'react'
import { FILES, rowsAddress } from '../../../api/files'
import { told } from '../../../api/problem-words'
import { rowsQuery } from '../../../api/queries'
import { Button } from '../../../components/Button'
import { Callout } from '../../../components/Callout'
import { Details } from '../../../components/Details'
import { Choice } from '../../../components/Field'
import { Select } from '../../../components/Select'
import { Failed, Loading } from '../../../components/States'
import { dateText, shortRange, timeText } from '../../../lib/dates'
import { patiently } from '../../../lib/patience'
import {
  type ChartData,
  chartOf,
  type Gathered,
  type How,
  hasSeveral,
  isName,
  isProvisional,
  KEPT,
  lastDay,
  withGaps,
} from '../../../lib/rows'
import { counted } from '../../../words'
import type { View } from '../progress'
import { nextRead } from './again'
import type { Marks } from './Chart'
import styles from './Results.module.css'

const Chart = lazy(() => patiently(() => import('./Chart')))

export function Results({ view }: { view: View }) {
  const { collection, tally } = view
  const id = collection.collection_id
  return (
    <section className="stack" aria-labelledby="results-title">
      <div className={styles.head}>
        <h2 id="results-title">Rows</h2>
        {tally.arrived > 0 && (
          <ul className={styles.files} aria-label="Downloads">
            {FILES.map(({ format, name }) => (
              <li key={format}>
                <a href={rowsAddress(id, format)} download>
                  {name}
                </a>
              </li>
            ))}
          </ul>
        )}
      </div>
      {tally.arrived > 0 && <Completeness view={view} />}
      {tally.arrived === 0 ? (
        <p className="muted">
          {collection.finished_at ? 'No rows were fetched.' : 'The first rows are here as soon as a period is in.'}
        </p>
      ) : (
        <Loaded view={view} />
      )}
    </section>
  )
}

function Completeness({ view: { collection, tally } }: { view: View }) {
  const through = collection.complete_through
  const missing = tally.total - tally.arrived
  return (
    <p className="muted small">
      {through ? `Complete through ${dateText(through)}.` : 'Not complete from the first day on yet.'}
      {through && through < collection.window_end && ' What comes after is provisional, or not there yet.'}
      {missing > 0 && ` ${counted(missing, 'period')} of ${tally.total} ${missing === 1 ? 'is' : 'are'} not in it.`}
    </p>
  )
}

function Loaded({ view }: { view: View }) {
  const { collection, tally } = view
  const [wanted, setWanted] = useState(false)
  const large = collection.row_count > KEPT
  const rows = useQuery({ ...rowsQuery(collection.collection_id), enabled: !large || wanted })
  const { refetch, dataUpdatedAt, errorUpdatedAt, isFetching } = rows
  const over = collection.finished_at !== null
  const stale = rows.data !== undefined && rows.data.arrived !== tally.arrived
  useEffect(() => {
    if (!stale || isFetching || (large && !over)) return
    const at = nextRead({ dataUpdatedAt, errorUpdatedAt, over })
    const timer = window.setTimeout(() => void refetch(), Math.max(0, at - Date.now()))
    return () => window.clearTimeout(timer)
  }, [stale, isFetching, large, over, refetch, dataUpdatedAt, errorUpdatedAt])

  if (rows.data) {
    return (
      <>
        {rows.error && (
          <Callout
            look="care"
            role="status"
            title="The newest rows could not be loaded"
            actions={
              <Button busy={isFetching} onClick={() => void refetch()}>
                Try again
              </Button>
            }
          >
            <p>
              {told(rows.error).title}. What is drawn is as it was at {timeText(new Date(dataUpdatedAt).toISOString())}.
              It is tried again by itself.
            </p>
          </Callout>
        )}
        <Drawn view={view} gathered={rows.data.gathered} />
      </>
    )
  }
  if (rows.error) return <Failed error={rows.error} retry={() => refetch()} />
  if (large && !wanted) {
    return (
      <Callout actions={<Button onClick={() => setWanted(true)}>Draw {counted(collection.row_count, 'row')}</Button>}>
        <p>
          This is a large result: to draw it, {counted(collection.row_count, 'row')} are loaded. As a file it is sent as
          it is.
        </p>
      </Callout>
    )
  }
  return <Loading lines={6} what="Loading the rows" />
}

/** What it takes to draw rows: how far they are complete, and which periods are not among them. */
type Drawable = { segments: View['segments']; collection: Pick<View['collection'], 'complete_through'> }

export function Drawn({ view, gathered }: { view: Drawable; gathered: Gathered }) {
  const [shown, setShown] = useState<'chart' | 'rows'>('chart')
  if (gathered.total === 0) return <p className="muted">There are no rows in the periods that are in.</p>
  const drawable = gathered.measures.length > 0
  return (
    <div className="stack">
      {drawable && (
        <Choice
          label="Show"
          hideLabel
          look="segments"
          options={[
            { value: 'chart', label: 'Chart' },
            { value: 'rows', label: 'Table' },
          ]}
          value={shown}
          onChange={setShown}
        />
      )}
      {drawable && shown === 'chart' ? (
        <ChartPart view={view} gathered={gathered} />
      ) : (
        <RowTable gathered={gathered} through={view.collection.complete_through} />
      )}
    </div>
  )
}

function ChartPart({ view, gathered }: { view: Drawable; gathered: Gathered }) {
  const { measures, parts } = gathered
  const [measureChosen, setMeasure] = useState<string | null>(null)
  const [partChosen, setPart] = useState('')
  const [how, setHow] = useState<How>('sum')
  const measure = measureChosen && measures.includes(measureChosen) ? measureChosen : (measures[0] ?? '')
  const part = parts.includes(partChosen) ? partChosen : null
  const several = hasSeveral(gathered, measure)
  const segments = view.segments
  const data = useMemo(() => {
    const missing = segments
      .filter((each) => each.row_count === null && each.skip_reason !== 'split')
      .map((each) => ({ start: each.week_start, end: each.week_end }))
    return withGaps(chartOf(gathered, measure, part, several ? how : 'sum'), missing)
  }, [gathered, measure, part, how, several, segments])
  const through = view.collection.complete_through
  const periods = gathered.ends.size > 0
  const unit = periods ? 'by period' : 'by day'
  const title = `${measure}${part ? ` by ${part}` : ''}, ${several ? (how === 'sum' ? `added up ${unit}` : `mean ${unit}`) : unit}`
  const marks = useMemo<Marks>(
    () => ({
      nameOf: (day) => shortRange(day.slice(0, 10), lastDay(gathered, day)),
      provisional: (day) => isProvisional(gathered, day, through),
    }),
    [gathered, through],
  )
  return (
    <figure className="stack">
      <div className={styles.choices}>
        <Select
          label="Draw"
          items={measures.map((name) => ({ id: name, name }))}
          value={measure}
          onChange={setMeasure}
        />
        {parts.length > 0 && (
          <Select
            label="Cut by"
            items={[{ id: '-', name: 'Nothing' }, ...parts.map((name) => ({ id: name, name }))]}
            value={part ?? '-'}
            onChange={(name) => setPart(name === '-' ? '' : name)}
          />
        )}
        {several && (
          <Choice
            label={periods ? 'Rows of a period' : 'Rows of a day'}
            look="segments"
            options={[
              { value: 'sum', label: 'Added up' },
              { value: 'mean', label: 'Mean' },
            ]}
            value={how}
            onChange={setHow}
          />
        )}
      </div>
      <Suspense fallback={<Loading lines={6} what="Loading the chart" />}>
        <Chart data={data} title={title} marks={marks} />
      </Suspense>
      <figcaption className="muted small">
        {title}.{data.days.some(marks.provisional) && ` Shaded ${periods ? 'periods' : 'days'} are provisional.`}
      </figcaption>
      <Details summary="The same as numbers">
        <Numbers data={data} title={title} marks={marks} unit={periods ? 'Period' : 'Day'} />
      </Details>
    </figure>
  )
}

type NumbersProps = { data: ChartData; title: string; marks: Marks; unit: string }

function Numbers({ data, title, marks, unit }: NumbersProps) {
  return (
    // It scrolls, so that it must be reached by keyboard.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
    <section className={styles.scroll} tabIndex={0} aria-label={title}>
      <table className={styles.table}>
        <caption className="visually-hidden">{title}</caption>
        <thead>
          <tr>
            <th scope="col">{unit}</th>
            {data.series.map((series) => (
              <th key={series.name} scope="col" className={styles.number}>
                {series.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {data.days.map((day, index) => (
            <tr key={day}>
              <th scope="row">
                {marks.nameOf(day)}
                {marks.provisional(day) && <Provisional />}
              </th>
              {data.series.map((series) => (
                <td key={series.name} className={styles.number}>
                  {numberText(series.values[index] ?? null)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function Provisional() {
  return (
    <span className={styles.provisional} title="Amazon may still change it">
      <span aria-hidden="true">≈</span> provisional
    </span>
  )
}

const PAGE = 50

/** Of numbers, those that count something: they stand in a column, digit under digit. */
const isNumber = (value: unknown, name: string) => typeof value === 'number' && !isName(name)

function RowTable({ gathered, through }: { gathered: Gathered; through: string | null }) {
  const [count, setCount] = useState(PAGE)
  const { rows, columns, total, day } = gathered
  return (
    <div className="stack-small">
      {/* It scrolls, so that it must be reached by keyboard. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: see above */}
      <section className={styles.scroll} tabIndex={0} aria-label="The first rows">
        <table className={styles.table}>
          <thead>
            <tr>
              {columns.map((name) => (
                <th key={name} scope="col" className={isNumber(rows[0]?.[name], name) ? styles.number : undefined}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, count).map((row, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other name than their place
              <tr key={index}>
                {columns.map((name) => (
                  <td key={name} className={isNumber(row[name], name) ? styles.number : undefined}>
                    {cellText(name, row[name])}
                    {name === day && isProvisional(gathered, String(row[name]), through) && <Provisional />}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <p className="row muted small">
        <span>
          {Math.min(count, rows.length).toLocaleString('en-GB')} of {counted(total, 'row')}
          {total > rows.length && '; all of them are in the files'}
        </span>
        {count < rows.length && (
          <Button look="quiet" onClick={() => setCount(count + 10 * PAGE)}>
            Show more
          </Button>
        )}
      </p>
    </div>
  )
}

function numberText(value: number | null): string {
  return value === null ? '–' : value.toLocaleString('en-GB', { maximumFractionDigits: 4 })
}

function cellText(column: string, value: unknown): string {
  if (value === null || value === undefined) return '–'
  return typeof value === 'number' && !isName(column) ? numberText(value) : String(value)
}
