import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { Link, useNavigate } from 'react-router'
import { answered, api, writing } from '../../../api/client'
import { useCommand } from '../../../api/command'
import { FieldErrors, isProblem, sentence } from '../../../api/problems'
import { askedQuery, instanceQuery, previewQuery } from '../../../api/queries'
import type { Preview, Report, ScheduleStep, ZoneName } from '../../../api/types'
import { Choice } from '../../../components/Field'
import { Failed, Loading } from '../../../components/States'
import { useDebounced } from '../../../lib/debounced'
import { useDraft } from '../../../lib/drafts'
import { announce } from '../../../shell/announce'
import { SCHEDULE_TYPES } from '../../../words'
import { stepAddress, useBuilder } from '../Builder'
import styles from '../Builder.module.css'
import { fieldsElsewhere, Refusal } from '../Refusal'
import { StepForm } from '../StepForm'
import { standing } from '../standing'
import {
  hasHistory,
  missing,
  recurs,
  type ScheduleDraft,
  scheduleDraft,
  segmentationPointer,
  stepOf,
  windowTitle,
} from './draft'
import { HistoryFields } from './HistoryFields'
import { PeriodFields } from './PeriodFields'
import { PreviewPanel } from './PreviewPanel'
import { RecurrenceFields } from './RecurrenceFields'

export function Component() {
  const { report } = useBuilder()
  const [turn, setTurn] = useState(0)
  const parameters = report.parameters
  const instance = useQuery({ ...instanceQuery(parameters?.instance_id ?? ''), enabled: Boolean(parameters) })
  if (instance.error && !instance.data) return <Failed error={instance.error} retry={() => instance.refetch()} />
  if (!parameters || !instance.data) return <Loading />
  const saved = JSON.stringify(report.schedule)
  return (
    <ScheduleForm
      key={`${turn} ${saved}`}
      saved={saved}
      parameters={parameters}
      mostAtOnce={instance.data.max_concurrent}
      onDiscard={() => setTurn(turn + 1)}
    />
  )
}

type FormProps = {
  saved: string
  parameters: NonNullable<Report['parameters']>
  mostAtOnce: number
  onDiscard: () => void
}

function ScheduleForm({ saved, parameters, mostAtOnce, onDiscard }: FormProps) {
  const { report, saved: takeOver, reload } = useBuilder()
  const navigate = useNavigate()
  const [tried, setTried] = useState(false)
  const draft = useDraft<ScheduleDraft>(`${report.report_id}:schedule`, saved, () =>
    scheduleDraft(report.schedule, mostAtOnce),
  )
  const { values, change } = draft
  const { type } = values
  const asked = useQuery(askedQuery(parameters.workflow_id, parameters.instance_id, parameters.timezone as ZoneName))
  const step = useMemo(() => stepOf(values), [values])
  const still = useDebounced(step, 300)
  const preview = useQuery(previewQuery(report, still))
  const save = useCommand<{ step: ScheduleStep; version: number }, Awaited<ReturnType<typeof post>>>(
    (input, key) => post(report.report_id, input, key),
    {
      onSuccess: (answer) => {
        draft.drop()
        takeOver(answer)
        announce('Schedule saved')
        void navigate(stepAddress(report, 'review'))
      },
      onError: () => void reload(),
    },
  )

  const asking = new FieldErrors(tried ? missing(values) : [])
  const refused = standing(save.error, save.variables?.step, step)
  // The one-call route has the step below /schedule.
  const live = FieldErrors.of(preview.error)
    .within('/schedule')
    .map((problem) => ({ ...problem, pointer: problem.pointer.slice('/schedule'.length) }))
  const shown = new FieldErrors([...live, ...asking.all, ...(step === still && live.length > 0 ? [] : refused.all)])
  const error = (pointer: string) => {
    const found = shown.at(pointer)
    return found && sentence(found)
  }
  const form = { values, change, error, errors: shown }
  const zone = values.timezone ?? parameters.timezone
  const cuts = segmentationPointer(type)

  function onSave() {
    setTried(true)
    if (!step) return save.reset()
    save.mutate({ step, version: report.version })
  }

  return (
    <StepForm
      draft={draft}
      onDiscard={() => {
        draft.drop()
        onDiscard()
      }}
      onSave={onSave}
      saving={save.isPending}
      error={save.error}
      errors={new FieldErrors([...asking.all, ...refused.all])}
      base={`/reports/${report.report_id}`}
      fields={[...FIELDS, ...fieldsElsewhere(`/reports/${report.report_id}`)]}
      back={<Link to={stepAddress(report, 'parameters')}>Back to the parameters</Link>}
      aside={
        <aside className={styles.aside} aria-label="What this will do">
          <h2>What this will do</h2>
          <Shown
            preview={step ? preview.data : undefined}
            error={step ? preview.error : null}
            base={`/reports/${report.report_id}`}
            retry={() => preview.refetch()}
            waiting={step !== still || preview.isPlaceholderData}
            windowTitle={windowTitle(type)}
            zone={zone}
            incomplete={!step}
            told={live.length > 0}
          />
        </aside>
      }
    >
      <section className={styles.section}>
        <h2>How it runs</h2>
        <Choice
          label="Kind"
          hideLabel
          look="cards"
          pointer="/schedule_type"
          options={Object.entries(SCHEDULE_TYPES).map(([value, { name, says }]) => ({
            value: value as ScheduleDraft['type'],
            label: name,
            says,
          }))}
          value={type}
          onChange={(next) => change({ type: next })}
        />
      </section>

      {recurs(type) && (
        <section className={styles.section}>
          <h2>When</h2>
          <RecurrenceFields {...form} zone={zone} reportZone={parameters.timezone} />
        </section>
      )}

      {hasHistory(type) && (
        <section className={styles.section}>
          <h2>How far back</h2>
          <HistoryFields {...form} asked={asked.data} window={preview.data?.window} />
        </section>
      )}

      <section className={styles.section}>
        <h2>{hasHistory(type) ? 'In which periods' : 'In one piece, or in periods'}</h2>
        <PeriodFields
          {...form}
          pointer={cuts}
          mostAtOnce={mostAtOnce}
          recommendation={step && !preview.error ? preview.data?.recommendation : undefined}
        />
      </section>
    </StepForm>
  )
}

