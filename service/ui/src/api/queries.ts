/** What pages read, by name. A page never builds a query key of its own. */
import { infiniteQueryOptions, keepPreviousData, QueryClient, queryOptions, skipToken } from '@tanstack/react-query'
import { Gatherer, RowReader } from '../lib/rows'
import { live, seenPosition } from '../live/live'
import { access, actForTeam, answered, api } from './client'
import { ConnectionLost, isPassing, isProblem, problemOf } from './problems'
import type {
  ActivityItem,
  Collection,
  CollectionStatus,
  ParametersStep,
  Proof,
  Report,
  ResultVersion,
  Schedule,
  ScheduleConfig,
  ScheduleStatus,
  ScheduleStep,
  Step,
  ZoneName,
} from './types'

const retriedByItself = (failures: number, error: Error) =>
  error instanceof ConnectionLost || (isPassing(error) && failures < 3)

/** What was submitted a moment ago may not be in the tables yet. */
const soonThere = (failures: number, error: Error) =>
  (isProblem(error, 'not_found') && failures < 3) || retriedByItself(failures, error)

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      networkMode: 'always',
      staleTime: 10_000,
      retry: retriedByItself,
      retryDelay: (failures, error) =>
        (isProblem(error) && error.retryAfter ? error.retryAfter * 1000 : 0) + Math.min(1000 * 1.6 ** failures, 8000),
    },
  },
})

/** A read that has all that this tab has seen happen; `position` is that of a write just made. */
function newest(position = 0): { min_position?: number } {
  const at = Math.max(position, seenPosition())
  return at > 0 ? { min_position: at } : {}
}

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  staleTime: 60_000,
  queryFn: async ({ signal }) => {
    const ask = () => answered(api.GET('/auth/session', { signal }))
    const session = await ask().catch((error: unknown) => {
      if (!isProblem(error, 'forbidden') || access.get().team === null) throw error
      // The team was chosen by somebody else in this browser, or is no longer theirs.
      actForTeam(null)
      void queryClient.resetQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'session' })
      return ask()
    })
    access.set({ ...access.get(), csrfToken: session.csrf_token, signedOut: false })
    return session
  },
})

/** How long a list stands that no event is about, or that could not be read … */
const AGAIN = 30_000
/** … and where no events come. */
const SOON = 5_000

function again({ state }: { state: { error: Error | null } }): number {
  return state.error || live.get() === 'live' ? AGAIN : SOON
}

type Next = { next_cursor: string | null }
type Asked = { cursor?: string; min_position?: number }

/** A list that comes page by page; it keeps what it shows while it is narrowed down, and reads itself again. */
function pages<Page extends Next>(
  queryKey: readonly unknown[],
  read: (asked: Asked, signal: AbortSignal) => Promise<Page>,
) {
  return infiniteQueryOptions({
    queryKey,
    initialPageParam: null as string | null,
    placeholderData: keepPreviousData,
    queryFn: ({ signal, pageParam }) => read({ ...newest(), ...(pageParam ? { cursor: pageParam } : {}) }, signal),
    getNextPageParam: (page: Page) => page.next_cursor,
    refetchInterval: again,
  })
}

/** Leaves out what is not asked for. */
function given<Filter extends object>(filter: Filter) {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== null && value !== '')) as {
    [Name in keyof Filter]?: NonNullable<Filter[Name]>
  }
}

/** Every list of reports, whatever it is narrowed down to. */
export const REPORTS = ['reports'] as const

export type ReportsFilter = { status: 'draft' | 'submitted' | null; search: string }

export const reportsQuery = (filter: ReportsFilter) =>
  pages([...REPORTS, filter], (asked, signal) =>
    answered(api.GET('/api/reports', { signal, params: { query: { ...given(filter), ...asked } } })),
  )

/** Every list of collections. */
export const COLLECTIONS = ['collections'] as const

