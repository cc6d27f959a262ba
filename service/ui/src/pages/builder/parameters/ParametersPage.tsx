import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { useNavigate } from 'react-router'
import { answered, api, writing } from '../../../api/client'
import { useCommand } from '../../../api/command'
import { FieldErrors, sentence } from '../../../api/problems'
import { askedQuery, checkQuery, instancesQuery, workflowQuery, workflowsQuery } from '../../../api/queries'
import type { AvailableParameter, FieldProblem, Instance, ParametersStep } from '../../../api/types'
import { LinkButton } from '../../../components/Button'
import { Callout, CalloutList } from '../../../components/Callout'
import { Details } from '../../../components/Details'
import { Search, Select } from '../../../components/Select'
import { Sql } from '../../../components/Sql'
import { Empty, Failed, Loading } from '../../../components/States'
import { ZoneField } from '../../../components/ZoneField'
import { useDebounced } from '../../../lib/debounced'
import { useDraft } from '../../../lib/drafts'
import { LOCALE } from '../../../lib/locale'
import { useMedia } from '../../../lib/media'
import { announce } from '../../../shell/announce'
import { counted } from '../../../words'
import { stepAddress, useBuilder } from '../Builder'
import styles from '../Builder.module.css'
import { LookbackField } from '../LookbackField'
import { StepForm } from '../StepForm'
import { standing } from '../standing'
import { missing, parametersDraft, standIns, stepOf, valuesOf } from './draft'
import { ParameterField } from './ParameterField'

const PRESETS = [
  'last_7_days',
  'last_14_days',
  'last_30_days',
  'last_week',
  'last_month',
  'month_to_date',
  'last_quarter',
]
const PAUSE = 300
const A_FEW = 12

export function Component() {
  const { report } = useBuilder()
  const instances = useQuery(instancesQuery)
  const [turn, setTurn] = useState(0)
  if (instances.error && !instances.data) return <Failed error={instances.error} retry={() => instances.refetch()} />
  if (!instances.data) return <Loading />
  if (instances.data.items.length === 0) return <NoInstances />
  // Anew where somebody else has saved the step: what was typed meanwhile is kept, and both are told apart there.
  const saved = JSON.stringify(report.parameters)
  return (
    <ParametersForm
      key={`${turn} ${saved}`}
      saved={saved}
      instances={instances.data.items}
      whole={instances.data.whole}
      onDiscard={() => setTurn(turn + 1)}
    />
  )
}

function NoInstances() {
  return (
    <Empty title="There is no AMC instance yet" action={<LinkButton to="/instances">See the instances</LinkButton>}>
      <p className="muted">A report runs on an instance, and your team has none. An administrator adds one.</p>
    </Empty>
  )
}

type FormProps = { saved: string; instances: readonly Instance[]; whole: boolean; onDiscard: () => void }

