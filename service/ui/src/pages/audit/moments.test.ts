import { expect, test } from 'vitest'
import { placeIn } from './moments'

const EVENTS = [3, 8, 20].map((position, index) => ({ position, recorded_at: `2026-03-0${index + 1}T10:00:00Z` }))
const at = (asked: object, opened = 20) => placeIn(EVENTS, { at: null, time: null, compare: null, ...asked }, opened)

test('it opens at the newest event, compared with the moment before it: others may have changed the thing since its own', () => {
  const moment = { at_position: 20, from_position: 19 }
  expect(at({})).toEqual({ number: 3, exact: true, compared: 2, just: true, moment })
  expect(at({}, 8)).toMatchObject({ number: 2, moment: { at_position: 8, from_position: 7 } })
})

test('the event before can be chosen as well', () => {
  expect(at({ compare: '8' })).toMatchObject({ just: false, moment: { at_position: 20, from_position: 8 } })
})

test('the first event has nothing before it', () => {
  expect(at({ at: '3' })).toEqual({ number: 1, exact: true, compared: 0, just: false, moment: { at_position: 3 } })
})

test('a moment between two events is compared with the last one', () => {
  expect(at({ at: '12' })).toEqual({
    number: 2,
    exact: false,
    compared: 2,
    just: false,
    moment: { at_position: 12, from_position: 8 },
  })
  expect(at({ at: 'now' })).toMatchObject({ number: 3, compared: 3, just: false, moment: { from_position: 20 } })
  expect(at({ time: '2026-03-02T12:00:00Z' })).toMatchObject({
    number: 2,
    moment: { at_time: '2026-03-02T12:00:00Z', from_position: 8 },
  })
})

test('another moment to compare with must be before', () => {
  expect(at({ compare: '3' }).moment).toEqual({ at_position: 20, from_position: 3 })
  expect(at({ at: '8', compare: '20' })).toMatchObject({ compared: 1 })
  expect(at({ time: '2026-01-01T00:00:00Z' })).toMatchObject({ number: 0, compared: 0 })
})
