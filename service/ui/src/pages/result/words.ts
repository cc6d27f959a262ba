/** What a result's page says of periods, and of the whole. */

import { sentence } from '../../api/problems'
import type { Limit, Segment } from '../../api/types'
import { momentText, rangeText, timeText } from '../../lib/dates'
import { counted, inOurWords, listed } from '../../words'
import { type PeriodState, stateOf, type View } from './progress'

/** A state in a word, with the glyph that it has on the calendar, and what it means. */
export const PERIOD_STATES: Record<PeriodState, { name: string; glyph: string; says: string }> = {
  turn: { name: 'Waiting', glyph: '·', says: 'waits for its turn' },
  work: { name: 'Running', glyph: '▸', says: 'is at Amazon' },
  retry: { name: 'To try again', glyph: '↻', says: 'has failed, and is tried again by itself' },
  stuck: { name: 'Stuck', glyph: '!', says: 'waits for a person' },
  done: { name: 'Complete', glyph: '✓', says: 'is in' },
  provisional: { name: 'Provisional', glyph: '≈', says: 'is in; Amazon may still change these days' },
  there: { name: 'There already', glyph: '=', says: 'was fetched before, and is used again' },
  left: { name: 'Left out', glyph: '○', says: 'was not asked for' },
  pieces: { name: 'In pieces', glyph: '÷', says: 'is fetched in smaller periods' },
  failed: { name: 'Failed', glyph: '✕', says: 'has no result' },
  cancelled: { name: 'Cancelled', glyph: '–', says: 'was given up with the rest' },
}

export const LOOKS: Record<PeriodState, 'plain' | 'accent' | 'good' | 'care' | 'bad'> = {
  turn: 'plain',
  work: 'accent',
  retry: 'care',
  stuck: 'bad',
  done: 'good',
  provisional: 'care',
  there: 'good',
  left: 'plain',
  pieces: 'plain',
  failed: 'bad',
  cancelled: 'plain',
}

/** At work, more closely. */
export const AT_WORK: Partial<Record<Segment['status'], string>> = {
  dispatched: 'Starting',
  submitted: 'Queued at Amazon',
  running: 'Running at Amazon',
}

export function stateText(segment: Segment): string {
  const state = stateOf(segment)
  return (state === 'work' && AT_WORK[segment.status]) || PERIOD_STATES[state].name
}

export function periodText(segment: Pick<Segment, 'week_start' | 'week_end'>): string {
  return rangeText(segment.week_start, segment.week_end)
}

/** How the whole stands, in a sentence. */
export function statusSentence({ collection, tally }: Pick<View, 'collection' | 'tally'>): string {
  const { total, arrived, working, failed, stuck, cancelled, left } = tally
  const one = total === 1
  const so = one
    ? ''
    : `: ${arrived.toLocaleString('en-GB')} of ${counted(total, 'period')} ${arrived === 1 ? 'is' : 'are'} in`
  if (collection.finished_at) {
    if (collection.cancelled) return one ? 'Cancelled.' : `Cancelled${so}.`
    if (collection.backfill_status === 'completed' && left > 0)
      return one ? `Done: the period ${leftText(tally)}.` : `Done${so}, ${leftText(tally, true)}.`
    if (collection.backfill_status === 'completed')
      return one ? 'Complete.' : `Complete: all ${counted(total, 'period')} are in.`
    if (collection.backfill_status === 'failed')
      return one ? 'Failed.' : `Failed: none of ${counted(total, 'period')} is in.`
    const missing = [
      failed && `${failed} failed`,
      cancelled && `${cancelled} cancelled`,
      left && leftText(tally, true),
    ].filter((each) => each)
    return `Complete in part${so}${missing.length ? `, ${listed(missing as string[])}` : ''}.`
  }
  if (collection.cancelled) return 'Being cancelled. What Amazon still runs is being ended.'
  if (collection.held) return `Waits for a person${so}.`
  if (collection.held_by) return `Waits for the account${so}.`
  if (collection.paused) {
    const still = working ? `, and ${working} that began ${working === 1 ? 'comes' : 'come'} to the end` : ''
    return one ? `Paused.` : `Paused${so}${still}.`
  }
  const more = [
    working && (one ? null : `${working} ${working === 1 ? 'runs' : 'run'} now`),
    failed && `${failed} failed`,
    stuck && `${stuck} ${stuck === 1 ? 'waits' : 'wait'} for a person`,
  ].filter((each) => each) as string[]
  if (!collection.started_at && working === 0) return one ? 'Waiting for its turn.' : `Waiting for the first slot${so}.`
  return one ? 'Running at Amazon.' : `Running${so}${more.length ? `, ${listed(more)}` : ''}.`
}