export type CollectionsFilter = { status: CollectionStatus | null; instance_id: string; search: string }

export const collectionsQuery = (filter: CollectionsFilter) =>
  pages([...COLLECTIONS, filter], (asked, signal) =>
    answered(api.GET('/api/data-collections', { signal, params: { query: { ...given(filter), ...asked } } })),
  )

/** Every list of schedules. */
export const SCHEDULES = ['schedules'] as const

export type SchedulesFilter = { status: ScheduleStatus | null; search: string }

export const schedulesQuery = (filter: SchedulesFilter) =>
  pages([...SCHEDULES, filter], (asked, signal) =>
    answered(api.GET('/api/schedules', { signal, params: { query: { ...given(filter), ...asked } } })),
  )

export const runsQuery = (id: string) =>
  pages(['schedule', id, 'runs'], (asked, signal) =>
    answered(
      api.GET('/api/schedules/{schedule_id}/runs', {
        signal,
        params: { path: { schedule_id: id }, query: { limit: 20, ...asked } },
      }),
    ),
  )

/** Every list of workflows. */
export const WORKFLOWS = ['workflows'] as const

export type WorkflowsFilter = { archived: boolean; search: string }

export const workflowListQuery = ({ archived, search }: WorkflowsFilter) =>
  pages([...WORKFLOWS, 'pages', archived, search], (asked, signal) =>
    answered(
      api.GET('/api/workflows', {
        signal,
        params: { query: { ...(archived ? { archived } : {}), ...given({ search }), ...asked } },
      }),
    ),
  )

export const workflowVersionsQuery = (id: string) =>
  pages(['workflow', id, 'versions'], (asked, signal) =>
    answered(
      api.GET('/api/workflows/{workflow_id}/versions', {
        signal,
        params: { path: { workflow_id: id }, query: asked.cursor ? { cursor: Number(asked.cursor) } : {} },
      }),
    ),
  )

/** The workflow as it stood then. */
export const workflowVersionQuery = (id: string, version: number | null) =>
  queryOptions({
    queryKey: ['workflow', id, 'version', version],
    queryFn:
      version === null
        ? skipToken
        : ({ signal }) =>
            answered(
              api.GET('/api/workflows/{workflow_id}', {
                signal,
                params: { path: { workflow_id: id }, query: { version } },
              }),
            ),
  })

export const teamQuery = queryOptions({
  queryKey: ['team'],
  refetchInterval: again,
  queryFn: ({ signal }) => answered(api.GET('/api/team', { signal, params: { query: newest() } })),
})

/** The team's accounts; administrators look after them. */
export const accountsQuery = queryOptions({
  queryKey: ['accounts'],
  refetchInterval: again,
  queryFn: ({ signal }) => answered(api.GET('/api/accounts', { signal, params: { query: { limit: 200 } } })),
})

export const accountQuery = (id: string) =>
  queryOptions({
    queryKey: ['account', id],
    refetchInterval: again,
    queryFn: ({ signal }) =>
      answered(
        api.GET('/api/accounts/{account_id}', {
          signal,
          params: { path: { account_id: id }, query: newest() },
        }),
      ),
  })

/** What Amazon lists for the account, at this moment. */
export const listedQuery = (id: string) =>
  queryOptions({
    queryKey: ['account', id, 'instances'],
    queryFn: ({ signal }) =>
      answered(api.GET('/api/accounts/{account_id}/instances', { signal, params: { path: { account_id: id } } })),
  })

export const LETTERS = ['letters'] as const

export const lettersQuery = pages(LETTERS, (asked, signal) =>
  answered(api.GET('/api/dead-letters', { signal, params: { query: asked.cursor ? { cursor: asked.cursor } : {} } })),
)

const MOST = 200
const MOST_PAGES = 5

type Paged<Item> = { items: Item[]; next_cursor: string | null }

