import { describe, expect, test } from 'vitest'
import { dropDraft, readDraft, saysTheSame, writeDraft } from './drafts'

function storage(fails = false): Storage {
  const kept = new Map<string, string>()
  const refuse = () => {
    if (fails) throw new DOMException('full', 'QuotaExceededError')
  }
  return {
    get length() {
      return kept.size
    },
    clear: () => kept.clear(),
    key: (index) => [...kept.keys()][index] ?? null,
    getItem: (key) => {
      refuse()
      return kept.get(key) ?? null
    },
    setItem: (key, value) => {
      refuse()
      kept.set(key, value)
    },
    removeItem: (key) => {
      refuse()
      kept.delete(key)
    },
  }
}

describe('what was typed', () => {
  test('is there again under its name, and under no other', () => {
    const session = storage()
    writeDraft(session, 'report:parameters', { base: 'null', values: { text: 'B1\nB2' } })
    expect(readDraft(session, 'report:parameters')).toEqual({ base: 'null', values: { text: 'B1\nB2' } })
    expect(readDraft(session, 'report:schedule')).toBeNull()
    dropDraft(session, 'report:parameters')
    expect(readDraft(session, 'report:parameters')).toBeNull()
  })

  test('is nothing where the storage holds something else', () => {
    const session = storage()
    for (const text of ['', '{', '[]', 'null', '"x"', '{"values": {}}']) {
      session.setItem('report-builder:draft:x', text)
      expect(readDraft(session, 'x')).toBeNull()
    }
  })

  test('is known where it is saved by now', () => {
    const typed = { id: 'w', zone: null, values: { asins: 'B1 \nB2\n', note: 'x', empty: '' }, days: [1, 2] }
    const saved = { values: { note: 'x', asins: 'B1\nB2' }, days: [1, 2], zone: null, id: 'w' }
    expect(saysTheSame(typed, saved)).toBe(true)
    expect(saysTheSame(typed, { ...saved, values: { ...saved.values, note: 'y' } })).toBe(false)
    expect(saysTheSame(typed, { ...saved, days: [2, 1] })).toBe(false)
    expect(saysTheSame({ list: 'Shoes, men\n' }, { list: 'Shoes, men' })).toBe(false)
  })

  test('is not kept where the browser forbids it, and nothing fails', () => {
    const session = storage(true)
    writeDraft(session, 'x', { base: '', values: {} })
    dropDraft(session, 'x')
    expect(readDraft(session, 'x')).toBeNull()
  })
})
