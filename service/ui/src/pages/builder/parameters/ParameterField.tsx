/** The field that fits a declared parameter. */
import { sentence } from '../../../api/problems'
import type { AvailableParameter, FieldProblem } from '../../../api/types'
import { DateInput, DateTimeInput } from '../../../components/Dates'
import { Choice, TextInput } from '../../../components/Field'
import { ListInput } from '../../../components/ListInput'
import { isIds, textOf } from './draft'

type ParameterFieldProps = {
  parameter: AvailableParameter
  value: string
  onChange: (value: string) => void
  problems: readonly FieldProblem[]
}

const KINDS: Record<AvailableParameter['kind'], string> = {
  ad_group_id: 'Ad group ids',
  advertiser_id: 'Advertiser ids',
  asin: 'ASINs',
  campaign_id: 'Campaign ids',
  creative_id: 'Creative ids',
  entity_id: 'Entity ids',
  line_item_id: 'Line item ids',
  text: '',
}

export function ParameterField({ parameter, value, onChange, problems }: ParameterFieldProps) {
  const pointer = `/parameters/${parameter.name}`
  const own = problems.find((problem) => problem.pointer === pointer)?.message
  const field = {
    label: parameter.name,
    pointer,
    description: describe(parameter),
    optional: !parameter.required,
    error: own && sentence(own),
  }
  switch (parameter.input) {
    case 'list':
      return <ListInput {...field} value={value} onChange={onChange} ids={isIds(parameter)} problems={problems} />
    case 'boolean':
      return (
        <Choice
          {...field}
          look="chips"
          options={parameter.required ? BOOLEANS : [{ value: '', label: 'Default' }, ...BOOLEANS]}
          value={value}
          onChange={onChange}
        />
      )
    case 'date':
      return <DateInput {...field} value={value || null} onChange={(date) => onChange(date ?? '')} />
    case 'timestamp':
      return <DateTimeInput {...field} value={value || null} onChange={(time) => onChange(time ?? '')} />
    case 'whole_number':
    case 'number':
      return (
        <TextInput
          {...field}
          size="medium"
          inputMode={parameter.input === 'number' ? 'decimal' : 'numeric'}
          value={value}
          onChange={onChange}
        />
      )
    default:
      return <TextInput {...field} value={value} onChange={onChange} />
  }
}

const BOOLEANS = [
  { value: 'true', label: 'True' },
  { value: 'false', label: 'False' },
]

function describe(parameter: AvailableParameter): string | undefined {
  const said = [
    parameter.description,
    parameter.input === 'list' && !parameter.description ? KINDS[parameter.kind] && `${KINDS[parameter.kind]}.` : null,
    parameter.default === null ? null : `Left empty, it is ${shortened(textOf(parameter.default))}.`,
    parameter.personal ? 'About people: it is kept encrypted, and can be erased.' : null,
  ].filter(Boolean)
  return said.length > 0 ? said.join(' ') : undefined
}

function shortened(text: string): string {
  const line = text.replaceAll('\n', ', ')
  return line.length > 60 ? `${line.slice(0, 60)}…` : line
}
