/** At the top of a form that was not taken: every problem, each with a link to its field. */
import { useEffect, useRef } from 'react'
import { Link } from 'react-router'
import { type FieldErrors, sentence } from '../api/problems'
import { Callout } from './Callout'
import styles from './Callout.module.css'
import { fieldId, focusField } from './Field'

/** A field by the pointer that its errors have, or begin with, and how people know it. */
export type NamedField = {
  pointer: string
  name: string
  /** Of problems with this very pointer alone, not of those within it. */
  exact?: true
  /** Where it is changed, if not on this page. */
  to?: string
}

const SHOWN = 12

type ErrorSummaryProps = {
  errors: FieldErrors
  fields: readonly NamedField[]
  /** Another one with each attempt that is refused: then, and at no other time, the focus comes here. */
  refusal: unknown
}

export function ErrorSummary({ errors, fields, refusal }: ErrorSummaryProps) {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (refusal) box.current?.focus()
  }, [refusal])
  if (errors.all.length === 0) return null
  const lines = summarised(errors, fields)
  const named = new Set(lines.map((line) => line.field ?? line)).size
  return (
    <div ref={box} tabIndex={-1}>
      <Callout
        look="bad"
        role="alert"
        title={named === 1 ? 'One field needs another look' : `${named} fields need another look`}
      >
        <ul className={styles.list}>
          {lines.slice(0, SHOWN).map(({ field, text }) => (
            <li key={text}>
              {field?.to ? (
                <Link to={field.to}>{text}</Link>
              ) : field ? (
                <a
                  href={`#${fieldId(field.pointer)}`}
                  onClick={(event) => {
                    event.preventDefault()
                    focusField(field.pointer)
                  }}
                >
                  {text}
                </a>
              ) : (
                text
              )}
            </li>
          ))}
        </ul>
        {lines.length > SHOWN && <p>And {lines.length - SHOWN} more.</p>}
      </Callout>
    </div>
  )
}

/** One line for each thing that is said of a field; the many values of a list have one together. */
export function summarised(errors: FieldErrors, fields: readonly NamedField[]) {
  const lines: { field: NamedField | null; text: string }[] = []
  const done = new Set<NamedField>()
  for (const problem of errors.all) {
    const field = nearest(problem.pointer, fields)
    if (!field) {
      lines.push({ field, text: sentence(problem.message) })
      continue
    }
    const whole = problem.pointer === field.pointer
    if (!whole && done.has(field)) continue
    if (!whole) done.add(field)
    const count = whole ? 1 : valuesOf(field, errors, fields)
    const text = count > 1 ? `${count} values need another look.` : sentence(problem.message)
    lines.push({ field, text: `${field.name}: ${text.charAt(0).toLowerCase()}${text.slice(1)}` })
  }
  return lines
}

/** How many problems are with something within the field, and with no other field's. */
function valuesOf(field: NamedField, errors: FieldErrors, fields: readonly NamedField[]): number {
  const within = errors.within(field.pointer).filter(({ pointer }) => pointer !== field.pointer)
  return within.filter(({ pointer }) => nearest(pointer, fields) === field).length
}

function nearest(pointer: string, fields: readonly NamedField[]): NamedField | null {
  const holds = (field: NamedField) =>
    pointer === field.pointer || (!field.exact && pointer.startsWith(`${field.pointer}/`))
  return fields.filter(holds).sort((a, b) => b.pointer.length - a.pointer.length)[0] ?? null
}
