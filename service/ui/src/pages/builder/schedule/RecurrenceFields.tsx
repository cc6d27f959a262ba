import { DateInput, TimeInput } from '../../../components/Dates'
import { Details } from '../../../components/Details'
import { Choice, NumberInput, Several } from '../../../components/Field'
import { Select } from '../../../components/Select'
import { ZoneField } from '../../../components/ZoneField'
import { CATCH_UPS, FREQUENCIES, OVERLAPS, WEEKDAYS } from '../../../words'
import styles from '../Builder.module.css'
import type { ScheduleDraft } from './draft'
import type { FormPart } from './form'

const DAYS = WEEKDAYS.map((name, index) => ({ value: String(index + 1), label: name.slice(0, 3) }))

export function RecurrenceFields({
  values,
  change,
  error,
  errors,
  zone,
  reportZone,
}: FormPart & { zone: string; reportZone: string }) {
  return (
    <>
      <Choice
        label="How often"
        look="chips"
        pointer="/schedule_config/frequency"
        options={Object.entries(FREQUENCIES).map(([value, label]) => ({
          value: value as ScheduleDraft['frequency'],
          label,
        }))}
        value={values.frequency}
        onChange={(frequency) => change({ frequency })}
      />
      {values.frequency === 'weekly' && (
        <Several
          label="Days"
          pointer="/schedule_config/daysOfWeek"
          error={error('/schedule_config/daysOfWeek')}
          options={DAYS}
          values={values.days.map(String)}
          onChange={(days) => change({ days: days.map(Number) })}
        />
      )}
      {values.frequency === 'monthly' && (
        <NumberInput
          label="Day of the month"
          description="In a shorter month it runs on the last day."
          min={1}
          max={31}
          pointer="/schedule_config/dayOfMonth"
          error={error('/schedule_config/dayOfMonth')}
          value={values.dayOfMonth}
          onChange={(dayOfMonth) => change({ dayOfMonth })}
        />
      )}
      <div className={styles.pair}>
        <TimeInput
          label="Time"
          pointer="/schedule_config/time"
          error={error('/schedule_config/time')}
          value={values.time}
          onChange={(time) => change({ time })}
        />
        <div className={styles.grow}>
          <ZoneField
            label="Time zone"
            pointer="/schedule_config/timezone"
            error={error('/schedule_config/timezone')}
            value={zone}
            onChange={(next) => change({ timezone: next === reportZone ? null : next })}
          />
        </div>
      </div>
      <Details
        summary="More about the schedule"
        wrong={FOLDED.some((name) => errors.within(`/schedule_config/${name}`).length > 0)}
      >
        <div className={styles.pair}>
          <DateInput
            label="First day"
            optional
            pointer="/schedule_config/startDate"
            error={error('/schedule_config/startDate')}
            value={values.startDate}
            onChange={(startDate) => change({ startDate })}
          />
          <DateInput
            label="Last day"
            optional
            pointer="/schedule_config/endDate"
            error={error('/schedule_config/endDate')}
            value={values.endDate}
            onChange={(endDate) => change({ endDate })}
          />
        </div>
        <NumberInput
          label="Ends after"
          optional
          unit="runs"
          min={1}
          pointer="/schedule_config/maxRuns"
          error={error('/schedule_config/maxRuns')}
          value={values.maxRuns}
          onChange={(maxRuns) => change({ maxRuns })}
        />
        <Select
          label="When a run comes due while the one before is not done"
          items={entries(OVERLAPS)}
          value={values.overlap}
          onChange={(overlap) => change({ overlap: overlap as ScheduleDraft['overlap'] })}
        />
        <Select
          label="Runs that were missed in an outage or a pause"
          items={entries(CATCH_UPS)}
          value={values.catchup}
          onChange={(catchup) => change({ catchup: catchup as ScheduleDraft['catchup'] })}
        />
      </Details>
    </>
  )
}

const FOLDED = ['startDate', 'endDate', 'maxRuns']

export function entries(words: Record<string, string>) {
  return Object.entries(words).map(([id, name]) => ({ id, name }))
}
