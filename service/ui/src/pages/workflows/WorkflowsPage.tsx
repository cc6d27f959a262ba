import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { useMay } from '../../api/may'
import { workflowListQuery } from '../../api/queries'
import type { Workflow } from '../../api/types'
import { LinkButton } from '../../components/Button'
import { Choice } from '../../components/Field'
import { Filters, NameFilter, useFilter } from '../../components/Filters'
import { Pages } from '../../components/Pages'
import { Empty } from '../../components/States'
import { type Column, Table } from '../../components/Table'
import { whenText } from '../../lib/dates'
import { Page } from '../../shell/Page'

const ARCHIVED = 'archived'

export function Component() {
  const [search, setSearch] = useFilter('search')
  const [shown, setShown] = useFilter('show')
  const archived = shown === ARCHIVED
  const workflows = useInfiniteQuery(workflowListQuery({ archived, search }))
  const may = useMay('reports:write')
  const begin = may && (
    <LinkButton look="primary" to="/workflows/new">
      New workflow
    </LinkButton>
  )
  return (
    <Page title="Workflows" lead="The SQL that reports run, with the parameters that it asks for." actions={begin}>
      <Filters>
        <NameFilter label="Search by name" value={search} onChange={setSearch} />
        <Choice
          label="Which"
          hideLabel
          look="segments"
          options={[
            { value: '', label: 'In use' },
            { value: ARCHIVED, label: 'Archived' },
          ]}
          value={archived ? ARCHIVED : ''}
          onChange={setShown}
        />
      </Filters>
      <Pages
        list={workflows}
        more="Show older workflows"
        empty={
          search || archived ? (
            <Empty
              title={search ? 'No workflow like that' : 'Nothing is archived'}
              action={<LinkButton to="/workflows">Show all workflows</LinkButton>}
            />
          ) : (
            <Empty title="No workflows yet" action={begin}>
              <p className="muted">A workflow is written once, and run by as many reports as you like.</p>
            </Empty>
          )
        }
      >
        {(items) => <Table caption="Workflows" columns={COLUMNS} rows={items} keyOf={(each) => each.workflow_id} />}
      </Pages>
    </Page>
  )
}

const COLUMNS: readonly Column<Workflow>[] = [
  { name: 'Workflow', main: true, cell: (each) => <Link to={`/workflows/${each.workflow_id}`}>{each.name}</Link> },
  {
    name: 'Asks for',
    cell: (each) =>
      each.parameters.length === 0 ? (
        <span className="muted">Nothing</span>
      ) : (
        each.parameters.map((parameter) => parameter.name).join(', ')
      ),
  },
  { name: 'Version', numeric: true, cell: (each) => each.version },
  { name: 'Changed', cell: (each) => <span className="muted nowrap">{whenText(each.updated_at)}</span> },
]
