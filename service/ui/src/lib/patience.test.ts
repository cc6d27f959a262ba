import { expect, test } from 'vitest'
import { patiently } from './patience'

/** Fails so often before it comes. */
function loading(failures: number) {
  let tries = 0
  return { load: async () => (tries++ < failures ? Promise.reject(new Error('no')) : 'here'), tries: () => tries }
}

test('what cannot be loaded while the service is away comes once it is back, however often it was tried', async () => {
  const away = [true, true, true, true, true, false]
  const { load } = loading(6)
  expect(await patiently(load, { first: 1, longest: 2, wasAway: async () => away.shift() ?? false })).toBe('here')
})

test('what is not there is given up', async () => {
  const { load, tries } = loading(100)
  await expect(patiently(load, { first: 1, longest: 2, wasAway: async () => false })).rejects.toThrow('no')
  expect(tries()).toBe(3)
})