const FIELDS = [
  { pointer: '/schedule_config/time', name: 'Time' },
  { pointer: '/schedule_config/timezone', name: 'Time zone' },
  { pointer: '/schedule_config/daysOfWeek', name: 'Days' },
  { pointer: '/schedule_config/dayOfMonth', name: 'Day of the month' },
  { pointer: '/schedule_config/startDate', name: 'First day' },
  { pointer: '/schedule_config/endDate', name: 'Last day' },
  { pointer: '/schedule_config/maxRuns', name: 'Number of runs' },
  { pointer: '/backfill_config/lookback_config', name: 'History' },
  { pointer: '/backfill_config/lookback_config/value', name: 'History' },
  { pointer: '/backfill_config/lookback_config/startDate', name: 'History' },
  ...['/backfill_config/segmentation_config', '/segmentation_config'].flatMap((pointer) => [
    { pointer: `${pointer}/parallel_limit`, name: 'Periods at once' },
    { pointer: `${pointer}/max_attempts`, name: 'Attempts' },
    { pointer: `${pointer}/stop_after_failures`, name: 'Failures' },
    { pointer, name: 'Periods' },
  ]),
]

type ShownProps = {
  preview: Preview | undefined
  error: unknown
  base: string
  retry: () => void
  waiting: boolean
  windowTitle: string
  zone: string
  incomplete: boolean
  /** What is wrong stands at its field. */
  told: boolean
}

function Shown({ preview, error, base, retry, waiting, incomplete, told, ...panel }: ShownProps) {
  if (incomplete || told) return <p className="muted">It is shown here once the form can be read.</p>
  if (error) {
    // The first step's problems: this form's stand at its fields.
    const remedy = isProblem(error, 'invalid') ? { remedy: FIRST_STEP } : {}
    return <Refusal error={error} base={base} oneCall retry={retry} {...remedy} />
  }
  if (!preview) return <Loading />
  return <PreviewPanel preview={preview} waiting={waiting} {...panel} />
}

const FIRST_STEP = 'Change it in the first step, or choose another kind here.'

function post(id: string, { step, version }: { step: ScheduleStep; version: number }, key: string) {
  return answered(
    api.POST('/api/reports/{report_id}/schedule', {
      params: { path: { report_id: id } },
      headers: writing(key, version),
      body: step,
    }),
  )
}
