import { expect, test } from 'vitest'
import { accountQuery, logQuery } from './queries'

test('what could not be read is read again later, and not given up', () => {
  for (const { refetchInterval } of [accountQuery('a'), logQuery]) {
    const after = typeof refetchInterval === 'function' && refetchInterval({ state: { error: new Error() } } as never)
    expect(after).toBe(30_000)
  }
})
