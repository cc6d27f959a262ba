/** That what is shown may be old, as it could not be read again. */
import type { UseQueryResult } from '@tanstack/react-query'
import { timeText } from '../lib/dates'
import { Button } from './Button'

export type Rereadable = Pick<UseQueryResult, 'data' | 'error' | 'dataUpdatedAt' | 'isFetching'> & {
  refetch: () => unknown
}

export function Reread({ query: { data, error, dataUpdatedAt, isFetching, refetch } }: { query: Rereadable }) {
  if (data === undefined || !error) return null
  return (
    <div className="row" role="status">
      <span>Could not be read again since {timeText(new Date(dataUpdatedAt).toISOString())}.</span>
      <Button look="quiet" busy={isFetching} onClick={() => void refetch()}>
        Try again
      </Button>
    </div>
  )
}
