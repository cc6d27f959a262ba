/** Days and times of a form, typed or taken from a calendar. Values are the API's texts, so that a form can keep them. */
import {
  type CalendarDate,
  type CalendarDateTime,
  parseDate,
  parseDateTime,
  parseTime,
  Time,
} from '@internationalized/date'
import type { ReactNode } from 'react'
import {
  DateInput as AriaDateInput,
  Button,
  Calendar,
  CalendarCell,
  CalendarGrid,
  DatePicker,
  DateRangePicker,
  DateSegment,
  Dialog,
  Group,
  Heading,
  Label,
  Popover,
  RangeCalendar,
  Text,
  TimeField,
} from 'react-aria-components'
import { useMedia } from '../lib/media'
import styles from './Dates.module.css'
import { type FieldProps, fieldId, fieldStyles } from './Field'
import overlay from './overlay.module.css'

type Bounds = { min?: string | undefined; max?: string | undefined }

/** The value, or null while it is no whole date. */
function read<T>(parse: (text: string) => T, text: string | null | undefined): T | null {
  try {
    return text ? parse(text) : null
  } catch {
    return null
  }
}

function bounds({ min, max }: Bounds) {
  return { minValue: read(parseDate, min), maxValue: read(parseDate, max) }
}

/** A field's words around its control. */
function Words({ label, description, error, optional, children }: FieldProps & { children: ReactNode }) {
  return (
    <>
      <Label className={fieldStyles.label ?? ''}>
        {label}
        {optional && <span className={fieldStyles.optional}> (optional)</span>}
      </Label>
      {description && (
        <Text slot="description" className={fieldStyles.description ?? ''}>
          {description}
        </Text>
      )}
      {children}
      {error && (
        <Text slot="errorMessage" className={fieldStyles.error ?? ''}>
          {error}
        </Text>
      )}
    </>
  )
}

function Segments({ slot }: { slot?: 'start' | 'end' }) {
  return (
    <AriaDateInput {...(slot ? { slot } : {})} className={styles.input ?? ''}>
      {(segment) => <DateSegment segment={segment} className={styles.segment ?? ''} />}
    </AriaDateInput>
  )
}

function CalendarButton() {
  return (
    <Button className={styles.open ?? ''} aria-label="Open the calendar">
      <svg
        viewBox="0 0 16 16"
        width="16"
        height="16"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        aria-hidden="true"
      >
        <rect x="2" y="3" width="12" height="11" rx="2" />
        <path d="M2 6.5h12M5.5 1.5v3M10.5 1.5v3" />
      </svg>
    </Button>
  )
}

function CalendarHead() {
  return (
    <header className={styles.head}>
      <Button slot="previous" className={styles.open ?? ''}>
        <span aria-hidden="true">‹</span>
      </Button>
      <Heading />
      <Button slot="next" className={styles.open ?? ''}>
        <span aria-hidden="true">›</span>
      </Button>
    </header>
  )
}

function Days({ offset = 0 }: { offset?: number }) {
  return (
    <CalendarGrid offset={{ months: offset }}>
      {(date) => <CalendarCell date={date} className={styles.cell ?? ''} />}
    </CalendarGrid>
  )
}

function Opened({ children }: { children: ReactNode }) {
  return (
    <Popover className={`${overlay.popover} ${styles.popover}`} offset={4}>
      <Dialog aria-label="Calendar">{children}</Dialog>
    </Popover>
  )
}

/** What is within a date's field: its parts to be typed, and the calendar that opens. */
function OneDay(words: FieldProps) {
  return (
    <>
      <Words {...words}>
        <Group className={`${fieldStyles.input} ${styles.box}`}>
          <Segments />
          <CalendarButton />
        </Group>
      </Words>
      <Opened>
        <Calendar className={styles.single ?? ''}>
          <CalendarHead />
          <div className={styles.months}>
            <Days />
          </div>
        </Calendar>
      </Opened>
    </>
  )
}

type DateInputProps = FieldProps & Bounds & { value: string | null; onChange: (value: string | null) => void }

export function DateInput({ value, onChange, min, max, pointer, ...words }: DateInputProps) {
  return (
    <div id={pointer && fieldId(pointer)}>
      <DatePicker
        className={fieldStyles.field ?? ''}
        value={read(parseDate, value)}
        onChange={(date) => onChange(date?.toString() ?? null)}
        isInvalid={Boolean(words.error)}
        {...bounds({ min, max })}
      >
        <OneDay {...words} />
      </DatePicker>
    </div>
  )
}

/** A day and a time, `2026-03-01T09:00:00`. */
export function DateTimeInput({ value, onChange, pointer, ...words }: Omit<DateInputProps, keyof Bounds>) {
  return (
    <div id={pointer && fieldId(pointer)}>
      <DatePicker<CalendarDateTime>
        className={fieldStyles.field ?? ''}
        granularity="second"
        hourCycle={24}
        value={read(parseDateTime, value)}
        onChange={(time) => onChange(time?.toString() ?? null)}
        isInvalid={Boolean(words.error)}
      >
        <OneDay {...words} />
      </DatePicker>
    </div>
  )
}

type RangeInputProps = FieldProps &
  Bounds & { start: string | null; end: string | null; onChange: (start: string | null, end: string | null) => void }

/** A first and a last day, both included. */
export function DateRangeInput({ start, end, onChange, min, max, pointer, ...words }: RangeInputProps) {
  const wide = useMedia('(min-width: 40rem)')
  const [from, to] = [read(parseDate, start), read(parseDate, end)]
  return (
    <div id={pointer && fieldId(pointer)}>
      <DateRangePicker<CalendarDate>
        className={fieldStyles.field ?? ''}
        value={from && to ? { start: from, end: to } : null}
        onChange={(range) => onChange(range?.start.toString() ?? null, range?.end.toString() ?? null)}
        isInvalid={Boolean(words.error)}
        {...bounds({ min, max })}
      >
        <Words {...words}>
          <Group className={`${fieldStyles.input} ${styles.box} ${styles.range}`}>
            <Segments slot="start" />
            <span aria-hidden="true">to</span>
            <Segments slot="end" />
            <CalendarButton />
          </Group>
        </Words>
        <Opened>
          <RangeCalendar visibleDuration={{ months: wide ? 2 : 1 }}>
            <CalendarHead />
            <div className={styles.months}>
              <Days />
              {wide && <Days offset={1} />}
            </div>
          </RangeCalendar>
        </Opened>
      </DateRangePicker>
    </div>
  )
}

/** A time of the day, `HH:MM`, in 24 hours. */
export function TimeInput({
  value,
  onChange,
  pointer,
  ...words
}: FieldProps & { value: string | null; onChange: (value: string | null) => void }) {
  return (
    <div id={pointer && fieldId(pointer)}>
      <TimeField<Time>
        className={fieldStyles.field ?? ''}
        hourCycle={24}
        shouldForceLeadingZeros
        value={read(parseTime, value)}
        onChange={(time) => onChange(time ? new Time(time.hour, time.minute).toString().slice(0, 5) : null)}
        isInvalid={Boolean(words.error)}
      >
        <Words {...words}>
          <div className={`${fieldStyles.input} ${styles.box}`}>
            <Segments />
          </div>
        </Words>
      </TimeField>
    </div>
  )
}
