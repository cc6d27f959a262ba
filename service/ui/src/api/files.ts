/** Files that the browser fetches by itself: a link can send no header, and names the team in its address. */
import { access } from './client'

export const FILES = [
  { format: 'csv', name: 'CSV' },
  { format: 'xlsx', name: 'Excel' },
  { format: 'parquet', name: 'Parquet' },
  { format: 'json', name: 'JSON' },
] as const

export function fileAddress(path: string, query: Record<string, string>): string {
  const { team } = access.get()
  return `${path}?${new URLSearchParams({ ...query, ...(team ? { for_team: team } : {}) })}`
}

/** The rows of a report, over its history and its runs. */
export function reportAddress(reportId: string, format: (typeof FILES)[number]['format']): string {
  return fileAddress(`/api/reports/${reportId}/results`, { format })
}

/** The rows of one collection. */
export function rowsAddress(collectionId: string, format: (typeof FILES)[number]['format']): string {
  return fileAddress(`/api/data-collections/${collectionId}/results`, { format })
}
