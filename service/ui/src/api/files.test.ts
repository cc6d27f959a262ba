import { afterEach, expect, test } from 'vitest'
import { access } from './client'
import { rowsAddress } from './files'

afterEach(() => access.set({ ...access.get(), team: null }))

test('a link names the team that requests are for', () => {
  expect(rowsAddress('c1', 'csv')).toBe('/api/data-collections/c1/results?format=csv')
  access.set({ ...access.get(), team: 'blue & green' })
  expect(rowsAddress('c1', 'csv')).toBe('/api/data-collections/c1/results?format=csv&for_team=blue+%26+green')
})
