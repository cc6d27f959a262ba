/** A test run: Amazon checks the SQL with these parameters, and computes nothing. */
import { useEffect } from 'react'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { isProblem } from '../../api/problems'
import type { Report } from '../../api/types'
import { Button } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { announce } from '../../shell/announce'
import { useBuilder } from './Builder'
import { Refusal } from './Refusal'

const AGAIN = 1500

export function SqlCheck({ report, saved }: { report: Report; saved: (report: Report) => void }) {
  const { reload } = useBuilder()
  const check = useCommand<{ turn: number; version: number }, Awaited<ReturnType<typeof post>>>(
    ({ version }, key) => post(report.report_id, version, key),
    {
      onSuccess: (answer) => saved(answer),
      onError: (error) => {
        if (isProblem(error, 'stale', 'version_conflict')) void reload()
      },
    },
  )
  const pending = check.data?.status === 'pending' && !check.error
  const { mutate } = check
  useEffect(() => {
    if (!pending || check.isPending) return
    const turn = (check.variables?.turn ?? 0) + 1
    const timer = window.setTimeout(() => mutate({ turn, version: report.version }), AGAIN)
    return () => window.clearTimeout(timer)
  }, [pending, check.isPending, check.variables, mutate, report.version])

  const verdict = report.sql_check
  useEffect(() => {
    if (verdict && check.data) announce(WORDS[verdict.outcome].title)
  }, [verdict, check.data])
  const busy = check.isPending || pending
  const ask = () => mutate({ turn: 0, version: report.version })

  return (
    <div className="stack-small" aria-live="polite">
      {verdict && !busy ? (
        <Callout
          look={WORDS[verdict.outcome].look}
          title={WORDS[verdict.outcome].title}
          actions={verdict.outcome === 'failed' && <Button onClick={ask}>Test again</Button>}
        >
          {verdict.error && <p className="mono">{verdict.error}</p>}
          <p>{WORDS[verdict.outcome].says}</p>
        </Callout>
      ) : (
        <>
          <p className="muted">
            Amazon can check the SQL with these parameters before anything runs. It takes about a minute and fetches
            nothing.
          </p>
          <div>
            <Button busy={busy} onClick={ask}>
              {busy ? 'Amazon is checking …' : 'Test run'}
            </Button>
          </div>
        </>
      )}
      {check.error && (
        <Refusal
          error={check.error}
          base={`/reports/${report.report_id}`}
          retry={ask}
          {...(isProblem(check.error, 'stale', 'version_conflict')
            ? {
                remedy: 'This page shows how it stands now. Look at it, then test again.',
                actions: <Button onClick={ask}>Test again</Button>,
              }
            : {})}
        />
      )}
    </div>
  )
}

const WORDS = {
  taken: {
    look: 'info',
    title: 'Amazon takes the SQL with these parameters',
    says: 'All periods can begin at once.',
  },
  rejected: {
    look: 'bad',
    title: 'Amazon rejects the SQL or the parameters',
    says: 'Change the parameters, or have the workflow corrected. Submitted as it is, it would stop after the first period.',
  },
  failed: {
    look: 'care',
    title: 'Amazon could not tell',
    says: 'You may submit without a test: then one period runs first, and the others after it.',
  },
} as const

function post(id: string, version: number, key: string) {
  return answered(
    api.POST('/api/reports/{report_id}/check', {
      params: { path: { report_id: id } },
      headers: writing(key, version),
      body: {},
    }),
  )
}
