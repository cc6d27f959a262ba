/** What everybody does, and how well that is kept. */
import { type InfiniteData, useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { Link } from 'react-router'
import { ACTIVITY_PAGE, type ActivityFilter, activityQuery, NEWER, newerQuery } from '../../api/queries'
import type { ActivityItem } from '../../api/types'
import { Button, LinkButton } from '../../components/Button'
import { Pages } from '../../components/Pages'
import { Empty } from '../../components/States'
import { type Column, Table } from '../../components/Table'
import { momentText, secondsText } from '../../lib/dates'
import { LOCALE } from '../../lib/locale'
import { useInvalidation } from '../../live/hooks'
import type { Rules } from '../../live/rules'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { counted, STEPS } from '../../words'
import { ActivityFilters, useActivityFilter } from './ActivityFilters'
import styles from './Audit.module.css'
import { LogCard } from './LogCard'
import { teamText } from './teams'
import { Thing } from './Values'
import { ForAuditors, whoText } from './who'
import { eventText, THINGS } from './words'

const RULES: Rules = Object.fromEntries(Object.keys(THINGS).map((thing) => [`${thing}.*`, () => [NEWER]]))

export function Component() {
  return (
    <ForAuditors title="Audit">
      <Audit />
    </ForAuditors>
  )
}

function Audit() {
  return (
    <Page
      title="Audit"
      lead="Who did what, when, and what it was before. Events are signed, so that a later change of them can be found."
    >
      <LogCard />
      <Activity />
    </Page>
  )
}

type Loaded = InfiniteData<{ items: ActivityItem[]; next_cursor: number | null }>

function Activity() {
  const filter = useActivityFilter()
  const activity = useInfiniteQuery(activityQuery(filter))
  const seen = activity.data?.pages.flatMap((page) => page.items) ?? []
  const narrowed = Object.entries(filter).some(([name, value]) => name !== 'order' && value)
  useEnough(activity)
  return (
    <section className="stack" aria-labelledby="activity">
      <h2 id="activity">
        {filter.stream ? 'Activity of one thing' : filter.all_teams ? 'Activity of all teams' : 'Activity of the team'}
      </h2>
      <ActivityFilters filter={filter} seen={seen} />
      {filter.order === 'newest' && !activity.isPlaceholderData && <Newer filter={filter} first={seen[0]} />}
      <Pages
        list={activity}
        more={filter.order === 'newest' ? 'Show older events' : 'Show newer events'}
        empty={
          narrowed ? (
            <Empty title="No event like that" action={<LinkButton to="/audit">Show all events</LinkButton>} />
          ) : (
            <Empty title="Nothing has happened yet">
              <p className="muted">
                Each step of a report, each run and each change is listed here as soon as it is recorded.
              </p>
            </Empty>
          )
        }
      >
        {(items) => <Events items={items} teams={filter.all_teams === true} />}
      </Pages>
    </section>
  )
}

/** A page looks at a part of the log only, and may have few events of it: it reads on by itself until there is something to
 * see. */
function useEnough({ data, hasNextPage, isFetching, fetchNextPage, error }: ReturnType<typeof useActivity>) {
  const pages = data?.pages ?? []
  const found = pages.reduce((sum, page) => sum + page.items.length, 0)
  const wanting = hasNextPage && !isFetching && !error && found < ACTIVITY_PAGE && pages.length < 40
  useEffect(() => {
    if (wanting) void fetchNextPage()
  }, [wanting, fetchNextPage])
}

const useActivity = (filter: ActivityFilter) => useInfiniteQuery(activityQuery(filter))

/** What has come meanwhile is shown when it is asked for, as nothing may jump while somebody reads. */
function Newer({ filter, first }: { filter: ActivityFilter; first: ActivityItem | undefined }) {
  const client = useQueryClient()
  const region = useRef<HTMLDivElement>(null)
  useInvalidation(RULES, 2000)
  const newer = useQuery(newerQuery(filter, first))
  const count = newer.data ?? 0
  async function show() {
    const { queryKey } = activityQuery(filter)
    // The first page alone: the others are read again where somebody goes on.
    client.setQueryData<Loaded>(
      queryKey,
      (loaded) => loaded && { pages: loaded.pages.slice(0, 1), pageParams: loaded.pageParams.slice(0, 1) },
    )
    await client.refetchQueries({ queryKey })
    announce('The newest events are shown')
    region.current?.focus()
  }
  return (
    <div ref={region} tabIndex={-1} role="status" className={styles.news}>
      {count > 0 && (
        <Button onClick={() => void show()}>
          {count >= 200 ? '200 or more newer events' : counted(count, 'newer event')}
        </Button>
      )}
    </div>
  )
}

function Events({ items, teams }: { items: readonly ActivityItem[]; teams: boolean }) {
  const columns: Column<ActivityItem>[] = [
    {
      name: 'Event',
      main: true,
      cell: (event) => (
        <>
          <Link to={`/audit/events/${event.position}`}>{eventText(event.event_type)}</Link>
          <div className="muted small">
            {event.event_type}
            {event.step_completed &&
              `, step ${STEPS.find(({ step }) => step === event.step_completed)?.name.toLowerCase()}`}
          </div>
        </>
      ),
    },
    { name: 'Of', cell: (event) => <Of event={event} team={teams} /> },
    { name: 'Who', cell: (event) => <span className="nowrap">{whoText(event)}</span> },
    {
      name: 'When',
      cell: (event) => (
        <time className="nowrap" dateTime={event.recorded_at} title={momentText(event.recorded_at)}>
          {secondsText(event.recorded_at)}
        </time>
      ),
    },
    { name: 'No.', numeric: true, cell: (event) => event.position.toLocaleString(LOCALE) },
  ]
  return <Table caption="Events" columns={columns} rows={items} keyOf={(event) => String(event.position)} />
}

/** The thing, by the name of what it belongs to: a period by its result's. */
function Of({ event, team }: { event: ActivityItem; team: boolean }) {
  const { entity, stream, correlation_id: whole, team_id: owner } = event
  return (
    <>
      <Thing stream={stream} named={entity === 'segment' && whole ? `collection-${whole}` : stream} team={owner} />
      <div className="muted small">
        {THINGS[entity]}
        {team && `, ${teamText(owner)}`}
      </div>
    </>
  )
}
