/** One workflow: its SQL, what it asks for, and its versions. */
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useLocation, useParams } from 'react-router'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { useMay } from '../../api/may'
import { sentence } from '../../api/problems'
import { WORKFLOWS, workflowQuery, workflowVersionQuery, workflowVersionsQuery } from '../../api/queries'
import type { DeclaredParameter, WorkflowDetail, WorkflowVersion } from '../../api/types'
import { ActivityLink } from '../../components/ActivityLink'
import { Button, LinkButton } from '../../components/Button'
import { Callout, CalloutList } from '../../components/Callout'
import { Dialog } from '../../components/Dialog'
import { useFilter } from '../../components/Filters'
import { Pages } from '../../components/Pages'
import { Sql } from '../../components/Sql'
import { Failed, Loading } from '../../components/States'
import { type Column, Nothing, Table } from '../../components/Table'
import { Tag } from '../../components/Tag'
import { whenText } from '../../lib/dates'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { DATA_TYPES, KINDS, listed, VERSION_CHANGES, WORKFLOW_FIELDS } from '../../words'
import { textOf } from '../builder/parameters/draft'
import { typeOf } from './draft'

export function Component() {
  const { workflowId = '' } = useParams()
  const [asked] = useFilter('version')
  const version = /^[1-9]\d{0,8}$/.test(asked) ? Number(asked) : null
  const newest = useQuery(workflowQuery(workflowId))
  const then = useQuery(workflowVersionQuery(workflowId, version))
  const shown = version === null ? newest : then
  if (!newest.data || !shown.data) {
    const failed = newest.error ? newest : shown
    return (
      <Page title="Workflow">
        {failed.error ? (
          <Failed
            error={failed.error}
            retry={() => failed.refetch()}
            actions={<LinkButton to="/workflows">All workflows</LinkButton>}
          />
        ) : (
          <Loading lines={8} />
        )}
      </Page>
    )
  }
  return <Shown workflow={newest.data} shown={shown.data} />
}

/** `shown` is a version of it, which may be an older one. */
function Shown({ workflow, shown }: { workflow: WorkflowDetail; shown: WorkflowDetail }) {
  const base = `/workflows/${workflow.workflow_id}`
  const old = shown.version !== workflow.version
  const { state } = useLocation()
  const saved = (state as { saved?: boolean } | null)?.saved
  return (
    <Page
      title={shown.name}
      above={
        <span className="row">
          <Link to="/workflows">Workflows</Link>
          <ActivityLink stream={`workflow-${shown.workflow_id}`} />
        </span>
      }
      lead={
        workflow.archived ? (
          <Tag>Archived</Tag>
        ) : (
          `Version ${workflow.version}, changed ${whenText(workflow.updated_at).replace(/^[TY]/, (a) => a.toLowerCase())}`
        )
      }
      actions={<Acts workflow={workflow} />}
    >
      {saved && !old && (
        <Callout look="info" role="status">
          <p>Saved as version {workflow.version}. The SQL and its parameters fit together.</p>
        </Callout>
      )}
      {old && (
        <Callout
          look="care"
          title={`This is version ${shown.version}`}
          actions={
            <>
              <LinkButton to={base}>See the newest</LinkButton>
              {!workflow.archived && (
                <LinkButton look="quiet" to={`${base}/edit?from=${shown.version}`}>
                  Edit from here
                </LinkButton>
              )}
            </>
          }
        >
          <p>It is how the workflow stood then. Reports take the newest, version {workflow.version}.</p>
        </Callout>
      )}
      {shown.warnings.length > 0 && (
        <Callout look="care" title="Good to know">
          <CalloutList items={shown.warnings.map((each) => sentence(each.message))} />
        </Callout>
      )}
      <section className="stack-small">
        <h2>SQL</h2>
        <Sql sql={shown.sql_query} label={`SQL of ${shown.name}`} />
      </section>
      <section className="stack-small">
        <h2>Parameters</h2>
        {shown.parameters.length === 0 ? (
          <p className="muted">It asks for none.</p>
        ) : (
          <Table caption="Parameters" columns={PARAMETERS} rows={shown.parameters} keyOf={(each) => each.name} />
        )}
      </section>
      <Versions workflow={workflow} shown={shown.version} />
    </Page>
  )
}

