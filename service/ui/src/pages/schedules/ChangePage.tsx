/** Changes a schedule from its next run on, with its next three runs before and after. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { Link, Navigate, useNavigate, useParams } from 'react-router'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { FieldErrors, sentence } from '../../api/problems'
import { askedQuery, changePreviewQuery, scheduleQuery, workflowQuery } from '../../api/queries'
import type { ChangeSchedule, Schedule, ScheduleChanged, ZoneName } from '../../api/types'
import { LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Checkbox, TextInput } from '../../components/Field'
import { Failed, Loading } from '../../components/States'
import { useDebounced } from '../../lib/debounced'
import { useDraft } from '../../lib/drafts'
import { Allowed } from '../../shell/Allowed'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import styles from '../builder/Builder.module.css'
import { LookbackField } from '../builder/LookbackField'
import { standIns } from '../builder/parameters/draft'
import { ParameterField } from '../builder/parameters/ParameterField'
import { StepForm } from '../builder/StepForm'
import { RecurrenceFields } from '../builder/schedule/RecurrenceFields'
import { readAgain } from './acts'
import { BeforeAndAfter } from './BeforeAndAfter'
import { type ChangeDraft, changeable, changeDraft, changeOf, missing, rulesOf, sendChange } from './change'

const PRESETS = ['last_7_days', 'last_14_days', 'last_30_days', 'last_week', 'last_month', 'month_to_date']

export function Component() {
  const { scheduleId = '' } = useParams()
  return (
    <Allowed
      scope="schedules:write"
      title="Change the schedule"
      refused="You may not change schedules"
      back={{ to: `/schedules/${scheduleId}`, name: 'See the schedule' }}
    >
      <Change scheduleId={scheduleId} />
    </Allowed>
  )
}

function Change({ scheduleId }: { scheduleId: string }) {
  const schedule = useQuery(scheduleQuery(scheduleId))
  const [turn, setTurn] = useState(0)
  if (!schedule.data) {
    return (
      <Page title="Change the schedule">
        {schedule.error ? (
          <Failed
            error={schedule.error}
            retry={() => schedule.refetch()}
            actions={<LinkButton to="/schedules">All schedules</LinkButton>}
          />
        ) : (
          <Loading lines={8} />
        )}
      </Page>
    )
  }
  if (schedule.data.status === 'ended') return <Navigate to={`/schedules/${scheduleId}`} replace />
  return (
    <Page
      title="Change the schedule"
      documentTitle={`Change · ${schedule.data.name}`}
      above={<Link to={`/schedules/${scheduleId}`}>{schedule.data.name}</Link>}
      lead="From its next run on. What has run stays as it is."
    >
      <ChangeForm
        key={`${turn} ${changeable(schedule.data)}`}
        schedule={schedule.data}
        onDiscard={() => setTurn(turn + 1)}
      />
    </Page>
  )
}

type FormProps = { schedule: Schedule; onDiscard: () => void }

function ChangeForm({ schedule, onDiscard }: FormProps) {
  const { schedule_id: id, workflow_id: workflowId, instance_id: instanceId } = schedule
  const navigate = useNavigate()
  const client = useQueryClient()
  const [tried, setTried] = useState(false)
  const draft = useDraft<ChangeDraft>(`schedule:${id}`, changeable(schedule), () => changeDraft(schedule))
  const { values, change } = draft
  const asked = useQuery(askedQuery(workflowId, instanceId, schedule.timezone as ZoneName))
  const workflow = useQuery(workflowQuery(workflowId))
  const moved = workflow.data !== undefined && workflow.data.sql_query !== schedule.sql_query
  // Of the SQL that it keeps, the parameters that this declares.
  const parameters = useMemo(() => {
    const declared = new Set(schedule.declared_parameters.map((each) => each.name))
    const all = asked.data?.parameters ?? []
    return values.newest ? all : all.filter((each) => declared.has(each.name))
  }, [asked.data, schedule.declared_parameters, values.newest])

  const fitting = useMemo(() => asked.data && standIns(asked.data.parameters), [asked.data])
  const first = useMemo(() => rulesOf(changeDraft(schedule)), [schedule])
  const rules = useMemo(() => rulesOf(values), [values])
  const zoneBefore = schedule.schedule_config.timezone ?? schedule.timezone
  const zoneAfter = values.rules.timezone ?? schedule.timezone
  const still = useDebounced(rules, 300)
  const before = useQuery(changePreviewQuery(schedule, fitting, first))
  const after = useQuery(changePreviewQuery(schedule, fitting, still))

  const save = useCommand<ChangeSchedule, ScheduleChanged>(
    (body, key) =>
      sendChange(
        schedule,
        (version) =>
          answered(
            api.PATCH('/api/schedules/{schedule_id}', {
              params: { path: { schedule_id: id } },
              headers: writing(key, version),
              body,
            }),
          ),
        () => client.fetchQuery({ ...scheduleQuery(id), staleTime: 0 }),
      ),
    {
      onSuccess: async (answer) => {
        draft.drop()
        announce('The schedule is changed')
        await readAgain(client, id)
        void navigate(`/schedules/${id}`, { state: { changed: answer, zoneBefore } })
      },
      onError: () => void client.invalidateQueries({ queryKey: ['schedule', id] }),
    },
  )

  const asking = new FieldErrors(tried ? missing(values) : [])
  const refused = FieldErrors.of(save.error)
  // The preview has the rules below /schedule, and the window below /parameters.
  const live = FieldErrors.of(after.error).all.flatMap(({ pointer, message }) => {
    const own = /^\/(schedule|parameters)(\/(schedule_config|lookback_config)(\/.*)?)$/.exec(pointer)?.[2]
    return own ? [{ pointer: own, message }] : []
  })
  const shown = new FieldErrors([...live, ...asking.all, ...refused.all])
  const error = (pointer: string) => {
    const found = shown.at(pointer)
    return found && sentence(found)
  }
  const changed = changeOf(values, schedule, parameters)
  const same = changed !== null && Object.keys(changed).length === 0

  function onSave() {
    setTried(true)
    if (changed === null || same) return save.reset()
    save.mutate(changed)
  }

  return (
    <StepForm
      draft={draft}
      what="schedule"
      onDiscard={() => {
        draft.drop()
        onDiscard()
      }}
      onSave={onSave}
      save="Save the change"
      saving={save.isPending}
      error={save.error}
      errors={new FieldErrors([...asking.all, ...refused.all])}
      fields={[...FIELDS, ...parameters.map(({ name }) => ({ pointer: `/parameters/${name}`, name }))]}
      back={
        <>
          <Link to={`/schedules/${id}`} onClick={() => draft.drop()}>
            Leave it as it is
          </Link>
          {tried && same && <span role="status">Nothing is changed yet.</span>}
        </>
      }
      aside={
        <aside className={styles.aside} aria-label="The next three runs">
          <h2>The next three runs</h2>
          {before.data && after.data && rules && live.length === 0 && !after.error ? (
            <BeforeAndAfter
              before={{ runs: before.data.next_runs, zone: zoneBefore }}
              after={{ runs: after.data.next_runs, zone: zoneAfter }}
            />
          ) : after.error && live.length === 0 ? (
            <Failed error={after.error} retry={() => after.refetch()} />
          ) : rules && live.length === 0 ? (
            <Loading lines={4} />
          ) : (
            <p className="muted">They are shown here once the form can be read.</p>
          )}
        </aside>
      }
    >
      <section className={styles.section}>
        <h2>When</h2>
        <RecurrenceFields
          values={values.rules}
          change={(rule) => change({ rules: { ...values.rules, ...rule } })}
          error={error}
          errors={shown}
          zone={zoneAfter}
          reportZone={schedule.timezone}
        />
      </section>

      <section className={styles.section}>
        <h2>Which days</h2>
        <LookbackField
          label="Window of each run"
          value={values.lookback}
          onChange={(lookback) => change({ lookback })}
          presets={asked.data?.lookback.presets ?? []}
          first={PRESETS}
          limits={asked.data?.lookback.limits}
          window={after.data?.window}
          errors={shown}
          pointer="/lookback_config"
        />
      </section>

      {(parameters.length > 0 || moved) && (
        <section className={styles.section}>
          <h2>The workflow</h2>
          {moved && (
            <Callout look="info">
              <p>The workflow has changed since. The schedule keeps the SQL that it was set up with.</p>
              <Checkbox
                label="Take over the workflow as it is now"
                checked={values.newest}
                onChange={(newest) => change({ newest })}
              />
            </Callout>
          )}
          {parameters.map((parameter) => (
            <ParameterField
              key={parameter.name}
              parameter={parameter}
              value={values.values[parameter.name] ?? ''}
              onChange={(text) => change({ values: { ...values.values, [parameter.name]: text } })}
              problems={shown.within(`/parameters/${parameter.name}`)}
            />
          ))}
        </section>
      )}

      <section className={styles.section}>
        <h2>Name and reason</h2>
        <TextInput
          label="Name"
          pointer="/name"
          maxLength={200}
          error={error('/name')}
          value={values.name}
          onChange={(name) => change({ name })}
        />
        <TextInput
          label="Reason"
          optional
          description="For your colleagues. It is kept with the change."
          pointer="/reason"
          maxLength={500}
          error={error('/reason')}
          value={values.reason}
          onChange={(reason) => change({ reason })}
        />
      </section>
    </StepForm>
  )
}

const FIELDS = [
  { pointer: '/name', name: 'Name' },
  { pointer: '/reason', name: 'Reason' },
  { pointer: '/schedule_config/time', name: 'Time' },
  { pointer: '/schedule_config/timezone', name: 'Time zone' },
  { pointer: '/schedule_config/daysOfWeek', name: 'Days' },
  { pointer: '/schedule_config/dayOfMonth', name: 'Day of the month' },
  { pointer: '/schedule_config/startDate', name: 'First day' },
  { pointer: '/schedule_config/endDate', name: 'Last day' },
  { pointer: '/schedule_config/maxRuns', name: 'Number of runs' },
  { pointer: '/lookback_config', name: 'Window' },
  { pointer: '/lookback_config/value', name: 'Window' },
  { pointer: '/lookback_config/startDate', name: 'Window' },
]
