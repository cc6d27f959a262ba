/** A list that comes page by page: all its states around what `children` make of what is there. */
import type { ReactNode } from 'react'
import { Button } from './Button'
import { Failed, Loading } from './States'

type Infinite<Item> = {
  data: { pages: readonly { items: readonly Item[] }[] } | undefined
  error: Error | null
  hasNextPage: boolean
  isFetchingNextPage: boolean
  isFetchNextPageError: boolean
  isPlaceholderData: boolean
  fetchNextPage: () => Promise<unknown>
  refetch: () => Promise<unknown>
}

type PagesProps<Item> = {
  list: Infinite<Item>
  /** In the place of an empty list. */
  empty: ReactNode
  /** What leads on: `Show older reports`. */
  more: string
  children: (items: readonly Item[]) => ReactNode
}

export function Pages<Item>({ list, empty, more, children }: PagesProps<Item>) {
  const items = list.data?.pages.flatMap((page) => page.items)
  if (!items) return list.error ? <Failed error={list.error} retry={() => void list.refetch()} /> : <Loading />
  if (items.length === 0 && !list.hasNextPage) return empty
  return (
    <div className="stack" aria-busy={list.isPlaceholderData}>
      {children(items)}
      {list.error && <Failed error={list.error} retry={() => void list.refetch()} />}
      {list.hasNextPage && (
        <div>
          <Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {more}
          </Button>
        </div>
      )}
    </div>
  )
}
