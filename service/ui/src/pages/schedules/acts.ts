/** What a person does with a schedule. */
import { type QueryClient, useQueryClient } from '@tanstack/react-query'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { COLLECTIONS, SCHEDULES } from '../../api/queries'
import { announce } from '../../shell/announce'

export type Act = 'pause' | 'resume' | 'end' | 'release' | 'run-now'

const SAID: Record<Act, string> = {
  pause: 'Paused',
  resume: 'Resumed',
  end: 'Ended',
  release: 'The schedule starts now',
  'run-now': 'The run has begun',
}

/** Reads a schedule again, and what else shows it. */
export async function readAgain(client: QueryClient, id: string) {
  await Promise.all([
    client.invalidateQueries({ queryKey: ['schedule', id] }),
    client.invalidateQueries({ queryKey: SCHEDULES }),
    client.invalidateQueries({ queryKey: COLLECTIONS }),
  ])
}

export function useAct(id: string) {
  const client = useQueryClient()
  return useCommand<{ act: Act; reason: string }, { position: number }>(
    ({ act, reason }, key) => {
      const request = { params: { path: { schedule_id: id } }, headers: writing(key) }
      const body = reason.trim() ? { reason: reason.trim() } : {}
      switch (act) {
        case 'run-now':
          return answered(api.POST('/api/schedules/{schedule_id}/run-now', { ...request, body: {} }))
        case 'pause':
          return answered(api.POST('/api/schedules/{schedule_id}/pause', { ...request, body }))
        case 'resume':
          return answered(api.POST('/api/schedules/{schedule_id}/resume', { ...request, body }))
        case 'release':
          return answered(api.POST('/api/schedules/{schedule_id}/release', { ...request, body }))
        case 'end':
          return answered(api.POST('/api/schedules/{schedule_id}/end', { ...request, body }))
      }
    },
    {
      onSuccess: async (_, { act }) => {
        announce(SAID[act])
        await readAgain(client, id)
      },
      onError: () => void readAgain(client, id),
    },
  )
}