const PARAMETERS: readonly Column<DeclaredParameter>[] = [
  {
    name: 'Parameter',
    main: true,
    cell: (each) => (
      <>
        <code>{each.name}</code>
        {each.description && <div className="muted small">{each.description}</div>}
        {each.personal && <div className="muted small">About people: kept encrypted, and can be erased.</div>}
      </>
    ),
  },
  {
    name: 'Takes',
    cell: (each) => {
      const kind = each.kind && each.kind !== 'text' ? `, ${KINDS[each.kind]}` : ''
      return `${DATA_TYPES[typeOf(each)]}${kind}`
    },
  },
  {
    name: 'Left empty',
    cell: (each) =>
      each.default === undefined || each.default === null ? (
        <span className="muted">None: each report says it</span>
      ) : (
        <code>{textOf(each.default).replaceAll('\n', ', ')}</code>
      ),
  },
]

function Versions({ workflow, shown }: { workflow: WorkflowDetail; shown: number }) {
  const versions = useInfiniteQuery(workflowVersionsQuery(workflow.workflow_id))
  const columns: Column<WorkflowVersion>[] = [
    {
      name: 'Version',
      main: true,
      cell: ({ version }) =>
        version === shown ? (
          <strong aria-current="true">Version {version}, shown here</strong>
        ) : (
          <Link
            to={
              version === workflow.version
                ? `/workflows/${workflow.workflow_id}`
                : `/workflows/${workflow.workflow_id}?version=${version}`
            }
          >
            Version {version}
          </Link>
        ),
    },
    {
      name: 'What happened',
      cell: ({ change, fields }) => {
        const words = fields.map((field) => WORKFLOW_FIELDS[field] ?? field)
        return change === 'changed' && words.length > 0 ? `Changed: ${listed(words)}` : VERSION_CHANGES[change]
      },
    },
    { name: 'When', cell: (each) => <span className="muted nowrap">{whenText(each.recorded_at)}</span> },
  ]
  return (
    <section className="stack-small">
      <h2>Versions</h2>
      <Pages list={versions} more="Show older versions" empty={<Nothing />}>
        {(items) => <Table caption="Versions" columns={columns} rows={items} keyOf={(each) => String(each.version)} />}
      </Pages>
    </section>
  )
}

function Acts({ workflow }: { workflow: WorkflowDetail }) {
  const { workflow_id: id, name, archived, version } = workflow
  const client = useQueryClient()
  const may = useMay('reports:write')
  const [asked, setAsked] = useState(false)
  const put = useCommand<{ archive: boolean; version: number }, { position: number }>(
    ({ archive, version: now }, key) => {
      const request = { params: { path: { workflow_id: id } }, headers: writing(key, now), body: {} }
      return answered(
        archive
          ? api.POST('/api/workflows/{workflow_id}/archive', request)
          : api.POST('/api/workflows/{workflow_id}/unarchive', request),
      )
    },
    {
      onSuccess: async (_, { archive }) => {
        setAsked(false)
        announce(archive ? 'Archived' : 'Taken back from the archive')
        await client.invalidateQueries({ queryKey: ['workflow', id] })
        void client.invalidateQueries({ queryKey: WORKFLOWS })
      },
      onError: () => void client.invalidateQueries({ queryKey: ['workflow', id] }),
    },
  )
  if (!may) return null
  if (archived) {
    return (
      <>
        <Button busy={put.isPending} onClick={() => put.mutate({ archive: false, version })}>
          Take it back from the archive
        </Button>
        {put.error && <Failed error={put.error} />}
      </>
    )
  }
  return (
    <>
      <LinkButton look="primary" to={`/workflows/${id}/edit`}>
        Edit
      </LinkButton>
      <Button onClick={() => setAsked(true)}>Archive</Button>
      {asked && (
        <Dialog
          title={`Archive “${name}”?`}
          act="Archive"
          busy={put.isPending}
          error={put.error}
          onAct={() => put.mutate({ archive: true, version })}
          onClose={() => {
            setAsked(false)
            put.reset()
          }}
        >
          <p>No new report can take it. What runs with it goes on, and it can be taken back.</p>
        </Dialog>
      )}
    </>
  )
}