/** Pages on until a page ends with an item for which `enough` holds; `whole` says that nothing was left out. */
async function through<Item>(
  read: (asked: Asked) => Promise<Paged<Item>>,
  enough: (item: Item) => boolean,
): Promise<{ items: Item[]; whole: boolean }> {
  const items: Item[] = []
  let cursor: string | null = null
  for (let turn = 0; turn < MOST_PAGES; turn++) {
    const page: Paged<Item> = await read({ ...newest(), ...(cursor ? { cursor } : {}) })
    items.push(...page.items)
    cursor = page.next_cursor
    const last = items.at(-1)
    if (!cursor || (last && enough(last))) return { items, whole: true }
  }
  return { items, whole: false }
}

/** `whole`: none of them was left out. */
export type LateResults = { items: Collection[]; whole: boolean }

/** What the overview tells of results: those begun since the day began, all that are not done, and those that have failed
 * lately. */
export const lateResultsQuery = (since: string) =>
  queryOptions<LateResults>({
    queryKey: [...COLLECTIONS, 'late', since],
    refetchInterval: again,
    queryFn: async ({ signal }): Promise<LateResults> => {
      const before = (each: Collection) => each.created_at < since
      const read = (query: { status?: CollectionStatus }, enough: (each: Collection) => boolean) =>
        through(
          (asked) =>
            answered(
              api.GET('/api/data-collections', { signal, params: { query: { limit: MOST, ...query, ...asked } } }),
            ),
          enough,
        )
      const never = () => false
      const lists = await Promise.all([
        read({}, before),
        read({ status: 'in_progress' }, never),
        read({ status: 'pending' }, never),
        read({ status: 'failed' }, before),
        read({ status: 'partial' }, before),
      ])
      const found = new Map(lists.flatMap((list) => list.items).map((each) => [each.collection_id, each]))
      return {
        items: [...found.values()].sort((a, b) => b.created_at.localeCompare(a.created_at)),
        whole: lists.every((list) => list.whole),
      }
    },
  })

/** All schedules that are not ended. */
export const liveSchedulesQuery = queryOptions({
  queryKey: [...SCHEDULES, 'live'],
  refetchInterval: again,
  queryFn: async ({ signal }) => {
    const read = (status: ScheduleStatus) =>
      through(
        (asked) =>
          answered(api.GET('/api/schedules', { signal, params: { query: { limit: MOST, status, ...asked } } })),
        () => false,
      )
    const [active, paused] = await Promise.all([read('active'), read('paused')])
    return { active: active.items, paused: paused.items }
  },
})

/** The newest results of an instance. */
export const newestOnQuery = (instanceId: string) =>
  queryOptions({
    queryKey: [...COLLECTIONS, 'newest', instanceId],
    refetchInterval: again,
    queryFn: ({ signal }) =>
      answered(api.GET('/api/data-collections', { signal, params: { query: { instance_id: instanceId, limit: 50 } } })),
  })

/** Reports that are begun and not submitted. */
export const draftsQuery = queryOptions({
  queryKey: [...REPORTS, 'drafts'],
  refetchInterval: again,
  queryFn: ({ signal }) =>
    answered(api.GET('/api/reports', { signal, params: { query: { status: 'draft', limit: MOST } } })),
})

export const reportQuery = (id: string) =>
  queryOptions({
    queryKey: ['report', id],
    queryFn: ({ signal }) =>
      answered(api.GET('/api/reports/{report_id}', { signal, params: { path: { report_id: id } } })),
  })

/** Of each days that the report has fetched every result, the oldest first. `whole`: none of them was left out. */
export const resultVersionsQuery = (reportId: string) =>
  queryOptions<{ items: ResultVersion[]; whole: boolean }>({
    queryKey: ['report', reportId, 'versions'],
    queryFn: ({ signal }) =>
      through(
        (asked) =>
          answered(
            api.GET('/api/reports/{report_id}/versions', {
              signal,
              params: { path: { report_id: reportId }, query: { limit: MOST, ...asked } },
            }),
          ),
        () => false,
      ),
  })