function ParametersForm({ saved, instances, whole, onDiscard }: FormProps) {
  const { report, saved: takeOver, reload } = useBuilder()
  const navigate = useNavigate()
  const client = useQueryClient()
  const [search, setSearch] = useState('')
  const [tried, setTried] = useState(false)
  const wide = useMedia('(min-width: 62rem)')
  const workflows = useQuery(workflowsQuery(useDebounced(search, PAUSE)))
  const draft = useDraft(`${report.report_id}:parameters`, saved, () => parametersDraft(report, instances))
  const { values } = draft
  const { workflowId, instanceId } = values
  const workflow = useQuery({ ...workflowQuery(workflowId ?? ''), enabled: workflowId !== null })
  const asked = useQuery({ ...askedQuery(workflowId ?? '', instanceId, values.timezone), enabled: workflowId !== null })
  const current = asked.data?.workflow_id === workflowId ? asked.data : undefined
  const parameters = current?.parameters ?? NONE
  // What it asks for is not known yet: a step that is saved now would leave out what was typed.
  const waiting = workflowId !== null && (!current || asked.isPlaceholderData)
  const zone = values.timezone ?? instances.find((each) => each.instance_id === instanceId)?.time_zone ?? 'UTC'

  // The window: of whatever values, so that it is told before all are given.
  const windowStep = current ? stepOf(values, standIns(parameters)) : null
  const check = useQuery(checkQuery(useDebounced(windowStep && JSON.stringify(windowStep), PAUSE)))

  // The values that are there, when nobody has typed for a moment: they may be long. Those that are missing are asked for
  // when the step is saved.
  const still = useDebounced(draft.values.values, 400)
  const valuesStep = useMemo(() => {
    if (!current || !workflowId || !instanceId) return null
    const given = valuesOf(still, current.parameters)
    if (Object.keys(given).length === 0) return null
    return JSON.stringify({
      workflow_id: workflowId,
      instance_id: instanceId,
      lookback_config: SURE,
      parameters: { ...standIns(current.parameters), ...given },
    } satisfies ParametersStep)
  }, [current, workflowId, instanceId, still])
  const judged = useQuery(checkQuery(valuesStep))

  const save = useCommand<{ step: ParametersStep; version: number }, Awaited<ReturnType<typeof post>>>(
    (input, key) => post(report.report_id, input, key),
    {
      onSuccess: (answer) => {
        draft.drop()
        takeOver(answer)
        announce('Parameters saved')
        void navigate(stepAddress(report, 'schedule'))
      },
      onError: () => void reload(),
    },
  )

  const stepNow = () => stepOf(values, valuesOf(draft.values.values, parameters))
  const refused = standing(save.error, save.variables?.step, save.error && stepNow())
  const asking = new FieldErrors(tried ? missing(values) : [])
  const live = [
    ...FieldErrors.of(check.error).without('/parameters').all,
    ...FieldErrors.of(judged.error).within('/parameters'),
  ]
  const shown = merged(live, refused.all, asking.all)
  const fields = [
    { pointer: '/workflow_id', name: 'Workflow' },
    { pointer: '/instance_id', name: 'Instance' },
    ...parameters.map((each) => ({ pointer: `/parameters/${each.name}`, name: each.name })),
    { pointer: '/lookback_config', name: 'Window' },
    { pointer: '/lookback_config/value', name: 'Window' },
    { pointer: '/lookback_config/startDate', name: 'Window' },
    { pointer: '/timezone', name: 'Time zone' },
  ]
  const error = (pointer: string) => {
    const found = shown.at(pointer)
    return found && sentence(found)
  }

  function onSave() {
    setTried(true)
    if (waiting) {
      if (asked.error) void asked.refetch()
      return
    }
    const step = stepNow()
    if (!step) return save.reset()
    save.mutate({ step, version: report.version })
  }

  const window = windowStep && !check.error ? check.data?.window : undefined
  const warnings = check.error ? [] : (check.data?.warnings ?? [])
  const items = (workflows.data?.items ?? []).map((each) => ({
    id: each.workflow_id,
    name: each.name,
    detail: each.parameters.length > 0 ? `Asks for ${counted(each.parameters.length, 'parameter')}` : 'No parameters',
  }))
  if (workflow.data && !search && !items.some((item) => item.id === workflow.data.workflow_id)) {
    items.unshift({
      id: workflow.data.workflow_id,
      name: workflow.data.name,
      detail: workflow.data.archived ? 'Archived' : '',
    })
  }

  // A few are seen at once, many are looked for.
  const Choose = instances.length > A_FEW ? Search : Select
  if (workflows.data?.items.length === 0 && !search && !workflowId) return <NoWorkflows />
  return (
    <StepForm
      draft={draft}
      onDiscard={() => {
        draft.drop()
        onDiscard()
      }}
      onSave={onSave}
      saving={save.isPending || (waiting && !asked.error)}
      error={save.error}
      errors={merged(asking.all, refused.all)}
      base={`/reports/${report.report_id}`}
      fields={fields}
      aside={
        wide && (
          <aside className={styles.aside} aria-label="The workflow">
            <h2>{workflow.data?.name ?? 'The workflow'}</h2>
            {workflow.data ? (
              <Sql sql={workflow.data.sql_query} label={`SQL of ${workflow.data.name}`} />
            ) : (
              <p className="muted">Its SQL is shown here once you have chosen one.</p>
            )}
          </aside>
        )
      }
    >
      <section className={styles.section}>
        <h2>What to run</h2>
        <Search
          label="Workflow"
          items={items}
          value={workflowId}
          pointer="/workflow_id"
          error={error('/workflow_id')}
          onSearch={setSearch}
          nothing="No workflow by that name."
          onChange={(id) => {
            draft.change({ workflowId: id })
            void client.prefetchQuery(workflowQuery(id))
          }}
        />
        {workflows.error && <Failed error={workflows.error} retry={() => workflows.refetch()} />}
        {workflow.data && !wide && (
          <Details summary="SQL of the workflow">
            <Sql sql={workflow.data.sql_query} label={`SQL of ${workflow.data.name}`} />
          </Details>
        )}
        <Choose
          label="Instance"
          {...(whole ? {} : { description: `The first ${instances.length.toLocaleString(LOCALE)} by id.` })}
          items={instances.map((each) => ({
            id: each.instance_id,
            name: each.name,
            detail: `${each.instance_id} · ${each.time_zone}`,
          }))}
          value={instanceId}
          pointer="/instance_id"
          error={error('/instance_id')}
          onChange={(id) => draft.change({ instanceId: id })}
        />
        {instances.find((each) => each.instance_id === instanceId)?.held_by && (
          <Callout look="care">
            <p>Work on this instance waits: its account must be connected again. The report can be set up meanwhile.</p>
          </Callout>
        )}
      </section>

      {workflowId && !current && asked.error && <Failed error={asked.error} retry={() => asked.refetch()} />}
      {workflowId && !current && !asked.error && <Loading lines={3} />}
      {current && parameters.length > 0 && (
        <section className={styles.section}>
          <h2>Parameters of the workflow</h2>
          {parameters.map((parameter) => (
            <ParameterField
              key={parameter.name}
              parameter={parameter}
              value={draft.values.values[parameter.name] ?? ''}
              onChange={(text) => draft.change({ values: { ...draft.values.values, [parameter.name]: text } })}
              problems={shown.within(`/parameters/${parameter.name}`)}
            />
          ))}
        </section>
      )}

      {current && (
        <section className={styles.section}>
          <h2>Which days</h2>
          <LookbackField
            label="Window of each run"
            value={values.lookback}
            onChange={(lookback) => draft.change({ lookback })}
            presets={current.lookback.presets}
            first={PRESETS}
            limits={current.lookback.limits}
            window={window}
            errors={shown}
            pointer="/lookback_config"
          />
          <div aria-live="polite">
            {window && (
              <Callout look={warnings.length > 0 ? 'care' : 'info'}>
                <p className={styles.sentence}>{window.sentence}</p>
                {warnings.length > 0 && <CalloutList items={warnings.map((each) => each.message)} />}
              </Callout>
            )}
            {check.error && live.length === 0 && <Failed error={check.error} retry={() => check.refetch()} />}
          </div>
          <Details
            summary={`Days are counted in ${zone.replaceAll('_', ' ')}`}
            open={values.timezone !== null}
            wrong={shown.within('/timezone').length > 0}
          >
            <ZoneField
              label="Time zone of the report"
              description="Where a day of the report begins and ends. It is the advertiser’s unless you choose another."
              pointer="/timezone"
              error={error('/timezone')}
              value={zone}
              onChange={(timezone) => draft.change({ timezone })}
            />
          </Details>
        </section>
      )}
    </StepForm>
  )
}

const NONE: readonly AvailableParameter[] = []

/** A window that always fits, where it is the values that are looked at. */
const SURE = { type: 'relative', value: 1, unit: 'days', dataDelayDays: 2 } as const

function post(id: string, { step, version }: { step: ParametersStep; version: number }, key: string) {
  return answered(
    api.POST('/api/reports/{report_id}/parameters', {
      params: { path: { report_id: id } },
      headers: writing(key, version),
      body: step,
    }),
  )
}

/** Each problem once; the first list that says something of a field stands. */
function merged(...lists: (readonly FieldProblem[])[]): FieldErrors {
  const found = new Map<string, FieldProblem>()
  for (const problem of lists.flat()) if (!found.has(problem.pointer)) found.set(problem.pointer, problem)
  return new FieldErrors([...found.values()])
}

function NoWorkflows() {
  return (
    <Empty
      title="There is no workflow yet"
      action={
        <LinkButton look="primary" to="/workflows/new">
          New workflow
        </LinkButton>
      }
    >
      <p className="muted">
        A workflow is the SQL that a report runs. Write one, then come back: what you have begun here is kept.
      </p>
    </Empty>
  )
}
