import { expect, test } from 'vitest'
import { monthBars } from './months'

test('windows lie in the months that they touch, at their days', () => {
  const months = monthBars([
    { start: '2026-01-26', end: '2026-02-01' },
    { start: '2026-02-02', end: '2026-02-08' },
  ])
  expect(
    months.map(({ year, month, bars }) => [year, month, bars.map(({ index, from, to }) => [index, from, to])]),
  ).toEqual([
    [2026, 1, [[0, 26, 31]]],
    [
      2026,
      2,
      [
        [0, 1, 1],
        [1, 2, 8],
      ],
    ],
  ])
})

test('months come in order, whatever order the windows have', () => {
  const months = monthBars([
    { start: '2026-02-01', end: '2026-02-28' },
    { start: '2025-11-15', end: '2025-12-31' },
  ])
  expect(months.map(({ year, month }) => `${year}-${month}`)).toEqual(['2025-11', '2025-12', '2026-2'])
})