export const workflowsQuery = (search: string) =>
  queryOptions({
    queryKey: ['workflows', search],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      answered(api.GET('/api/workflows', { signal, params: { query: { limit: 100, ...(search ? { search } : {}) } } })),
  })

export const workflowQuery = (id: string) =>
  queryOptions({
    queryKey: ['workflow', id],
    queryFn: ({ signal }) =>
      answered(api.GET('/api/workflows/{workflow_id}', { signal, params: { path: { workflow_id: id } } })),
  })

/** The team's instances; `whole`: none of them was left out. */
export const instancesQuery = queryOptions({
  queryKey: ['instances'],
  refetchInterval: again,
  queryFn: ({ signal }) =>
    through(
      (asked) => answered(api.GET('/api/instances', { signal, params: { query: { limit: MOST, ...asked } } })),
      () => false,
    ),
})

export const instanceQuery = (id: string) =>
  queryOptions({
    queryKey: ['instance', id],
    queryFn: ({ signal }) =>
      answered(
        api.GET('/api/instances/{instance_id}', {
          signal,
          params: { path: { instance_id: id }, query: newest() },
        }),
      ),
  })

/** What to ask before a workflow runs, with the lookbacks that it can have on that instance, in that zone. */
export const askedQuery = (workflowId: string, instanceId: string | null, timezone: ZoneName | null) =>
  queryOptions({
    queryKey: ['asked', workflowId, instanceId, timezone],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      answered(
        api.GET('/api/workflows/{workflow_id}/available-parameters', {
          signal,
          params: {
            path: { workflow_id: workflowId },
            query: { ...(instanceId ? { instance_id: instanceId } : {}), ...(timezone ? { timezone } : {}) },
          },
        }),
      ),
  })

/** Parameters as the API judges them, and the window that they mean. The step comes as JSON, as it may be long: what is
 * the same is then told by its text. Null while there is nothing to check. */
export const checkQuery = (step: string | null) =>
  queryOptions({
    queryKey: ['check', step],
    gcTime: 60_000,
    placeholderData: keepPreviousData,
    queryFn:
      step === null
        ? skipToken
        : ({ signal }) =>
            answered(
              api.POST('/api/report-builder/validate-parameters', { signal, body: JSON.parse(step) as ParametersStep }),
            ),
  })

/** The parameters as they are recorded, to be sent again: their zone is one that the API knows. */
function sent(parameters: NonNullable<Report['parameters']>): ParametersStep {
  return { ...parameters, timezone: parameters.timezone as ZoneName }
}

/** What a configuration will do; `version` is that of the report whose parameters these are. */
export const previewQuery = (report: Report, schedule: ScheduleStep | null) => {
  const { parameters } = report
  return queryOptions({
    queryKey: ['preview', report.report_id, report.version, schedule],
    gcTime: 60_000,
    placeholderData: keepPreviousData,
    queryFn:
      parameters && schedule
        ? ({ signal }) =>
            answered(
              api.POST('/api/report-builder/preview-schedule', {
                signal,
                body: { parameters: sent(parameters), schedule },
              }),
            )
        : skipToken,
  })
}

/** What to see before submitting: nothing is recorded by looking. */
export const reviewQuery = ({ parameters, schedule }: Pick<Report, 'parameters' | 'schedule'>) => {
  return queryOptions({
    // By what is reviewed: a check of the SQL is a version of its own, and changes nothing of that.
    queryKey: ['review', parameters, schedule],
    staleTime: 0,
    gcTime: 60_000,
    queryFn:
      parameters && schedule
        ? ({ signal }) =>
            answered(
              api.POST('/api/report-builder/review', { signal, body: { parameters: sent(parameters), schedule } }),
            )
        : skipToken,
  })
}