/** Why periods are left out: `49 were not asked for`. */
function leftText({ left, notFailed }: View['tally'], counting = false): string {
  const said = (count: number, words: string) =>
    `${counting ? `${count.toLocaleString('en-GB')} ` : ''}${count === 1 ? 'was' : 'were'} not asked for${words}`
  const before = ', as only what had failed before was'
  if (notFailed === left) return said(left, before)
  if (notFailed === 0) return said(left, '')
  return said(left, `, ${notFailed.toLocaleString('en-GB')} of them as only what had failed before was`)
}

/** Why no more run now: the API's words, with its time by the reader's clock. */
export function limitText({ reason, detail, until }: Limit): string {
  const time = until ? timeText(until) : null
  if (reason === 'stalled') {
    const stuck = Number.parseInt(detail, 10)
    return `${counted(stuck, 'period')} failed again and again, and ${stuck === 1 ? 'waits' : 'wait'} for a person: look at ${stuck === 1 ? 'it, then retry it' : 'them, then retry them'}.`
  }
  if (reason === 'held') return 'It waits for a person: resume it once its cause is gone, or cancel it.'
  if (reason === 'account') return 'Its account must be connected again first.'
  if (reason === 'retry') {
    const waiting = Number.parseInt(detail, 10)
    return `${counted(waiting, 'period waits', 'periods wait')} to be tried again${time ? `, the first at ${time}` : ''}.`
  }
  const told = sentence(inOurWords(time ? detail.replace(/(next try) \d\d:\d\d/, `$1 ${time}`) : detail))
  return !time || told.includes(time) ? told : `${told.slice(0, -1)}, until ${time}.`
}

/** `12 periods`, `1 period`, `1.5 periods`, `Less than 1 period`: it is a mean, so that it may be small. */
export function paceText(rate: number): string {
  if (rate < 1) return 'Less than 1 period'
  const shown = rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate)
  return counted(shown, 'period')
}

/** `Ends between 14:02 and 14:40` */
export function estimateText({ earliest, latest }: { earliest: string; latest: string }, now = new Date()): string {
  const same = new Date(latest).toDateString() === now.toDateString()
  const [from, to] = same ? [timeText(earliest), timeText(latest)] : [momentText(earliest), momentText(latest)]
  return from === to ? `about ${from}` : `between ${from} and ${to}`
}

export const OUTCOMES = {
  at_work: { name: 'Under way', look: 'accent' },
  completed: { name: 'Complete', look: 'good' },
  failed: { name: 'Failed', look: 'bad' },
  retried: { name: 'Failed, tried again', look: 'care' },
  given_back: { name: 'Given back, does not count', look: 'plain' },
  cancelled: { name: 'Cancelled', look: 'plain' },
} as const

/** The events of a period. */
export const EVENT_WORDS: Record<string, string> = {
  'segment.dispatched': 'Got a slot, or its work was ordered again',
  'segment.submission_started': 'Asked of Amazon',
  'segment.submitted': 'Amazon took it',
  'segment.started': 'Amazon began',
  'segment.executed': 'Amazon was done',
  'segment.completed': 'Result stored',
  'segment.retry_scheduled': 'Failed, to be tried again',
  'segment.released': 'Given back: the account must be connected again',
  'segment.stalled': 'Stuck: it waits for a person',
  'segment.resumed': 'A person lets it go on',
  'segment.failed': 'Failed',
  'segment.cancelled': 'Cancelled',
  'segment.retried': 'A person lets it run again',
  'segment.split': 'Cut into pieces',
  'segment.superseded': 'A newer result of these days is there',
}
