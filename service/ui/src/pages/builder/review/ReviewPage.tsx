import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useNavigate } from 'react-router'
import { answered, api, writing } from '../../../api/client'
import { useCommand } from '../../../api/command'
import { isProblem } from '../../../api/problems'
import { instanceQuery, reviewQuery, workflowQuery } from '../../../api/queries'
import { Button } from '../../../components/Button'
import { Callout, CalloutList } from '../../../components/Callout'
import { Sql } from '../../../components/Sql'
import { Loading } from '../../../components/States'
import { Summary } from '../../../components/Summary'
import { announce } from '../../../shell/announce'
import { inOurWords } from '../../../words'
import { stepAddress, useBuilder } from '../Builder'
import styles from '../Builder.module.css'
import { parameterRows, scheduleRows } from '../outline'
import { Refusal } from '../Refusal'
import { SqlCheck } from '../SqlCheck'
import { windowTitle } from '../schedule/draft'
import { PreviewPanel } from '../schedule/PreviewPanel'

export function Component() {
  const { report, saved, reload } = useBuilder()
  const navigate = useNavigate()
  const content = useQuery(reviewQuery(report))
  const [changed, setChanged] = useState(false)
  const { parameters, schedule } = report
  const base = `/reports/${report.report_id}`
  const workflow = useQuery({ ...workflowQuery(parameters?.workflow_id ?? ''), enabled: Boolean(parameters) })
  const instance = useQuery({ ...instanceQuery(parameters?.instance_id ?? ''), enabled: Boolean(parameters) })
  const confirm = useCommand<{ as_of: string; version: number }, Awaited<ReturnType<typeof post>>>(
    (input, key) => post(report.report_id, input, key),
    {
      onSuccess: (answer) => {
        saved(answer)
        // What was recorded must be what was seen: where the workflow or the instance has changed since, it is seen anew.
        const same = answer.digest === content.data?.digest
        setChanged(!same)
        if (!same) {
          void content.refetch()
          return
        }
        announce('Review confirmed')
        void navigate(stepAddress(report, 'submit'))
      },
      onError: (error) => {
        if (isProblem(error, 'stale', 'version_conflict', 'step_missing', 'already_submitted')) void reload()
      },
    },
  )
  if (content.error && !content.data) {
    return (
      <Refusal
        error={content.error}
        base={base}
        oneCall
        retry={() => content.refetch()}
        actions={
          <>
            <Link to={stepAddress(report, 'parameters')}>Change the parameters</Link>
            <Link to={stepAddress(report, 'schedule')}>Change the schedule</Link>
          </>
        }
      />
    )
  }
  if (!content.data || !parameters || !schedule) return <Loading lines={8} />
  const { preview, filled } = content.data
  const go = () => confirm.mutate({ as_of: preview.as_of, version: report.version })
  const zone = ('schedule_config' in schedule && schedule.schedule_config.timezone) || parameters.timezone
  const instanceName = instance.data ? `${instance.data.name} (${instance.data.instance_id})` : parameters.instance_id
  return (
    <div className="stack">
      {changed && (
        <Callout look="care" role="alert" title="Something has changed since you opened this page">
          <p>
            The workflow or the instance is another now. Here is what would run as it stands: look again, then confirm.
          </p>
        </Callout>
      )}
      {confirm.error && (
        <Refusal
          error={confirm.error}
          base={base}
          retry={go}
          {...(isProblem(confirm.error, 'stale', 'version_conflict') ? { remedy: LOOK_AGAIN } : {})}
        />
      )}
      {preview.warnings.length > 0 && (
        <Callout look="care" title="Good to know before you go on">
          <CalloutList items={preview.warnings.map((warning) => inOurWords(warning.message))} />
        </Callout>
      )}
      <div className={`${styles.layout} ${styles.split}`}>
        <div className={styles.form}>
          <Summary
            title="Parameters"
            change={stepAddress(report, 'parameters')}
            rows={parameterRows(report, workflow.data?.name ?? parameters.workflow_id, instanceName)}
          />
          <Summary
            title="Schedule"
            change={stepAddress(report, 'schedule')}
            rows={scheduleRows(schedule, parameters.timezone)}
          />
          <section className={styles.section}>
            <h2>SQL, with the parameters filled in</h2>
            <Sql sql={filled.sql} spans={filled.spans} label="SQL with the parameters filled in" />
            <p className="muted small">To be read: Amazon gets the SQL unchanged, and the values beside it.</p>
            <SqlCheck report={report} saved={saved} />
          </section>
        </div>
        <aside className={styles.aside} aria-label="What will happen, and when">
          <h2>What will happen, and when</h2>
          <PreviewPanel
            preview={preview}
            windowTitle={windowTitle(schedule.schedule_type)}
            zone={zone}
            withoutWarnings
          />
        </aside>
        <div className={styles.actions}>
          <Button look="primary" busy={confirm.isPending} onClick={go}>
            Confirm and continue
          </Button>
          <Link to={stepAddress(report, 'schedule')}>Back to the schedule</Link>
        </div>
      </div>
    </div>
  )
}

const LOOK_AGAIN = 'How it stands now is shown below. Look at it again, then confirm.'

function post(id: string, { as_of, version }: { as_of: string; version: number }, key: string) {
  return answered(
    api.POST('/api/reports/{report_id}/review', {
      params: { path: { report_id: id } },
      headers: writing(key, version),
      body: { as_of },
    }),
  )
}
