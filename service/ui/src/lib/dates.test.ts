import { describe, expect, test } from 'vitest'
import {
  daysOf,
  durationText,
  localText,
  offsetText,
  rangeText,
  shortRange,
  spanText,
  whenText,
  windowText,
  zones,
} from './dates'

describe('a window in words', () => {
  test.each([
    ['2026-03-01', '2026-03-07', '1 to 7 March 2026, 7 days'],
    ['2026-02-28', '2026-03-06', '28 February to 6 March 2026, 7 days'],
    ['2025-12-30', '2026-01-05', '30 December 2025 to 5 January 2026, 7 days'],
    ['2026-03-01', '2026-03-01', '1 March 2026, 1 day'],
    ['2023-01-01', '2025-12-31', '1 January 2023 to 31 December 2025, 1,096 days'],
  ])('%s to %s', (from, to, said) => {
    expect(windowText(from, to)).toBe(said)
  })

  test('counts both ends, over changes of clocks and leap days', () => {
    expect(daysOf('2026-03-07', '2026-03-09')).toBe(3)
    expect(daysOf('2024-02-28', '2024-03-01')).toBe(3)
    expect(rangeText('2024-02-29', '2024-02-29')).toBe('29 February 2024')
  })
})

test('a run is told by the clocks of its zone, not of the reader’s', () => {
  expect(localText('2026-03-09T09:00:00-04:00')).toBe('Mon 9 Mar 2026, 09:00')
  expect(localText('2026-12-31T23:30:00+13:00')).toBe('Thu 31 Dec 2026, 23:30')
})

test('how long something takes is told as long as somebody waits', () => {
  expect([0, 20, 90, 3600, 5400, 86_400, 300_000].map(durationText)).toEqual([
    '1 s',
    '20 s',
    '2 min',
    '1 h',
    '1 h 30 min',
    '24 h',
    '3 days',
  ])
  expect(spanText(180, 720)).toBe('3 to 12 min')
  expect(spanText(20, 720)).toBe('20 s to 12 min')
  expect(spanText(100, 110)).toBe('about 2 min')
  expect(spanText(5400, 7800)).toBe('1 h 30 min to 2 h 10 min')
})

test('zones are those that the browser knows, and UTC', () => {
  expect(zones()).toContain('America/New_York')
  expect(zones().filter((zone) => zone === 'UTC')).toHaveLength(1)
  expect(offsetText('Asia/Kolkata')).toBe('UTC+05:30')
  expect(offsetText('America/New_York', new Date('2026-07-01'))).toBe('UTC−04:00')
  expect(offsetText('Nowhere/Land')).toBe('')
})

test('a moment near now is told by its day, and by the date else', () => {
  const now = new Date(2026, 10, 23, 15, 0)
  const at = (day: number, hour: number) => new Date(2026, 10, day, hour, 5).toISOString()
  expect([at(22, 23), at(23, 0), at(24, 9)].map((moment) => whenText(moment, now))).toEqual([
    'Yesterday, 23:05',
    'Today, 00:05',
    'Tomorrow, 09:05',
  ])
  expect(whenText(at(25, 9), now)).toBe('25 Nov 2026, 09:05')
})

test('a range has short months where there is little room', () => {
  expect(shortRange('2025-09-30', '2026-03-05')).toBe('30 Sep 2025 to 5 Mar 2026')
  expect(shortRange('2026-05-01', '2026-05-31')).toBe('1 to 31 May 2026')
})
