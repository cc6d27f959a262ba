/** What every field of a form has: a label, a description, an error, and an id by which an error summary finds it. */
import { type ComponentProps, type ReactNode, useId } from 'react'
import { listed } from '../words'
import styles from './Field.module.css'

export { styles as fieldStyles }

export type FieldProps = {
  label: ReactNode
  description?: ReactNode
  error?: string | undefined
  /** Where the API's errors about it point to: `/lookback_config/value`. */
  pointer?: string
  /** Said beside the label of what may be left out. */
  optional?: boolean
}

/** The id of the element around a field. */
export function fieldId(pointer: string): string {
  return `field${pointer.replace(/[^A-Za-z0-9]+/g, '-')}`
}

/** Scrolls to a field, and puts the focus into it. */
export function focusField(pointer: string) {
  const field = document.getElementById(fieldId(pointer))
  for (let around = field?.closest('details'); around; around = around.parentElement?.closest('details')) {
    around.open = true
  }
  field?.scrollIntoView({ block: 'center' })
  const focusable = 'input:not([type=hidden]):not([tabindex="-1"]), textarea, select, button, [tabindex="0"]'
  field?.querySelector<HTMLElement>(focusable)?.focus({ preventScroll: true })
}

export function Description({ id, children }: { id?: string; children: ReactNode }) {
  return (
    <p id={id} className={styles.description}>
      {children}
    </p>
  )
}

export function ErrorText({ id, children }: { id?: string; children: ReactNode }) {
  return (
    <p id={id} className={styles.error}>
      {children}
    </p>
  )
}

type Described = { id: string; describedBy: string | undefined; invalid: boolean }

/** A field around one native control, which `children` make with the ids that tie it to its words. */
export function Field({
  label,
  description,
  error,
  pointer,
  optional,
  children,
}: FieldProps & { children: (described: Described) => ReactNode }) {
  const id = useId()
  const describedBy = [description && `${id}-description`, error && `${id}-error`].filter(Boolean).join(' ')
  return (
    <div id={pointer && fieldId(pointer)} className={styles.field} data-invalid={error ? '' : undefined}>
      <label className={styles.label} htmlFor={id}>
        {label}
        {optional && <span className={styles.optional}> (optional)</span>}
      </label>
      {description && <Description id={`${id}-description`}>{description}</Description>}
      {children({ id, describedBy: describedBy || undefined, invalid: Boolean(error) })}
      {error && <ErrorText id={`${id}-error`}>{error}</ErrorText>}
    </div>
  )
}

/** A field of several controls: radio buttons, check boxes. */
export function FieldGroup({
  label,
  description,
  error,
  pointer,
  optional,
  children,
  hideLabel,
  describedBy: also,
}: FieldProps & { children: ReactNode; hideLabel?: boolean; describedBy?: string }) {
  const id = useId()
  const describedBy = [description && `${id}-description`, also, error && `${id}-error`].filter(Boolean).join(' ')
  return (
    <fieldset id={pointer && fieldId(pointer)} className={styles.field} aria-describedby={describedBy || undefined}>
      <legend className={hideLabel ? 'visually-hidden' : styles.label}>
        {label}
        {optional && <span className={styles.optional}> (optional)</span>}
      </legend>
      {description && <Description id={`${id}-description`}>{description}</Description>}
      {children}
      {error && <ErrorText id={`${id}-error`}>{error}</ErrorText>}
    </fieldset>
  )
}

type TextInputProps = FieldProps &
  Omit<ComponentProps<'input'>, 'onChange' | 'value' | 'size'> & {
    value: string
    onChange: (value: string) => void
    size?: 'narrow' | 'medium' | 'full'
  }

