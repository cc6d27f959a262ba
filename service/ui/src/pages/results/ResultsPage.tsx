/** Everything that was set to work: results of single runs, and histories. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { collectionsQuery, instancesQuery } from '../../api/queries'
import type { Collection } from '../../api/types'
import { LinkButton } from '../../components/Button'
import { Filters, NameFilter, StateFilter, useChoice, useFilter } from '../../components/Filters'
import { Pages } from '../../components/Pages'
import { Progress } from '../../components/Progress'
import { Select } from '../../components/Select'
import { Empty } from '../../components/States'
import { ResultTag } from '../../components/StateTags'
import { type Column, Nothing, Table } from '../../components/Table'
import { resultAddress } from '../../lib/addresses'
import { shortDate, shortRange, whenText } from '../../lib/dates'
import { LOCALE } from '../../lib/locale'
import { Page } from '../../shell/Page'
import { CUTS, counted, STATUSES } from '../../words'

const EVERY = 'every'

export function Component() {
  const [status, setStatus] = useChoice('status', STATUSES)
  const [search, setSearch] = useFilter('search')
  const [instance, setInstance] = useFilter('instance')
  const results = useInfiniteQuery(collectionsQuery({ status, search, instance_id: instance }))
  const instances = useQuery(instancesQuery)
  const narrowed = status !== null || search !== '' || instance !== ''
  const known = instances.data?.items ?? []
  const columns: Column<Collection>[] = [
    {
      name: 'Result',
      main: true,
      cell: (each) => (
        <>
          <Link to={resultAddress(each)}>{each.name}</Link>
          <div className="muted small">
            {known.find((one) => one.instance_id === each.instance_id)?.name ?? each.instance_id}
          </div>
        </>
      ),
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
    {
      name: 'Window',
      cell: (each) => (
        <>
          {shortRange(each.window_start, each.window_end)}
          {each.segmentation_config && (
            <div className="muted small">
              In {CUTS[each.segmentation_config.type].toLowerCase()}, {counted(each.segments_total, 'period')}
            </div>
          )}
        </>
      ),
    },
    {
      name: 'Complete to',
      cell: (each) =>
        each.complete_through ? (
          <span className="nowrap">{shortDate(each.complete_through)}</span>
        ) : (
          <Nothing>No complete day yet</Nothing>
        ),
    },
    { name: 'Rows', numeric: true, cell: (each) => each.row_count.toLocaleString(LOCALE) },
    {
      name: 'Begun',
      cell: (each) => <span className="muted nowrap">{whenText(each.started_at ?? each.created_at)}</span>,
    },
  ]
  return (
    <Page title="Results" lead="Every run and every history, the newest first.">
      <Filters>
        <NameFilter label="Search by name" value={search} onChange={setSearch} />
        <StateFilter label="State" words={STATUSES} value={status} onChange={setStatus} />
        {known.length > 1 && (
          <Select
            label={<span className="visually-hidden">Instance</span>}
            size="medium"
            items={[
              { id: EVERY, name: 'Every instance' },
              ...known.map((each) => ({ id: each.instance_id, name: each.name })),
            ]}
            value={instance || EVERY}
            onChange={(id) => setInstance(id === EVERY ? '' : id)}
          />
        )}
      </Filters>
      <Pages
        list={results}
        more="Show older results"
        empty={
          narrowed ? (
            <Empty title="No result like that" action={<LinkButton to="/results">Show all results</LinkButton>} />
          ) : (
            <Empty
              title="No results yet"
              action={
                <LinkButton look="primary" to="/reports/new">
                  New report
                </LinkButton>
              }
            >
              <p className="muted">A report that is submitted fetches its first one, at once or when it is due.</p>
            </Empty>
          )
        }
      >
        {(items) => <Table caption="Results" columns={columns} rows={items} keyOf={(each) => each.collection_id} />}
      </Pages>
    </Page>
  )
}
