/** Writes a workflow: a new one, or the next version of one. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, Navigate, useNavigate, useParams } from 'react-router'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { FieldErrors, isProblem, sentence } from '../../api/problems'
import { WORKFLOWS, workflowQuery, workflowVersionQuery } from '../../api/queries'
import type { ChangeWorkflow, WorkflowDetail } from '../../api/types'
import { Button, LinkButton } from '../../components/Button'
import { Callout } from '../../components/Callout'
import { Field, fieldStyles, TextInput } from '../../components/Field'
import { useFilter } from '../../components/Filters'
import { Failed, Loading } from '../../components/States'
import { useDraft } from '../../lib/drafts'
import { Allowed } from '../../shell/Allowed'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { listed } from '../../words'
import styles from '../builder/Builder.module.css'
import { StepForm } from '../builder/StepForm'
import {
  compared,
  missing,
  NO_PARAMETER,
  type ParameterDraft,
  type WorkflowDraft,
  workflowDraft,
  workflowOf,
} from './draft'
import { ParameterEditor } from './ParameterEditor'
import own from './Workflows.module.css'

export function Component() {
  const { workflowId } = useParams()
  const title = workflowId ? 'Edit the workflow' : 'New workflow'
  const back = workflowId
    ? { to: `/workflows/${workflowId}`, name: 'See the workflow' }
    : { to: '/workflows', name: 'All workflows' }
  return (
    <Allowed scope="reports:write" title={title} refused="You may not write workflows" back={back}>
      {workflowId ? <Edit id={workflowId} /> : <Begin />}
    </Allowed>
  )
}

function Begin() {
  const [turn, setTurn] = useState(0)
  return (
    <Page
      title="New workflow"
      above={<Link to="/workflows">Workflows</Link>}
      lead="The SQL that reports run on an AMC instance, with what they must give it."
    >
      <Form key={turn} workflow={null} from={null} onDiscard={() => setTurn(turn + 1)} />
    </Page>
  )
}

function Edit({ id }: { id: string }) {
  const [asked] = useFilter('from')
  const version = /^[1-9]\d{0,8}$/.test(asked) ? Number(asked) : null
  const [turn, setTurn] = useState(0)
  const workflow = useQuery(workflowQuery(id))
  const from = useQuery(workflowVersionQuery(id, version))
  if (!workflow.data || (version !== null && !from.data)) {
    const error = workflow.error ?? from.error
    return (
      <Page title="Edit the workflow">
        {error ? (
          <Failed error={error} actions={<LinkButton to="/workflows">All workflows</LinkButton>} />
        ) : (
          <Loading lines={8} />
        )}
      </Page>
    )
  }
  if (workflow.data.archived) return <Navigate to={`/workflows/${id}`} replace />
  return (
    <Page
      title="Edit the workflow"
      documentTitle={`Edit · ${workflow.data.name}`}
      above={<Link to={`/workflows/${id}`}>{workflow.data.name}</Link>}
      lead={`It is saved as version ${workflow.data.version + 1}. Schedules keep the SQL that they were set up with.`}
    >
      <Form
        key={`${turn} ${workflow.data.version}`}
        workflow={workflow.data}
        from={from.data ?? null}
        onDiscard={() => setTurn(turn + 1)}
      />
    </Page>
  )
}

type FormProps = {
  /** Null for a new one. */
  workflow: WorkflowDetail | null
  /** The older version that it begins with, if not the newest. */
  from: WorkflowDetail | null
  onDiscard: () => void
}

