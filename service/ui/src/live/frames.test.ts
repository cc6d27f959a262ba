import { describe, expect, test } from 'vitest'
import { FrameReader } from './frames'

describe('frames', () => {
  test('are the same however the text is cut', () => {
    const text =
      'retry: 2000\n\nid: 7\nevent: segment.started\ndata: {"a":\ndata: 1}\n\n: keep-alive\n\nevent: caught-up\ndata: {}\n\n'
    const whole = new FrameReader().push(text)
    expect(whole).toEqual([
      { id: '7', event: 'segment.started', data: '{"a":\n1}' },
      { id: null, event: 'caught-up', data: '{}' },
    ])
    for (let cut = 1; cut < text.length; cut++) {
      const reader = new FrameReader()
      expect([...reader.push(text.slice(0, cut)), ...reader.push(text.slice(cut))]).toEqual(whole)
    }
  })

  test('take lines that end as on Windows, also where they are cut in two', () => {
    const reader = new FrameReader()
    expect(reader.push('id: 1\r\nevent: a\r\ndata: x\r\n\r')).toEqual([])
    expect(reader.push('\n')).toEqual([{ id: '1', event: 'a', data: 'x' }])
  })
})