export const collectionQuery = (id: string, position = 0) =>
  queryOptions({
    queryKey: ['collection', id],
    retry: soonThere,
    queryFn: ({ signal }) =>
      answered(
        api.GET('/api/data-collections/{collection_id}', {
          signal,
          params: { path: { collection_id: id }, query: newest(position) },
        }),
      ),
  })

export const scheduleQuery = (id: string, position = 0) =>
  queryOptions({
    queryKey: ['schedule', id],
    refetchInterval: again,
    retry: soonThere,
    queryFn: ({ signal }) =>
      answered(
        api.GET('/api/schedules/{schedule_id}', {
          signal,
          params: { path: { schedule_id: id }, query: newest(position) },
        }),
      ),
  })

/** What a schedule would do with these rules and this window. Of the workflow's parameters any that fit, as they decide
 * nothing of when it runs. */
export const changePreviewQuery = (
  schedule: Schedule,
  parameters: ParametersStep['parameters'] | undefined,
  rules: { lookback_config: ParametersStep['lookback_config']; schedule_config: ScheduleConfig } | null,
) =>
  queryOptions({
    queryKey: ['preview', schedule.schedule_id, parameters, rules],
    gcTime: 60_000,
    placeholderData: keepPreviousData,
    queryFn:
      rules && parameters
        ? ({ signal }) =>
            answered(
              api.POST('/api/report-builder/preview-schedule', {
                signal,
                body: {
                  parameters: {
                    workflow_id: schedule.workflow_id,
                    instance_id: schedule.instance_id,
                    timezone: schedule.timezone as ZoneName,
                    lookback_config: rules.lookback_config,
                    parameters,
                  },
                  schedule: { schedule_type: 'scheduled', schedule_config: rules.schedule_config },
                },
              }),
            )
        : skipToken,
  })

/** A collection with its segments as they stood at `position`, or later. */
export const progressQuery = (id: string, position = 0) =>
  queryOptions({
    queryKey: ['progress', id],
    staleTime: 1000,
    queryFn: async ({ signal }) => {
      const query = newest(position)
      const progress = await answered(
        api.GET('/api/data-collections/{collection_id}/progress', {
          signal,
          params: { path: { collection_id: id }, query },
        }),
      )
      return { ...progress, position: query.min_position ?? 0 }
    },
  })

export const timelineQuery = (collectionId: string, segmentId: string) =>
  queryOptions({
    queryKey: ['timeline', collectionId, segmentId],
    staleTime: 1000,
    queryFn: ({ signal }) =>
      answered(
        api.GET('/api/data-collections/{collection_id}/segments/{segment_id}', {
          signal,
          params: { path: { collection_id: collectionId, segment_id: segmentId }, query: newest() },
        }),
      ),
  })

/** All rows of what is in, as they stand: gathered while they arrive, as they may be many. `arrived` is how many periods
 * are in them. */
export const rowsQuery = (collectionId: string) =>
  queryOptions({
    queryKey: ['rows', collectionId],
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    structuralSharing: false,
    queryFn: async ({ signal }) => {
      const { gathered, headers } = await gatheredOf(
        api.GET('/api/data-collections/{collection_id}/results', {
          signal,
          params: { path: { collection_id: collectionId }, query: { format: 'json', ...newest() } },
          parseAs: 'stream',
        }),
      )
      const arrived = Number(/completed=(\d+)/.exec(headers.get('Report-Segments') ?? '')?.[1] ?? 0)
      return { gathered, arrived }
    },
  })

/** All rows of a report, of its history and of its runs: of each period the newest. `through`: they are complete to that day. */
export const reportRowsQuery = (reportId: string) =>
  queryOptions({
    queryKey: ['report-rows', reportId],
    staleTime: 0,
    gcTime: 60_000,
    refetchOnWindowFocus: false,
    structuralSharing: false,
    queryFn: async ({ signal }) => {
      const { gathered, headers } = await gatheredOf(
        api.GET('/api/reports/{report_id}/results', {
          signal,
          params: { path: { report_id: reportId }, query: { format: 'json', ...newest() } },
          parseAs: 'stream',
        }),
      )
      return { gathered, through: headers.get('Complete-Through') }
    },
  })

