/** What waits for a person, out of all that the overview knows: the gravest first. */
import type { Collection, DeadLetter, Instance, ReportItem, ScheduleSummary } from '../../api/types'
import { resultAddress } from '../../lib/addresses'
import { counted, inOurWords } from '../../words'

export type Waiting = {
  key: string
  look: 'bad' | 'care' | 'plain'
  /** What it is, which the link is named. */
  title: string
  /** Where to see and to mend it; null where no page has it. */
  to: string | null
  /** Why it waits, and what to do. */
  says: string
  /** Its brand. */
  instanceId: string | null
  since: string | null
}

export type Known = {
  results: readonly Collection[]
  instances: readonly Instance[]
  schedules: { active: readonly ScheduleSummary[]; paused: readonly ScheduleSummary[] }
  drafts: { items: readonly ReportItem[]; more: boolean }
  /** Null for those who do not look after them. */
  letters: readonly DeadLetter[] | null
}

export function waiting(known: Known): Waiting[] {
  return [
    ...known.instances.flatMap(ofInstance),
    ...(known.letters ? ofLetters(known.letters) : []),
    ...known.results.flatMap(ofResult),
    ...known.schedules.paused.map(ofPaused),
    ...ofDrafts(known.drafts),
  ]
}

function ofInstance({ instance_id: instanceId, name, held_by: hold, failing, account_id }: Instance): Waiting[] {
  const shared = { title: name, instanceId: null }
  if (hold) {
    return [
      {
        ...shared,
        key: `held ${instanceId}`,
        look: 'bad',
        to: `/accounts/${account_id}`,
        says: `Nothing runs on it: ${hold.reason === 'account_disconnected' ? 'its account is disconnected' : 'Amazon no longer accepts its account'}. Connect the account again.`,
        since: hold.since,
      },
    ]
  }
  if (failing?.resting_until) {
    return [
      {
        ...shared,
        key: `resting ${instanceId}`,
        look: 'care',
        to: `/instances/${instanceId}`,
        says: `Amazon fails on it again and again. It is left alone, and tried from time to time: ${failing.error}`,
        since: null,
      },
    ]
  }
  return []
}

function ofLetters(letters: readonly DeadLetter[]): Waiting[] {
  if (letters.length === 0) return []
  return [
    {
      key: 'letters',
      look: 'bad',
      title: counted(letters.length, 'dead letter'),
      to: '/dead-letters',
      says: 'Work that was given up. Send it again once its cause is gone, or discard it.',
      instanceId: null,
      since: letters.at(-1)?.died_at ?? null,
    },
  ]
}

function ofResult(result: Collection): Waiting[] {
  if (result.finished_at || result.cancelled) return []
  const shared = { title: result.name, to: resultAddress(result), instanceId: result.instance_id }
  if (result.held) {
    const rejected = result.held.cause === 'sql_rejected'
    const why = rejected ? 'Amazon rejects the SQL or its parameters' : 'Too many of its periods have failed'
    return [
      {
        ...shared,
        key: `held ${result.collection_id}`,
        look: 'bad',
        says: `${why}: ${inOurWords(result.held.error)}`,
        since: result.held.at,
      },
    ]
  }
  if (result.paused) {
    const reason = result.paused.reason
    return [
      {
        ...shared,
        key: `paused ${result.collection_id}`,
        look: 'care',
        says: reason ? `Paused: ${reason}` : 'Paused. It goes on when somebody resumes it.',
        since: result.paused.at,
      },
    ]
  }
  return []
}

function ofPaused(schedule: ScheduleSummary): Waiting {
  return {
    key: `paused ${schedule.schedule_id}`,
    look: 'care',
    title: schedule.name,
    to: `/schedules/${schedule.schedule_id}`,
    says: schedule.state_reason ? `Schedule paused: ${schedule.state_reason}` : 'Schedule paused. Nothing of it runs.',
    instanceId: schedule.instance_id,
    since: null,
  }
}

function ofDrafts({ items, more }: Known['drafts']): Waiting[] {
  const [only] = items
  if (!only) return []
  const number = more ? `More than ${counted(items.length, 'draft')}` : counted(items.length, 'draft')
  return [
    {
      key: 'drafts',
      look: 'plain',
      title: items.length === 1 ? only.name : number,
      to: items.length === 1 ? `/reports/${only.report_id}` : '/reports?status=draft',
      says: items.length === 1 ? 'A report that is not submitted yet.' : 'Reports that are not submitted yet.',
      instanceId: null,
      since: null,
    },
  ]
}