/** One line of text. */
export function TextInput({
  label,
  description,
  error,
  pointer,
  optional,
  value,
  onChange,
  size: width = 'full',
  ...input
}: TextInputProps) {
  return (
    <Field {...{ label, description, error, optional }} {...(pointer === undefined ? {} : { pointer })}>
      {({ id, describedBy, invalid }) => (
        <input
          type="text"
          autoComplete="off"
          {...input}
          id={id}
          className={`${styles.input} ${width === 'full' ? '' : styles[width]}`}
          aria-describedby={describedBy}
          aria-invalid={invalid || undefined}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  )
}

type NumberInputProps = FieldProps & {
  value: number | null
  onChange: (value: number | null) => void
  min?: number
  max?: number
  /** Said behind the number: `at once`. */
  unit?: string
}

/** A whole number; null while nothing is in it. */
export function NumberInput({ value, onChange, min, max, unit, ...field }: NumberInputProps) {
  return (
    <Field {...field}>
      {({ id, describedBy, invalid }) => (
        <span className={styles.number}>
          <input
            type="number"
            inputMode="numeric"
            id={id}
            className={styles.input}
            min={min}
            max={max}
            aria-describedby={describedBy}
            aria-invalid={invalid || undefined}
            value={value ?? ''}
            onChange={(event) => onChange(event.target.value === '' ? null : Math.trunc(Number(event.target.value)))}
            onWheel={(event) => event.currentTarget.blur()}
          />
          {unit && <span className="muted">{unit}</span>}
        </span>
      )}
    </Field>
  )
}

/** One thing to be or not to be. */
export function Checkbox({
  label,
  description,
  pointer,
  checked,
  onChange,
}: FieldProps & { checked: boolean; onChange: (checked: boolean) => void }) {
  const id = useId()
  return (
    <div id={pointer && fieldId(pointer)}>
      <label className={styles.plain}>
        <input
          type="checkbox"
          checked={checked}
          aria-describedby={description ? id : undefined}
          onChange={(event) => onChange(event.target.checked)}
        />
        <span>
          {label}
          {description && <Description id={id}>{description}</Description>}
        </span>
      </label>
    </div>
  )
}

export type Option<Value extends string> = {
  value: Value
  label: string
  says?: string
  /** Why it cannot be chosen. */
  unavailable?: string | null
}

type ChoiceProps<Value extends string> = FieldProps & {
  options: readonly Option<Value>[]
  value: Value | null
  onChange: (value: Value) => void
  /** `segments` change what is seen below, `chips` and `cards` are values. */
  look?: 'plain' | 'chips' | 'segments' | 'cards'
  hideLabel?: boolean
}

/** One of a few: all are seen at once. */
export function Choice<Value extends string>({
  options,
  value,
  onChange,
  look = 'plain',
  ...field
}: ChoiceProps<Value>) {
  const name = useId()
  const styled = {
    plain: [styles.options, styles.plain],
    chips: [styles.chips, styles.chip],
    segments: [styles.segments, styles.segment],
    cards: [styles.cards, styles.card],
  }
  const [group, each] = styled[look]
  // Options that are out for one reason are named together.
  const out = new Map<string, string[]>()
  for (const { unavailable: why, label } of options) if (why) out.set(why, [...(out.get(why) ?? []), label])
  return (
    <FieldGroup {...field} {...(out.size > 0 ? { describedBy: `${name}-out` } : {})}>
      <div className={group}>
        {options.map((option) => (
          <label key={option.value} className={each}>
            <input
              type="radio"
              name={name}
              value={option.value}
              checked={option.value === value}
              disabled={Boolean(option.unavailable)}
              onChange={() => onChange(option.value)}
            />
            {look === 'chips' || look === 'segments' ? (
              option.label
            ) : (
              <span>
                {option.says ? <strong>{option.label}</strong> : option.label}
                {option.says && <span className="muted">{option.says}</span>}
              </span>
            )}
          </label>
        ))}
      </div>
      {out.size > 0 && (
        <div id={`${name}-out`}>
          {[...out].map(([why, labels]) => (
            <Description key={why}>
              {listed(labels)}: {why}.
            </Description>
          ))}
        </div>
      )}
    </FieldGroup>
  )
}

type SeveralProps<Value extends string> = FieldProps & {
  options: readonly Option<Value>[]
  values: readonly Value[]
  onChange: (values: Value[]) => void
}

/** Any number of a few. */
export function Several<Value extends string>({ options, values, onChange, ...field }: SeveralProps<Value>) {
  return (
    <FieldGroup {...field}>
      <div className={styles.chips}>
        {options.map((option) => (
          <label key={option.value} className={styles.chip}>
            <input
              type="checkbox"
              checked={values.includes(option.value)}
              onChange={(event) =>
                onChange(
                  options
                    .map((each) => each.value)
                    .filter((each) => (each === option.value ? event.target.checked : values.includes(each))),
                )
              }
            />
            {option.label}
          </label>
        ))}
      </div>
    </FieldGroup>
  )
}
