/** What can be done to a collection. Each is sent once, and what it answers is taken over. */
import { useQueryClient } from '@tanstack/react-query'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { isProblem } from '../../api/problems'
import { progressQuery } from '../../api/queries'
import type { ChangeCollection, Progress } from '../../api/types'
import { announce } from '../../shell/announce'

type Read = Progress & { position: number }

export type Act =
  | { do: 'pause' | 'resume' | 'cancel' | 'front'; reason?: string }
  | { do: 'front-period'; segmentId: string }
  | { do: 'retry'; segmentIds: string[] | null }
  | { do: 'split'; segmentId: string }
  | { do: 'change'; change: ChangeCollection; version: number }

/** `told` gets what was done, in a sentence. */
export function useAct(collectionId: string, told: (sentence: string) => void) {
  const client = useQueryClient()
  const { queryKey } = progressQuery(collectionId)
  const say = (sentence: string) => {
    told(sentence)
    announce(sentence)
  }
  return useCommand<{ act: Act; says: string }, { position: number }, Read | undefined>(
    ({ act }, key) => send(collectionId, act, key),
    {
      // At once, where the other button takes it back; all else waits for the answer.
      onMutate: async ({ act }) => {
        if (act.do !== 'pause' && act.do !== 'resume') return undefined
        await client.cancelQueries({ queryKey })
        const before = client.getQueryData(queryKey)
        client.setQueryData(queryKey, (progress) => {
          if (!progress) return undefined
          const paused = act.do === 'pause' ? { by: null, at: new Date().toISOString(), reason: null } : null
          const held = act.do === 'resume' ? null : progress.collection.held
          return { ...progress, collection: { ...progress.collection, paused, held } }
        })
        return before
      },
      onSuccess: (_, { says }) => {
        say(says)
        void client.invalidateQueries({ queryKey })
        void client.invalidateQueries({ queryKey: ['timeline', collectionId] })
        void client.invalidateQueries({ queryKey: ['collection', collectionId] })
      },
      onError: (error, { act }, before) => {
        if (before && (act.do === 'pause' || act.do === 'resume')) client.setQueryData(queryKey, before)
        if (isProblem(error)) void client.invalidateQueries({ queryKey })
      },
    },
  )
}

function send(collectionId: string, act: Act, key: string): Promise<{ position: number }> {
  const params = { path: { collection_id: collectionId } }
  const headers = writing(key)
  switch (act.do) {
    case 'pause':
      return answered(api.POST('/api/data-collections/{collection_id}/pause', { params, headers, body: {} }))
    case 'resume':
      return answered(api.POST('/api/data-collections/{collection_id}/resume', { params, headers, body: {} }))
    case 'cancel': {
      const body = act.reason ? { reason: act.reason } : {}
      return answered(api.POST('/api/data-collections/{collection_id}/cancel', { params, headers, body }))
    }
    case 'front':
      return answered(api.POST('/api/data-collections/{collection_id}/front', { params, headers, body: {} }))
    case 'front-period':
      return answered(
        api.POST('/api/data-collections/{collection_id}/front', {
          params,
          headers,
          body: { segment_id: act.segmentId },
        }),
      )
    case 'retry': {
      const body = act.segmentIds ? { segment_ids: act.segmentIds } : {}
      return answered(api.POST('/api/data-collections/{collection_id}/retry', { params, headers, body }))
    }
    case 'split':
      return answered(
        api.POST('/api/data-collections/{collection_id}/split', {
          params,
          headers,
          body: { segment_id: act.segmentId },
        }),
      )
    case 'change':
      return answered(
        api.PATCH('/api/data-collections/{collection_id}', {
          params,
          headers: writing(key, act.version),
          body: act.change,
        }),
      )
  }
}
