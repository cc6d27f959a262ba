/** A write, as a page makes it: sent once whatever happens in between. */
import { type UseMutationOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { useRef } from 'react'
import { randomId } from '../lib/ids'
import { sawPosition } from '../live/live'
import { access } from './client'
import { ConnectionLost, isProblem } from './problems'
import { sessionQuery } from './queries'

/**
 * `send` gets an idempotency key that stays the same while the same is sent again: a double click, or another try after
 * the connection was cut, does nothing twice. Another body, or the next one after a success, gets a key of its own. What is
 * read afterwards has what was written.
 */
export function useCommand<Input, Answer, Before = unknown>(
  send: (input: Input, key: string) => Promise<Answer>,
  options: Omit<UseMutationOptions<Answer, Error, Input, Before>, 'mutationFn'> = {},
) {
  const sent = useRef<{ content: string; key: string; answer: Promise<Answer> | null } | null>(null)
  const client = useQueryClient()
  const post = async (input: Input, key: string) => {
    try {
      return await send(input, key)
    } catch (error) {
      if (!isProblem(error, 'csrf_token_wrong')) throw error
      const session = await client.fetchQuery({ ...sessionQuery, staleTime: 0 })
      access.set({ ...access.get(), csrfToken: session.csrf_token })
      return send(input, key)
    }
  }
  return useMutation<Answer, Error, Input, Before>({
    networkMode: 'always',
    retry: (failures, error) => error instanceof ConnectionLost && failures < 2,
    retryDelay: (failures) => 500 * 2 ** failures,
    ...options,
    mutationFn: async (input) => {
      const content = JSON.stringify(input) ?? ''
      if (sent.current?.content !== content) sent.current = { content, key: randomId(), answer: null }
      const current = sent.current
      // A second click comes before the page knows that the first one is on its way.
      current.answer ??= post(input, current.key).finally(() => {
        current.answer = null
      })
      const answer = await current.answer
      if (sent.current === current) sent.current = null
      sawPosition(positionOf(answer))
      return answer
    },
  })
}

/** The position in the log that the write has answered, 0 where it recorded nothing. */
function positionOf(answer: unknown): number {
  const { position } = (answer ?? {}) as { position?: unknown }
  return typeof position === 'number' ? position : 0
}
