/** What narrows the activity down; it is kept in the address. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useSearchParams } from 'react-router'
import { type ActivityFilter, nameQuery, sessionQuery, workflowListQuery } from '../../api/queries'
import type { ActivityItem } from '../../api/types'
import { Button, LinkButton } from '../../components/Button'
import { DateInput } from '../../components/Dates'
import { Details } from '../../components/Details'
import { Choice } from '../../components/Field'
import { Search, Select } from '../../components/Select'
import { useDebounced } from '../../lib/debounced'
import { STEPS } from '../../words'
import styles from './Audit.module.css'
import { useOurs } from './teams'
import { shortId } from './Values'
import { whoText } from './who'
import { EVENTS, THINGS } from './words'

const ALL = 'all'
const EVERY = 'every'
const NAMES = ['stream', 'teams', 'thing', 'event', 'step', 'person', 'workflow', 'from', 'to', 'order'] as const
type Name = (typeof NAMES)[number]

const DAY = /^\d{4}-\d\d-\d\d$/

/** Midnight at the beginning of a day by the reader's clock, or of the day after it. */
function midnight(day: string, after = 0): string {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number)
  return new Date(year, month - 1, date + after).toISOString()
}

export function useActivityFilter(): ActivityFilter {
  const [params] = useSearchParams()
  const of = (name: Name) => params.get(name) ?? ''
  const [from, to] = [of('from'), of('to')]
  return {
    entity: Object.hasOwn(THINGS, of('thing')) ? (of('thing') as ActivityItem['entity']) : null,
    stream: of('stream'),
    all_teams: of('teams') === EVERY || of('stream') ? true : null,
    event_type: Object.hasOwn(EVENTS, of('event')) ? of('event') : '',
    step: STEPS.find(({ step }) => step === of('step'))?.step ?? null,
    user_id: of('person'),
    workflow_id: of('workflow'),
    from: DAY.test(from) ? midnight(from) : '',
    to: DAY.test(to) ? midnight(to, 1) : '',
    order: of('order') === 'oldest' ? 'oldest' : 'newest',
  }
}

export function ActivityFilters({ filter, seen }: { filter: ActivityFilter; seen: readonly ActivityItem[] }) {
  const [params, setParams] = useSearchParams()
  const set = (name: Name, value: string | null, ...gone: Name[]) =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before)
        if (value && value !== ALL) after.set(name, value)
        else after.delete(name)
        for (const each of gone) after.delete(each)
        return after
      },
      { replace: true, preventScrollReset: true },
    )
  const narrowed = NAMES.some((name) => params.has(name))
  const further = ['event', 'step', 'workflow', 'from', 'to'].some((name) => params.has(name))
  const session = useQuery(sessionQuery)
  const things = [{ id: ALL, name: 'Everything' }, ...Object.entries(THINGS).map(([id, name]) => ({ id, name }))]
  return (
    <search className="stack" aria-label="Narrow the activity down">
      {filter.stream && <OneThing stream={filter.stream} seen={seen} onRemove={() => set('stream', null)} />}
      <div className={styles.fields}>
        <Person value={filter.user_id} onChange={(person) => set('person', person)} seen={seen} />
        <Select
          label="Of"
          items={things}
          value={filter.entity ?? ALL}
          onChange={(thing) => set('thing', thing, 'event')}
        />
        {!filter.stream && (
          <Choice
            label="Teams"
            look="segments"
            options={[
              { value: 'own', label: session.data?.team_id ?? 'Your team' },
              { value: EVERY, label: 'All teams' },
            ]}
            value={filter.all_teams ? EVERY : 'own'}
            onChange={(teams) => set('teams', teams === EVERY ? teams : null)}
          />
        )}
        <Choice
          label="Order"
          look="segments"
          options={[
            { value: 'newest', label: 'Newest first' },
            { value: 'oldest', label: 'Oldest first' },
          ]}
          value={filter.order}
          onChange={(order) => set('order', order === 'oldest' ? order : null)}
        />
      </div>
      <Details summary="More filters" open={further}>
        <div className={styles.fields}>
          <EventType thing={filter.entity} value={filter.event_type} onChange={(event) => set('event', event)} />
          <Select
            label="Step"
            items={[{ id: ALL, name: 'Any, or none' }, ...STEPS.map(({ step, name }) => ({ id: step, name }))]}
            value={filter.step ?? ALL}
            onChange={(step) => set('step', step)}
          />
          <Workflow value={filter.workflow_id} onChange={(workflow) => set('workflow', workflow)} />
          <div className={styles.days}>
            <DateInput label="From the day" value={params.get('from')} onChange={(day) => set('from', day)} />
            <DateInput label="To the day" value={params.get('to')} onChange={(day) => set('to', day)} />
          </div>
        </div>
      </Details>
      {narrowed && (
        <div>
          <LinkButton look="quiet" to="/audit" preventScrollReset>
            Show everything again
          </LinkButton>
        </div>
      )}
    </search>
  )
}

