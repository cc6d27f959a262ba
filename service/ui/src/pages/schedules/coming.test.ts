import { expect, test } from 'vitest'
import { ownClock, sameRun } from './coming'

const RUN = { nominal: '2026-12-07T09:00', window_start: '2026-11-29', window_end: '2026-12-05' }

test('a run at the same time of other clocks is another', () => {
  const [berlin, york] = ['2026-12-07T08:00:00Z', '2026-12-07T14:00:00Z']
  expect(sameRun({ ...RUN, utc: berlin }, { ...RUN, utc: '2026-12-07T08:00:00+00:00' })).toBe(true)
  expect(sameRun({ ...RUN, utc: berlin }, { ...RUN, instant: york })).toBe(false)
  expect(sameRun({ ...RUN, utc: berlin }, undefined)).toBe(false)
})

test('the reader’s own time is told where it is another', () => {
  const here = new Date(2026, 11, 7, 9).toISOString()
  const elsewhere = new Date(2026, 11, 7, 14).toISOString()
  expect(ownClock({ ...RUN, utc: here })).toBe('')
  expect(ownClock({ ...RUN, instant: elsewhere })).toBe(elsewhere)
})
