/** Reads again what a write has changed; the answer has it, as reads wait for what this tab has written. */
import type { QueryClient } from '@tanstack/react-query'

const again = async (client: QueryClient, ...keys: string[][]) => {
  await Promise.all(keys.map((queryKey) => client.invalidateQueries({ queryKey })))
}

export const instanceAgain = (client: QueryClient, id: string) => again(client, ['instance', id], ['instances'])

export const accountAgain = (client: QueryClient, id: string) =>
  again(client, ['account', id], ['accounts'], ['instances'], ['instance'])

export const teamAgain = (client: QueryClient) => again(client, ['team'])
