/** The four steps of one report: each step's page gets the report, and what to do when it has saved. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback } from 'react'
import { Link, Navigate, Outlet, useLocation, useOutletContext, useParams } from 'react-router'
import { useMay } from '../../api/may'
import { REPORTS, reportQuery } from '../../api/queries'
import type { Report, Step } from '../../api/types'
import { ActivityLink } from '../../components/ActivityLink'
import { LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Failed, Loading, NotAllowed } from '../../components/States'
import { Page } from '../../shell/Page'
import { STEPS } from '../../words'
import styles from './Builder.module.css'

type BuilderContext = {
  report: Report
  /** Takes over what a step has answered. */
  saved: (report: Report) => void
  /** Reads the report again, as somebody else has changed it. */
  reload: () => Promise<unknown>
}

export function useBuilder(): BuilderContext {
  return useOutletContext<BuilderContext>()
}

export function stepAddress(report: Report, step: Step): string {
  return `/reports/${report.report_id}/${step}`
}

/** The steps that stand, so that they can be gone back to. */
export function isOpen(report: Report, step: Step): boolean {
  const order = STEPS.map((each) => each.step)
  const next = report.next_step ?? 'submit'
  return order.indexOf(step) <= order.indexOf(next)
}

export function Component() {
  const { reportId = '' } = useParams()
  const { pathname, state } = useLocation()
  const step = pathname.split('/').at(-1) as Step
  const client = useQueryClient()
  const report = useQuery(reportQuery(reportId))
  const { refetch } = report
  const may = useMay('reports:write')

  const saved = useCallback(
    (answer: Report) => {
      // Of a step's answer the report alone: what it says besides is that step's.
      const { report_id, version, name, next_step, parameters, schedule, review } = answer
      const { changed_since_review, sql_check, collection_id, schedule_id, position } = answer
      client.setQueryData(reportQuery(reportId).queryKey, {
        report_id,
        version,
        name,
        next_step,
        parameters,
        schedule,
        review,
        changed_since_review,
        sql_check,
        collection_id,
        schedule_id,
        position,
      })
      void client.invalidateQueries({ queryKey: REPORTS })
    },
    [client, reportId],
  )
  const reload = useCallback(() => refetch(), [refetch])

  const name = STEPS.find((each) => each.step === step)?.name ?? ''
  if (!report.data) {
    return (
      <Page title={name} documentTitle={name}>
        {report.error ? (
          <Failed
            error={report.error}
            retry={() => report.refetch()}
            actions={<LinkButton to="/reports">All reports</LinkButton>}
          />
        ) : (
          <Loading />
        )}
      </Page>
    )
  }
  if (report.data.next_step === null) {
    // It may be told of its submission before that is answered.
    const live = step === 'submit' && report.data.collection_id
    if (live) return <Navigate to={`/results/${live}`} replace />
    return <Navigate to={`/reports/${reportId}`} replace state={{ closed: step !== 'submit' }} />
  }
  if (!may) {
    return (
      <Page title={name} documentTitle={`${name} · ${report.data.name}`} above={report.data.name}>
        <NotAllowed
          what="write reports"
          actions={<LinkButton to={`/reports/${reportId}`}>See what is set up</LinkButton>}
        />
      </Page>
    )
  }
  if (!isOpen(report.data, step))
    return <Navigate to={stepAddress(report.data, report.data.next_step)} replace state={{ instead: name }} />
  return (
    <Page
      title={name}
      documentTitle={`${name} · ${report.data.name}`}
      above={
        <>
          {report.data.name} <ActivityLink stream={`report-${reportId}`} />
        </>
      }
      actions={<StepList report={report.data} current={step} />}
    >
      {typeof state?.instead === 'string' && step === report.data.next_step && (
        <Callout look="care" role="alert" title={`${state.instead} is not open yet`}>
          <p>
            {report.data.changed_since_review?.length
              ? 'The report has changed since it was reviewed: look at it as it stands now, and confirm it.'
              : 'This step comes first.'}
          </p>
        </Callout>
      )}
      <Outlet context={{ report: report.data, saved, reload } satisfies BuilderContext} />
    </Page>
  )
}

function StepList({ report, current }: { report: Report; current: Step }) {
  const order = STEPS.map((each) => each.step)
  return (
    <nav aria-label="Steps">
      <ol className={styles.steps}>
        {STEPS.map(({ step, name }, index) => {
          const done = isOpen(report, step) && step !== report.next_step && order.indexOf(step) < 3
          const content = (
            <>
              <span className={styles.number} aria-hidden="true">
                {done && step !== current ? '✓' : index + 1}
              </span>
              <span className={styles.word}>
                <span className="visually-hidden">Step {index + 1}: </span>
                {name}
                {done && <span className="visually-hidden">, done</span>}
              </span>
            </>
          )
          const look = step === current ? styles.current : done ? styles.done : ''
          return (
            <li key={step} className={look} aria-current={step === current ? 'step' : undefined}>
              {step !== current && isOpen(report, step) ? (
                <Link to={stepAddress(report, step)}>{content}</Link>
              ) : (
                content
              )}
            </li>
          )
        })}
      </ol>
    </nav>
  )
}
