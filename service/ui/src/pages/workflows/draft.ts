/** A workflow as its form has it, and as the API takes it. */
import type { ChangeWorkflow, DeclaredParameter, Workflow } from '../../api/types'
import { readList } from '../../lib/lists'
import { parametersRead } from '../../lib/sql'
import type { DATA_TYPES, KINDS } from '../../words'
import { typedOf } from '../builder/parameters/draft'

export type DataType = keyof typeof DATA_TYPES
export type Kind = keyof typeof KINDS

export type ParameterDraft = {
  name: string
  type: DataType
  kind: Kind
  /** As it is typed; nothing means that a report must give a value. */
  standard: string
  description: string
  personal: boolean
}

export type WorkflowDraft = { name: string; sql: string; parameters: ParameterDraft[] }

export const NO_PARAMETER: ParameterDraft = {
  name: '',
  type: 'STRING',
  kind: 'text',
  standard: '',
  description: '',
  personal: false,
}

export function workflowDraft(saved: Pick<Workflow, 'name' | 'sql_query' | 'parameters'> | null): WorkflowDraft {
  if (!saved) return { name: '', sql: '', parameters: [] }
  return { name: saved.name, sql: saved.sql_query, parameters: saved.parameters.map(parameterDraft) }
}

function parameterDraft(declared: DeclaredParameter): ParameterDraft {
  return {
    name: declared.name,
    type: typeOf(declared),
    kind: declared.kind ?? 'text',
    standard: declared.default === undefined || declared.default === null ? '' : typedOf(declared.default),
    description: declared.description ?? '',
    personal: declared.personal ?? false,
  }
}

export function typeOf({ data_type: type }: DeclaredParameter): DataType {
  return typeof type === 'string' ? type : type ? 'ARRAY' : 'STRING'
}

/** Whether texts of this type are of a kind that can be checked. */
export function hasKind(type: DataType): boolean {
  return type === 'STRING' || type === 'ARRAY'
}

/** As it is sent. */
export function workflowOf(draft: WorkflowDraft): ChangeWorkflow {
  return { name: draft.name.trim(), sql_query: draft.sql, parameters: draft.parameters.map(parameterOf) }
}

function parameterOf(draft: ParameterDraft): DeclaredParameter {
  const standard = standardOf(draft)
  return {
    name: draft.name.trim(),
    data_type: draft.type,
    ...(hasKind(draft.type) && draft.kind !== 'text' ? { kind: draft.kind } : {}),
    ...(standard === null ? {} : { default: standard }),
    ...(draft.description.trim() ? { description: draft.description.trim() } : {}),
    ...(draft.personal ? { personal: true } : {}),
  }
}

function standardOf({ type, kind, standard }: ParameterDraft): DeclaredParameter['default'] | null {
  if (type === 'ARRAY') {
    const { entries } = readList(standard, kind !== 'text')
    return entries.length > 0 ? entries.map((entry) => entry.value) : null
  }
  if (type === 'STRING') return standard === '' ? null : standard
  return standard.trim() === '' ? null : standard.trim()
}

/** What the form asks for before it sends anything, by the pointers that the API would use. */
export function missing(draft: WorkflowDraft): { pointer: string; message: string }[] {
  return [
    ...(draft.name.trim() ? [] : [{ pointer: '/name', message: 'give it a name' }]),
    ...(draft.sql.trim() ? [] : [{ pointer: '/sql_query', message: 'write the SQL' }]),
    ...draft.parameters.flatMap(({ name }, index) =>
      name.trim() ? [] : [{ pointer: `/parameters/${index}/name`, message: 'give the parameter a name' }],
    ),
  ]
}

/** What the SQL reads and nobody declares, and what is declared and not read. */
export function compared(draft: WorkflowDraft): { undeclared: string[]; unread: string[] } {
  const read = parametersRead(draft.sql)
  const declared = draft.parameters.map((each) => each.name.trim()).filter(Boolean)
  return {
    undeclared: read.filter((name) => !declared.includes(name)),
    unread: declared.filter((name) => !read.includes(name)),
  }
}
