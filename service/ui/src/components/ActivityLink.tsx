/** Where one sees what has happened to a thing, for those who may. */
import { Link } from 'react-router'
import { useMay } from '../api/may'
import { activityAddress } from '../lib/addresses'

export function ActivityLink({ stream }: { stream: string }) {
  return useMay('audit:read') ? <Link to={activityAddress(stream)}>Activity</Link> : null
}
