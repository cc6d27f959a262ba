import { expect, test } from 'vitest'
import { nextRead } from './again'

test('rows are read again ten seconds later, and at once when all is over', () => {
  expect(nextRead({ dataUpdatedAt: 5000, errorUpdatedAt: 0, over: false })).toBe(15_000)
  expect(nextRead({ dataUpdatedAt: 5000, errorUpdatedAt: 4000, over: true })).toBe(5000)
})

test('a read that failed is followed by a pause that grows, also when all is over', () => {
  for (const over of [false, true]) {
    const pauses = []
    let failed = 15_000
    for (let turn = 0; turn < 6; turn++) {
      const next = nextRead({ dataUpdatedAt: 5000, errorUpdatedAt: failed, over })
      pauses.push(next - failed)
      failed = next
    }
    expect(pauses).toEqual([10_000, 20_000, 40_000, 80_000, 120_000, 120_000])
  }
})
