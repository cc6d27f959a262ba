/** The first page of a list, where no more of it is needed. */
import { useInfiniteQuery } from '@tanstack/react-query'
import type { lettersQuery } from '../../api/queries'

export function useFirstPage(query: typeof lettersQuery, enabled: boolean) {
  const { data } = useInfiniteQuery({ ...query, enabled })
  return data?.pages[0]?.items
}
