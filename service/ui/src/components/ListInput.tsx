/** A list that is pasted: counted at once, with every line that does not fit by its number. */
import { useDeferredValue, useMemo, useRef } from 'react'
import { sentence } from '../api/problems'
import { badEntries, MOST_VALUES, readList } from '../lib/lists'
import { counted } from '../words'
import { Field, type FieldProps, fieldStyles as styles } from './Field'

type ListInputProps = FieldProps & {
  value: string
  onChange: (text: string) => void
  /** Of ids, which spaces and semicolons part as well. */
  ids: boolean
  /** What the API says of single values. */
  problems: readonly { pointer: string; message: string }[]
}

const SHOWN = 100

export function ListInput({ value, onChange, ids, problems, pointer = '', error, ...field }: ListInputProps) {
  const area = useRef<HTMLTextAreaElement>(null)
  const text = useDeferredValue(value)
  const list = useMemo(() => readList(text, ids), [text, ids])
  const bad = useMemo(() => badEntries(list, pointer, problems), [list, pointer, problems])
  const repeated = list.entries.length - list.distinct
  const tooMany = list.entries.length > MOST_VALUES
  const whole = tooMany
    ? `There are ${counted(list.entries.length, 'value')}, and at most ${MOST_VALUES.toLocaleString('en-GB')} fit.`
    : error
  const shown =
    whole ??
    (bad.length > 0 ? `${counted(bad.length, 'value')} ${bad.length === 1 ? 'does' : 'do'} not fit.` : undefined)

  function show(start: number, length: number) {
    const box = area.current
    if (!box) return
    box.focus()
    box.setSelectionRange(start, start + length)
    const lines = box.value.slice(0, start).split('\n').length
    box.scrollTop = Math.max(0, (lines - 3) * 20)
  }

  return (
    <div className="stack-small">
      <Field {...field} pointer={pointer} error={shown}>
        {({ id, describedBy, invalid }) => (
          <textarea
            ref={area}
            id={id}
            className={`${styles.input} ${styles.area}`}
            rows={6}
            spellCheck={false}
            autoComplete="off"
            aria-describedby={describedBy}
            aria-invalid={invalid || undefined}
            value={value}
            onChange={(event) => onChange(event.target.value)}
          />
        )}
      </Field>
      <p className={styles.lines} aria-live="polite">
        <span>
          {counted(list.distinct, 'value')}
          {repeated > 0 && `, ${counted(repeated, 'repeat')} left out`}
        </span>
        <span>{ids ? 'One to a line, or parted by commas' : 'One to a line; a single line is parted by commas'}</span>
      </p>
      {bad.length > 0 && (
        // It scrolls, so that it must be reached by keyboard; each line in it can be.
        <ul className={styles.bad} aria-label="Values that do not fit">
          {bad.slice(0, SHOWN).map((entry) => (
            <li key={entry.start}>
              <button type="button" onClick={() => show(entry.start, entry.value.length)}>
                Line {entry.line.toLocaleString('en-GB')}
              </button>
              <span>{sentence(entry.message)}</span>
            </li>
          ))}
          {bad.length > SHOWN && <li>And {counted(bad.length - SHOWN, 'more value', 'more values')}.</li>}
        </ul>
      )}
    </div>
  )
}
