/** Accounts and instances in words. */
import type { Account, Instance } from '../../api/types'
import { Tag } from '../../components/Tag'
import { LOCALE } from '../../lib/locale'
import { ACCOUNT_STATUSES, REGIONS } from '../../words'

export function InstanceTag({ instance }: { instance: Instance }) {
  if (instance.held_by) return <Tag look="bad">Nothing runs</Tag>
  if (instance.failing?.resting_until) return <Tag look="care">Amazon fails on it</Tag>
  if (instance.failing) return <Tag look="care">Some calls failed</Tag>
  return <Tag look="good">Ready</Tag>
}

export function AccountTag({ account }: { account: Account }) {
  const look = ({ connected: 'good', reconnect: 'bad', disconnected: 'plain' } as const)[account.status]
  return <Tag look={look}>{ACCOUNT_STATUSES[account.status]}</Tag>
}

/** That of the settings has no name of its own. */
export function accountName({ account_id: id, name }: Pick<Account, 'account_id' | 'name'>): string {
  return id === 'default' ? 'The service’s own account' : name
}

/** One that is none of Amazon's is known by its address. */
export function regionText({ region, base_url: address }: Account): string {
  return region ? REGIONS[region] : new URL(address).host
}

/** `3 of 10 in use` */
export function slotsText(inUse: number, most: number | null): string {
  const used = inUse.toLocaleString(LOCALE)
  return most === null ? `${used} in use, no limit` : `${used} of ${most.toLocaleString(LOCALE)} in use`
}

/** `At most 5 calls a second`; slower while Amazon asks for it. */
export function paceText({ pace, requests_per_second: most }: Account): string {
  const rate = (number: number) => number.toLocaleString(LOCALE, { maximumFractionDigits: 1 })
  if (pace && pace.requests_per_second < most)
    return `${rate(pace.requests_per_second)} of ${rate(most)} calls a second`
  return `${rate(most)} calls a second`
}