/** Whether a report has fetched anything yet. */
export const hasResultsQuery = (reportId: string) =>
  queryOptions({
    queryKey: ['report', reportId, 'fetched'],
    refetchInterval: ({ state }: { state: { data: boolean | undefined; error: Error | null } }) =>
      state.data ? false : again({ state }),
    queryFn: async ({ signal }) => {
      const params = { path: { report_id: reportId }, query: { limit: 1, ...newest() } }
      return (await answered(api.GET('/api/reports/{report_id}/versions', { signal, params }))).items.length > 0
    },
  })

async function gatheredOf(asked: Promise<{ data?: unknown; error?: unknown; response: Response }>) {
  const { data, error, response } = await asked
  if (!response.ok || !data) throw problemOf(error, response, new URL(response.url).pathname)
  const [reader, gatherer] = [new RowReader(), new Gatherer()]
  for await (const piece of piecesOf(data as ReadableStream<BufferSource>)) gatherer.add(reader.push(piece))
  return { gathered: gatherer.end(), headers: response.headers }
}

async function* piecesOf(body: ReadableStream<BufferSource>) {
  const text = body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { done, value } = await text.read()
    if (done) return
    yield value
  }
}

/** What is narrowed down to in the activity; times are moments. */
export type ActivityFilter = {
  entity: ActivityItem['entity'] | null
  /** One thing alone. */
  stream: string
  /** Those of other teams too; null: not. */
  all_teams: true | null
  event_type: string
  step: Step | null
  user_id: string
  workflow_id: string
  from: string
  to: string
  order: 'newest' | 'oldest'
}

/** Every list of activity, whatever it is narrowed down to: read once, so that it stands still while somebody reads. */
export const ACTIVITY = ['activity'] as const

/** How many events a page of the activity looks for. */
export const ACTIVITY_PAGE = 50

export const activityQuery = (filter: ActivityFilter) =>
  infiniteQueryOptions({
    queryKey: [...ACTIVITY, filter],
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    initialPageParam: null as number | null,
    placeholderData: keepPreviousData,
    queryFn: ({ signal, pageParam }) =>
      answered(
        api.GET('/api/audit/activity', {
          signal,
          params: {
            query: { ...given(filter), limit: ACTIVITY_PAGE, ...(pageParam === null ? {} : { cursor: pageParam }) },
          },
        }),
      ),
    getNextPageParam: (page) => page.next_cursor,
  })

/** What has come since, of the same kind. A word of its own: where all must be read again, the list stands still all the same. */
export const NEWER = ['newer'] as const

/** How many events are newer than this one, at most as many as a page can have; null: do not ask. */
export const newerQuery = (filter: ActivityFilter, than: ActivityItem | undefined) =>
  queryOptions({
    queryKey: [...NEWER, filter, than?.position],
    staleTime: 0,
    gcTime: 0,
    refetchInterval: again,
    queryFn: than
      ? async ({ signal }) => {
          const query = { ...given(filter), from: than.recorded_at, limit: 200 }
          const page = await answered(api.GET('/api/audit/activity', { signal, params: { query } }))
          return page.items.filter((each) => each.position > than.position).length
        }
      : skipToken,
  })

/** One event, with its body; whoever may read the log may read those of all teams. */
export const eventQuery = (position: number) =>
  queryOptions({
    queryKey: ['audit', 'event', position],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => {
      const query = { cursor: position + 1, limit: 1, configuration: true, all_teams: true }
      const page = await answered(api.GET('/api/audit/activity', { signal, params: { query } }))
      return page.items.find((each) => each.position === position) ?? null
    },
  })