type OneThingProps = { stream: string; seen: readonly ActivityItem[]; onRemove: () => void }

/** The one thing whose events are shown, which can be taken away. */
function OneThing({ stream, seen, onRemove }: OneThingProps) {
  const ours = useOurs(seen[0]?.team_id)
  const name = useQuery({ ...nameQuery(stream), enabled: ours })
  const [category = '', id = ''] = [stream.slice(0, stream.indexOf('-')), stream.slice(stream.indexOf('-') + 1)]
  const thing = Object.hasOwn(THINGS, category) ? THINGS[category as ActivityItem['entity']] : 'Thing'
  const called = `${thing} ${name.data ?? shortId(id)}`
  return (
    <div className="row">
      <span>Only of</span>
      <Button className={styles.chip} onClick={onRemove} aria-label={`Only of ${called}: show events of all things`}>
        {called} <span aria-hidden="true">✕</span>
      </Button>
    </div>
  )
}

type PersonProps = { value: string; onChange: (person: string) => void; seen: readonly ActivityItem[] }

/** Oneself, and whoever is in what was read. */
function Person({ value, onChange, seen }: PersonProps) {
  const session = useQuery(sessionQuery)
  const own = session.data?.user_id
  const [known, setKnown] = useState<ReadonlyMap<string, string>>(new Map())
  const found = new Map(known)
  for (const each of seen) if (each.user_id) found.set(each.user_id, whoText(each))
  // Who was seen stays to be chosen, also while the list shows one person alone.
  if (found.size > known.size) setKnown(found)
  const others = [...found].filter(([id]) => id !== own)
  if (value && value !== own && !found.has(value)) {
    others.push([value, whoText({ user_id: value, user_name: null })])
  }
  const items = [
    { id: ALL, name: 'Everybody' },
    ...(own ? [{ id: own, name: `Me (${session.data?.name ?? session.data?.email ?? 'signed in'})` }] : []),
    ...others.map(([id, name]) => ({ id, name })),
  ]
  return <Select label="Who" items={items} value={value || ALL} onChange={onChange} />
}

function EventType({
  thing,
  value,
  onChange,
}: {
  thing: ActivityFilter['entity']
  value: string
  onChange: (type: string) => void
}) {
  const types = Object.keys(EVENTS).filter((type) => !thing || type.startsWith(`${thing}.`))
  const items = [
    { id: ALL, name: 'Any event' },
    ...types.map((type) => ({ id: type, name: EVENTS[type] ?? type, detail: type })),
  ]
  return <Search label="What happened" items={items} value={value || ALL} onChange={onChange} />
}

function Workflow({ value, onChange }: { value: string; onChange: (workflow: string) => void }) {
  const [typed, setTyped] = useState('')
  const search = useDebounced(typed, 200)
  const workflows = useInfiniteQuery(workflowListQuery({ archived: true, search }))
  const found = workflows.data?.pages.flatMap((page) => page.items) ?? []
  const items = [{ id: ALL, name: 'Any workflow' }, ...found.map((each) => ({ id: each.workflow_id, name: each.name }))]
  if (value && !found.some((each) => each.workflow_id === value)) items.push({ id: value, name: 'The chosen workflow' })
  return <Search label="Workflow" items={items} value={value || ALL} onChange={onChange} onSearch={setTyped} />
}
