import { expect, test } from 'vitest'
import type { ResultVersion } from '../../api/types'
import { versionsOf } from './again'

test('days that were fetched once are left out, the newest come first', () => {
  const of = (day: string, version: number) => ({ week_start: day, week_end: day, version }) as ResultVersion
  const items = [
    of('2026-03-01', 1),
    of('2026-03-02', 1),
    of('2026-03-02', 2),
    of('2026-03-03', 1),
    of('2026-03-03', 2),
  ]
  expect(versionsOf(items).map((each) => [each.week_start, each.version])).toEqual([
    ['2026-03-03', 2],
    ['2026-03-03', 1],
    ['2026-03-02', 2],
    ['2026-03-02', 1],
  ])
})
