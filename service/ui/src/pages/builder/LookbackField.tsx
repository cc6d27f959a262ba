/** A window: by a preset, by number and unit, or from the calendar. */
import { useState } from 'react'
import type { FieldErrors } from '../../api/problems'
import { sentence } from '../../api/problems'
import type { Limits, Preset } from '../../api/types'
import { DateRangeInput } from '../../components/Dates'
import { Checkbox, Choice, NumberInput } from '../../components/Field'
import { Select } from '../../components/Select'
import { dateText } from '../../lib/dates'
import styles from './Builder.module.css'
import { LAST_7_DAYS, type LookbackDraft, presetName, presetOf, type RelativeDraft, type Unit } from './lookback'

type Way = 'preset' | 'relative' | 'custom'

type LookbackFieldProps = {
  label: string
  description?: string
  value: LookbackDraft
  onChange: (value: LookbackDraft) => void
  presets: readonly Preset[]
  /** The presets that are offered first, by their API names. */
  first: readonly string[]
  limits: Limits | undefined
  /** The window that it means now, which the calendar begins with. */
  window: { start: string; end: string } | undefined
  errors: FieldErrors
  pointer: string
  /** It is of something that is done once. */
  once?: boolean
}

export function LookbackField(props: LookbackFieldProps) {
  const { label, description, value, onChange, presets, first, limits, window, errors, pointer, once } = props
  const preset = presetOf(value, presets)
  const [chosen, setChosen] = useState<Way | null>(null)
  const way = chosen ?? (preset || presets.length === 0 ? 'preset' : value.type)
  const [all, setAll] = useState(false)
  const offered = presets.filter((each) => all || first.includes(each.preset) || each === preset)

  function go(next: Way) {
    setChosen(next)
    if (next === 'relative' && value.type === 'custom') onChange(LAST_7_DAYS)
    if (next === 'custom' && value.type === 'relative') {
      onChange({ type: 'custom', startDate: window?.start ?? null, endDate: window?.end ?? null })
    }
  }

  const error = errors.at(pointer)
  return (
    <div className="stack">
      <Choice<Way>
        label={label}
        description={description}
        pointer={pointer}
        error={error && sentence(error)}
        look="segments"
        options={[
          { value: 'preset', label: 'Preset' },
          { value: 'relative', label: 'Last …' },
          { value: 'custom', label: 'Calendar' },
        ]}
        value={way}
        onChange={go}
      />
      {way === 'preset' && (
        <>
          <Choice
            label="Preset"
            hideLabel
            look="chips"
            options={offered.map((each) => ({
              value: each.preset,
              label: presetName(each),
              unavailable: each.available ? null : each.reason,
            }))}
            value={preset?.preset ?? null}
            onChange={(name) => {
              const found = presets.find((each) => each.preset === name)?.lookback_config
              if (found?.type === 'custom')
                onChange({ type: 'custom', startDate: found.startDate, endDate: found.endDate })
              else if (found) onChange({ ...LAST_7_DAYS, ...relative(found) })
              setChosen('preset')
            }}
          />
          {!all && offered.length < presets.length && (
            <div>
              <button type="button" className={styles.more} onClick={() => setAll(true)}>
                More presets
              </button>
            </div>
          )}
        </>
      )}
      {way === 'relative' && value.type === 'relative' && (
        <Relative value={value} onChange={onChange} errors={errors} pointer={pointer} />
      )}
      {way === 'custom' && value.type === 'custom' && (
        <DateRangeInput
          label="First and last day"
          description={limits && `The earliest day that AMC still has is ${dateText(limits.earliest_date)}.`}
          start={value.startDate}
          end={value.endDate}
          min={limits?.earliest_date}
          max={limits?.latest_date}
          pointer={`${pointer}/startDate`}
          error={said(errors, `${pointer}/startDate`, `${pointer}/endDate`)}
          onChange={(startDate, endDate) => onChange({ type: 'custom', startDate, endDate })}
        />
      )}
      {!once && (preset ? !preset.moves : value.type === 'custom') && (
        <p className="muted small">
          These days stay the same. They suit a history, or a report that runs once: a schedule would fetch them again
          at each run, and is refused where Amazon will not have them for so long.
        </p>
      )}
    </div>
  )
}

function relative(found: {
  value: number
  unit: Unit
  align?: 'trailing' | 'calendar' | null
  dataDelayDays?: number | null
}) {
  return {
    value: found.value,
    unit: found.unit,
    align: found.align ?? ('trailing' as const),
    dataDelayDays: found.dataDelayDays ?? 0,
  }
}

function said(errors: FieldErrors, ...pointers: string[]): string | undefined {
  const found = pointers.map((pointer) => errors.at(pointer)).find(Boolean)
  return found && sentence(found)
}

type RelativeProps = {
  value: RelativeDraft
  onChange: (value: LookbackDraft) => void
  errors: FieldErrors
  pointer: string
}

function Relative({ value, onChange, errors, pointer }: RelativeProps) {
  const unit = { days: 'days', weeks: 'weeks', months: 'months' }[value.unit]
  return (
    <div className="stack">
      <div className={styles.pair}>
        <NumberInput
          label="Last"
          min={1}
          pointer={`${pointer}/value`}
          error={said(errors, `${pointer}/value`)}
          value={value.value}
          onChange={(number) => onChange({ ...value, value: number })}
        />
        <Select
          label="Unit"
          size="medium"
          items={[
            { id: 'days', name: 'days' },
            { id: 'weeks', name: 'weeks' },
            { id: 'months', name: 'months' },
          ]}
          value={value.unit}
          onChange={(next) =>
            onChange({ ...value, unit: next as Unit, align: next === 'days' ? 'trailing' : value.align })
          }
        />
      </div>
      {value.unit !== 'days' && (
        <Checkbox
          label={`Whole calendar ${unit} only`}
          description={value.unit === 'weeks' ? 'From Monday to Sunday.' : 'From the first to the last of the month.'}
          checked={value.align === 'calendar'}
          onChange={(whole) => onChange({ ...value, align: whole ? 'calendar' : 'trailing' })}
        />
      )}
      <Checkbox
        label="Wait 2 days for Amazon’s data to be complete"
        description="Amazon promises a day’s data within 48 hours."
        checked={value.dataDelayDays > 0}
        onChange={(wait) => onChange({ ...value, dataDelayDays: wait ? 2 : 0 })}
      />
    </div>
  )
}
