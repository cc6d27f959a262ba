/** A time zone, by search. */
import { useMemo } from 'react'
import type { ZoneName } from '../api/types'
import { offsetText, zones } from '../lib/dates'
import type { FieldProps } from './Field'
import { type Item, Search } from './Select'

export function ZoneField({
  value,
  onChange,
  ...field
}: FieldProps & { value: string; onChange: (zone: ZoneName) => void }) {
  const items = useMemo<Item[]>(() => {
    // What is chosen and the reader's own come first; the rest is found by typing.
    const own = new Intl.DateTimeFormat().resolvedOptions().timeZone
    const all = [...new Set([value, own, 'UTC', ...zones()])]
    return all.map((zone) => ({ id: zone, name: zone.replaceAll('_', ' '), detail: offsetText(zone) }))
  }, [value])
  return (
    <Search
      {...field}
      items={items}
      value={value}
      // The API knows every zone that browsers do.
      onChange={(zone) => onChange(zone as ZoneName)}
      nothing="No zone by that name. Try a large city."
    />
  )
}