function Form({ workflow, from, onDiscard }: FormProps) {
  const navigate = useNavigate()
  const client = useQueryClient()
  const [tried, setTried] = useState(false)
  const name = from ? `workflow:${from.workflow_id}:${from.version}` : `workflow:${workflow?.workflow_id ?? 'new'}`
  const draft = useDraft<WorkflowDraft>(name, String(workflow?.version ?? ''), () => workflowDraft(from ?? workflow))
  const { values, change } = draft
  const save = useCommand<{ body: ChangeWorkflow; version: number | null }, { workflow_id: string }>(
    ({ body, version }, key) =>
      workflow && version !== null
        ? answered(
            api.PUT('/api/workflows/{workflow_id}', {
              params: { path: { workflow_id: workflow.workflow_id } },
              headers: writing(key, version),
              body,
            }),
          )
        : answered(api.POST('/api/workflows', { headers: writing(key), body })),
    {
      onSuccess: async (answer) => {
        draft.drop()
        announce('Saved')
        await client.invalidateQueries({ queryKey: ['workflow', answer.workflow_id] })
        void client.invalidateQueries({ queryKey: WORKFLOWS })
        void navigate(`/workflows/${answer.workflow_id}`, { state: { saved: true } })
      },
      onError: (error) => {
        if (workflow && isProblem(error, 'stale', 'version_conflict', 'archived')) {
          void client.invalidateQueries({ queryKey: ['workflow', workflow.workflow_id] })
        }
      },
    },
  )
  const asking = new FieldErrors(tried ? missing(values) : [])
  const refused = FieldErrors.of(save.error)
  const shown = new FieldErrors([...asking.all, ...refused.all])
  const error = (pointer: string) => {
    const found = shown.at(pointer)
    return found && sentence(found)
  }
  const { undeclared, unread } = compared(values)
  const parameters = (next: ParameterDraft[]) => change({ parameters: next })
  const lines = Math.min(40, Math.max(14, values.sql.split('\n').length + 2))

  function onSave() {
    setTried(true)
    if (missing(values).length > 0) return save.reset()
    save.mutate({ body: workflowOf(values), version: workflow?.version ?? null })
  }

  return (
    <StepForm
      draft={draft}
      what="workflow"
      onDiscard={() => {
        draft.drop()
        onDiscard()
      }}
      onSave={onSave}
      save="Check and save"
      saving={save.isPending}
      error={save.error}
      errors={shown}
      fields={[
        { pointer: '/name', name: 'Name' },
        { pointer: '/sql_query', name: 'SQL' },
        ...values.parameters.map((each, index) => ({
          pointer: `/parameters/${index}`,
          name: each.name || `Parameter ${index + 1}`,
        })),
      ]}
      back={
        <Link to={workflow ? `/workflows/${workflow.workflow_id}` : '/workflows'} onClick={() => draft.drop()}>
          Leave without saving
        </Link>
      }
    >
      <section className={styles.section}>
        <TextInput
          label="Name"
          pointer="/name"
          maxLength={200}
          error={error('/name')}
          value={values.name}
          onChange={(next) => change({ name: next })}
        />
        <Field
          label="SQL"
          description="AMC SQL, sent to Amazon as it is. It reads a parameter with CUSTOM_PARAMETER('name')."
          pointer="/sql_query"
          error={error('/sql_query')}
        >
          {({ id, describedBy, invalid }) => (
            <textarea
              id={id}
              className={`${fieldStyles.input} ${fieldStyles.area} ${own.sql}`}
              rows={lines}
              spellCheck={false}
              autoComplete="off"
              autoCapitalize="off"
              maxLength={100_000}
              aria-describedby={describedBy}
              aria-invalid={invalid || undefined}
              value={values.sql}
              onChange={(event) => change({ sql: event.target.value })}
            />
          )}
        </Field>
        <div aria-live="polite">
          {undeclared.length > 0 && (
            <Callout
              look="info"
              actions={
                <Button
                  onClick={() =>
                    parameters([...values.parameters, ...undeclared.map((each) => ({ ...NO_PARAMETER, name: each }))])
                  }
                >
                  Declare {undeclared.length === 1 ? 'it' : 'them'}
                </Button>
              }
            >
              <p>
                The SQL reads {listed(undeclared)}, which {undeclared.length === 1 ? 'is' : 'are'} not declared below.
              </p>
            </Callout>
          )}
        </div>
      </section>

      <section className={styles.section}>
        <h2>Parameters</h2>
        {values.parameters.length === 0 && (
          <p className="muted">None. Reports that run it then have nothing to fill in.</p>
        )}
        {values.parameters.map((each, index) => (
          <ParameterEditor
            // biome-ignore lint/suspicious/noArrayIndexKey: a parameter has no other name than its place, as both are typed
            key={index}
            index={index}
            value={each}
            unread={unread.includes(each.name.trim())}
            errors={shown}
            onChange={(changed) =>
              parameters(values.parameters.map((one, at) => (at === index ? { ...one, ...changed } : one)))
            }
            onRemove={() => parameters(values.parameters.filter((_, at) => at !== index))}
          />
        ))}
        <div>
          <Button onClick={() => parameters([...values.parameters, NO_PARAMETER])}>Add a parameter</Button>
        </div>
      </section>
    </StepForm>
  )
}
