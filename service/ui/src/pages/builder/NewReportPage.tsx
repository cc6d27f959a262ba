import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from 'react-router'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { useMay } from '../../api/may'
import { FieldErrors, sentence } from '../../api/problems'
import { REPORTS, reportQuery } from '../../api/queries'
import type { Report } from '../../api/types'
import { Button, LinkButton } from '../../components/Button'
import { TextInput } from '../../components/Field'
import { NotAllowed } from '../../components/States'
import { useDraft } from '../../lib/drafts'
import { Page } from '../../shell/Page'
import styles from './Builder.module.css'
import { Refusal } from './Refusal'

export function Component() {
  const may = useMay('reports:write')
  const navigate = useNavigate()
  const client = useQueryClient()
  const draft = useDraft('new', '', () => ({ name: '' }))
  const begin = useCommand<{ name: string }, Report>(
    (body, key) => answered(api.POST('/api/reports', { headers: writing(key), body })),
    {
      onSuccess: (report) => {
        draft.drop()
        client.setQueryData(reportQuery(report.report_id).queryKey, report)
        void client.invalidateQueries({ queryKey: REPORTS })
        void navigate(`/reports/${report.report_id}/parameters`, { replace: true })
      },
    },
  )
  const atName = FieldErrors.of(begin.error).at('/name')
  const go = () => begin.mutate({ name: draft.values.name.trim() || 'Untitled report' })
  if (!may) {
    return (
      <Page title="New report">
        <NotAllowed what="write reports" actions={<LinkButton to="/reports">All reports</LinkButton>} />
      </Page>
    )
  }
  return (
    <Page title="New report" lead="A name to find it by. The four steps come next; each is saved as you go on.">
      <form
        className={`stack ${styles.begin}`}
        onSubmit={(event) => {
          event.preventDefault()
          if (!begin.isPending) go()
        }}
      >
        {begin.error && !atName && <Refusal error={begin.error} retry={go} />}
        <TextInput
          label="Name of the report"
          pointer="/name"
          autoFocus
          maxLength={200}
          placeholder="Weekly clicks by campaign"
          value={draft.values.name}
          onChange={(name) => draft.change({ name })}
          error={atName && sentence(atName)}
        />
        <div>
          <Button type="submit" look="primary" busy={begin.isPending}>
            Begin
          </Button>
        </div>
      </form>
    </Page>
  )
}