/** That the event is in the signed log. The service waits for that itself, so that it is asked once. */
export const proofQuery = (position: number) =>
  queryOptions({
    queryKey: ['audit', 'proof', position],
    staleTime: Number.POSITIVE_INFINITY,
    retry: (_, error) => error instanceof ConnectionLost,
    queryFn: async ({ signal }) => {
      const params = { path: { position: String(position) }, query: { all_teams: true } }
      // As text it is asked for by another name.
      return (await answered(api.GET('/api/audit/proof/{position}', { signal, params }))) as Proof
    },
  })

export const logQuery = queryOptions({
  queryKey: ['audit', 'log'],
  staleTime: 0,
  refetchInterval: ({ state }: { state: { error: Error | null } }) => (state.error ? AGAIN : SOON),
  queryFn: ({ signal }) => answered(api.GET('/api/audit/log', { signal })),
})

/** `whole`: none of them was left out, which are the oldest then. */
export type Events = { items: ActivityItem[]; whole: boolean }

/** All that has happened to one thing, the oldest first: the last thousand events. */
export const streamQuery = (stream: string) =>
  queryOptions<Events>({
    queryKey: ['stream', stream],
    refetchInterval: again,
    queryFn: async ({ signal }): Promise<Events> => {
      const items: ActivityItem[] = []
      let cursor: number | null = null
      for (let turn = 0; turn < MOST_PAGES; turn++) {
        const query: { stream: string; limit: number; all_teams: true; cursor?: number } = {
          stream,
          limit: MOST,
          all_teams: true,
        }
        if (cursor !== null) query.cursor = cursor
        const page: { items: ActivityItem[]; next_cursor: number | null } = await answered(
          api.GET('/api/audit/activity', { signal, params: { query } }),
        )
        items.push(...page.items)
        cursor = page.next_cursor
        if (cursor === null) break
      }
      return { items: items.reverse(), whole: cursor === null }
    },
  })

export type StateMoment = { at_position?: number; at_time?: string; from_position?: number }

/** How a thing stood, and what was different before. */
export const stateQuery = (stream: string, moment: StateMoment | null) =>
  queryOptions({
    queryKey: ['audit', 'state', stream, moment],
    // What has been stays as it was; how it stands now does not.
    staleTime: moment?.at_position !== undefined ? Number.POSITIVE_INFINITY : 0,
    gcTime: 60_000,
    placeholderData: keepPreviousData,
    queryFn: moment
      ? ({ signal }) =>
          answered(
            api.GET('/api/audit/state/{stream}', {
              signal,
              params: { path: { stream }, query: { ...moment, all_teams: true } },
            }),
          )
      : skipToken,
  })

/** What the thing of a stream is called now; null where it has no name of its own. */
export const nameQuery = (stream: string) => {
  const dash = stream.indexOf('-')
  const [category, id] = [stream.slice(0, dash), stream.slice(dash + 1)]
  return queryOptions({
    queryKey: ['audit', 'name', stream],
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    queryFn: async ({ signal }): Promise<string | null> => {
      switch (category) {
        case 'report':
          return (await answered(api.GET('/api/reports/{report_id}', { signal, params: { path: { report_id: id } } })))
            .name
        case 'collection':
          return (
            await answered(
              api.GET('/api/data-collections/{collection_id}', { signal, params: { path: { collection_id: id } } }),
            )
          ).name
        case 'schedule':
          return (
            await answered(api.GET('/api/schedules/{schedule_id}', { signal, params: { path: { schedule_id: id } } }))
          ).name
        case 'workflow':
          return (
            await answered(api.GET('/api/workflows/{workflow_id}', { signal, params: { path: { workflow_id: id } } }))
          ).name
        case 'instance':
          return (
            await answered(api.GET('/api/instances/{instance_id}', { signal, params: { path: { instance_id: id } } }))
          ).name
        default:
          return null
      }
    },
  })
}
