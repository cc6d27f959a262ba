import { expect, test } from 'vitest'
import { FieldErrors } from '../api/problems'
import { summarised } from './ErrorSummary'

const FIELDS = [
  { pointer: '/parameters/asins', name: 'asins' },
  { pointer: '/lookback_config', name: 'Window' },
  { pointer: '/lookback_config/value', name: 'Number' },
]

test('a list with many bad lines is one line of the summary', () => {
  const errors = new FieldErrors(
    Array.from({ length: 400 }, (_, line) => ({ pointer: `/parameters/asins/${line}`, message: 'is no ASIN' })),
  )
  expect(summarised(errors, FIELDS).map((line) => line.text)).toEqual(['asins: 400 values need another look.'])
})

test('two things that are said of one field are two lines', () => {
  const errors = new FieldErrors([
    { pointer: '/sql_query', message: 'holds {{asins}}' },
    { pointer: '/sql_query', message: 'reads brand, which is not declared' },
  ])
  expect(summarised(errors, [{ pointer: '/sql_query', name: 'SQL' }]).map((line) => line.text)).toEqual([
    'SQL: it holds {{asins}}.',
    'SQL: it reads brand, which is not declared.',
  ])
})

test('a problem with the whole of a thing may have another field than those within it', () => {
  const fields = [
    { pointer: '/schedule_config', exact: true as const, name: 'Window of each run', to: '/parameters' },
    { pointer: '/schedule_config', name: 'Schedule', to: '/schedule' },
  ]
  const errors = new FieldErrors([
    { pointer: '/schedule_config', message: 'the run of 2027-01-04 needs days that AMC does not have then' },
    { pointer: '/schedule_config/time', message: 'is missing' },
  ])
  expect(summarised(errors, fields).map(({ field, text }) => [field?.to, text])).toEqual([
    ['/parameters', 'Window of each run: the run of 2027-01-04 needs days that AMC does not have then.'],
    ['/schedule', 'Schedule: it is missing.'],
  ])
})

test('each problem goes to the nearest field, and one without a field is told all the same', () => {
  const lines = summarised(
    new FieldErrors([
      { pointer: '/lookback_config/value', message: 'must be at least 1' },
      { pointer: '/lookback_config/endDate', message: 'is before the start' },
      { pointer: '/unknown', message: 'is not taken' },
    ]),
    FIELDS,
  )
  expect(lines.map(({ field, text }) => [field?.pointer ?? null, text])).toEqual([
    ['/lookback_config/value', 'Number: it must be at least 1.'],
    ['/lookback_config', 'Window: it is before the start.'],
    [null, 'It is not taken.'],
  ])
})
