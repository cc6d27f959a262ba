import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { EVENTS, pathText, valueText } from './words'

test('every event that the service records has words', () => {
  const types = readdirSync(new URL('../../../../../docs/schemas', import.meta.url))
  expect(types.length).toBeGreaterThan(50)
  expect(types.filter((type) => !(type in EVENTS))).toEqual([])
})

test('fields and values are said in the words that people see', () => {
  expect(pathText(['lookback_config', 'value'])).toBe('Window of each run: value')
  expect(pathText(['schedule', 'backfill_config', 'segmentation_config', 'type'])).toBe('History: periods: type')
  expect(pathText(['parameters', 'least_clicks'])).toBe('Parameters: least_clicks')
  expect(pathText(['segments_failed'])).toBe('Periods failed')
  expect([valueText('type', 'weekly'), valueText('name', 'weekly'), valueText(undefined, 'x')]).toEqual([
    'Weeks',
    'weekly',
    'x',
  ])
})
