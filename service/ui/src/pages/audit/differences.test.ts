import { expect, test } from 'vitest'
import { differences, grouped, listChange } from './differences'

test('what is different is named down to the value', () => {
  const before = { window: { value: 7, unit: 'days' }, asins: ['A'], note: 'x', same: 1, empty: {} }
  const after = { window: { value: 14, unit: 'days' }, asins: ['A', 'B'], more: true, same: 1, empty: null }
  expect(differences(before, after)).toEqual([
    { path: ['window', 'value'], kind: 'changed', before: 7, after: 14 },
    { path: ['asins'], kind: 'changed', before: ['A'], after: ['A', 'B'] },
    { path: ['note'], kind: 'removed', before: 'x', after: undefined },
    { path: ['more'], kind: 'added', before: undefined, after: true },
  ])
})

test('a value in the place of an object is one change', () => {
  expect(differences({ a: { b: 1 } }, { a: 2 })).toEqual([{ path: ['a'], kind: 'changed', before: { b: 1 }, after: 2 }])
  expect(differences(false, true)).toEqual([{ path: [], kind: 'changed', before: false, after: true }])
})

test('of a list the values that came and went', () => {
  expect(listChange(['A', 'B'], ['B', 'C', 'D'])).toEqual({ added: ['C', 'D'], removed: ['A'] })
  expect(listChange(['A', 'B'], ['B', 'A'])).toBeNull()
  expect(listChange('A', ['A'])).toBeNull()
  expect(listChange([{ a: 1 }], [])).toBeNull()
})

test('changes are put together by what they are of', () => {
  const groups = grouped([
    { of: 'reports', key: '1', field: 'stream_version', before: 1, after: 2 },
    { of: 'reports', key: '1', field: 'next_step', before: 'parameters', after: 'schedule' },
    { of: 'report.parameters_set', key: null, field: null, before: null, after: { timezone: 'UTC', parameters: {} } },
    { of: 'report_steps', key: '1', field: 'updated_at', before: 'a', after: 'b' },
  ])
  expect(groups.map(({ of, isNew, found }) => [of, isNew, found.map((each) => each.path.join())])).toEqual([
    ['reports', false, ['next_step']],
    ['report.parameters_set', true, ['timezone']],
  ])
})
