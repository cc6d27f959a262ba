import { type FieldErrors, sentence } from '../../api/problems'
import { Button } from '../../components/Button'
import { Checkbox, FieldGroup, TextInput } from '../../components/Field'
import { Select } from '../../components/Select'
import { DATA_TYPES, KINDS } from '../../words'
import { type DataType, hasKind, type Kind, type ParameterDraft } from './draft'
import own from './Workflows.module.css'

type EditorProps = {
  index: number
  value: ParameterDraft
  /** The SQL does not read it. */
  unread: boolean
  errors: FieldErrors
  onChange: (changed: Partial<ParameterDraft>) => void
  onRemove: () => void
}

const TYPES = Object.entries(DATA_TYPES).map(([id, name]) => ({ id, name, detail: id }))
const OF_KINDS = Object.entries(KINDS).map(([id, name]) => ({ id, name }))

export function ParameterEditor({ index, value, unread, errors, onChange, onRemove }: EditorProps) {
  const pointer = `/parameters/${index}`
  const error = (name: string) => {
    const found = errors.at(`${pointer}/${name}`)
    return found && sentence(found)
  }
  const whole = errors.at(pointer)
  // Of a list each value has its own pointer.
  const standard = errors.within(`${pointer}/default`)[0]
  const name = value.name.trim() || `Parameter ${index + 1}`
  return (
    <FieldGroup label={name} hideLabel pointer={pointer} error={whole && sentence(whole)}>
      <div className={own.parameter}>
        <TextInput
          label="Name"
          pointer={`${pointer}/name`}
          error={error('name')}
          spellCheck={false}
          value={value.name}
          onChange={(next) => onChange({ name: next })}
        />
        <Select
          label="Takes"
          pointer={`${pointer}/data_type`}
          error={error('data_type')}
          items={TYPES}
          value={value.type}
          onChange={(type) =>
            onChange({ type: type as DataType, ...(hasKind(type as DataType) ? {} : { kind: 'text' }) })
          }
        />
        {hasKind(value.type) && (
          <Select
            label="Which are"
            pointer={`${pointer}/kind`}
            error={error('kind')}
            items={OF_KINDS}
            value={value.kind}
            onChange={(kind) => onChange({ kind: kind as Kind })}
          />
        )}
        <TextInput
          label="Default"
          optional
          placeholder={value.type === 'ARRAY' ? 'first, second' : undefined}
          pointer={`${pointer}/default`}
          error={standard && sentence(standard.message)}
          value={value.standard.replace(/\n$/, '').replaceAll('\n', ', ')}
          onChange={(next) => onChange({ standard: next })}
        />
        {unread && <p className={`${own.wide} muted small`}>The SQL does not read it.</p>}
        <div className={own.wide}>
          <TextInput
            label="What it is for"
            optional
            pointer={`${pointer}/description`}
            error={error('description')}
            maxLength={500}
            value={value.description}
            onChange={(description) => onChange({ description })}
          />
        </div>
        <div className={own.wide}>
          <Checkbox
            label="Its values are about people"
            description="They are kept encrypted, and can be erased."
            checked={value.personal}
            onChange={(personal) => onChange({ personal })}
          />
        </div>
        <div className={own.remove}>
          <Button look="quiet" onClick={onRemove} aria-label={`Remove ${name}`}>
            Remove
          </Button>
        </div>
      </div>
    </FieldGroup>
  )
}
