import { describe, expect, test } from 'vitest'
import type { LiveEvent } from './news'
import { EVERYWHERE, keysOf } from './rules'

const event = (type: string, stream: string, data = {}): LiveEvent => ({
  position: 1,
  type,
  stream,
  time: '2026-03-01T00:00:00Z',
  user: null,
  data,
})

describe('what is read again', () => {
  test('is what the events are about, each once', () => {
    const events = [
      event('segment.started', 'segment-s1', { collection_id: 'c1' }),
      event('segment.completed', 'segment-s2', { collection_id: 'c1' }),
      event('schedule.paused', 'schedule-x-y'),
    ]
    expect(keysOf(EVERYWHERE, events)).toEqual([
      ['collection', 'c1'],
      ['collections'],
      ['schedule', 'x-y'],
      ['schedules'],
    ])
  })

  test('is a report only where it was submitted: while it is edited its page knows more', () => {
    expect(keysOf(EVERYWHERE, [event('report.parameters_set', 'report-r')])).toEqual([['reports']])
    expect(keysOf(EVERYWHERE, [event('report.submitted', 'report-r')])).toContainEqual(['report', 'r'])
  })
})
