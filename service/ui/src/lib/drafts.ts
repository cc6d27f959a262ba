/** What was typed and is not saved yet, kept in the browser's session: it survives a reload and a sign-in. */
import { useCallback, useEffect, useRef, useState } from 'react'

const PREFIX = 'report-builder:draft:'
const PAUSE = 250

/** What is to be written in a moment, by key: whoever reads the draft before has it written first. */
const unwritten = new Map<string, () => void>()

/** Whose form was sent once: what came of it has told them whether somebody else was faster. */
const sent = new Set<string>()

/** `base` is what was saved when the typing began, so that a change by somebody else is noticed. */
export type Draft<T> = { base: string; values: T }

export function readDraft<T>(storage: Storage, key: string): Draft<T> | null {
  try {
    const text = storage.getItem(PREFIX + key)
    const draft: unknown = text === null ? null : JSON.parse(text)
    return isDraft<T>(draft) ? draft : null
  } catch {
    return null
  }
}

export function writeDraft<T>(storage: Storage, key: string, draft: Draft<T>) {
  try {
    storage.setItem(PREFIX + key, JSON.stringify(draft))
  } catch {
    // Full or forbidden: what is typed then lasts as long as the page.
  }
}

export function dropDraft(storage: Storage, key: string) {
  try {
    storage.removeItem(PREFIX + key)
  } catch {
    // There is none.
  }
}

function isDraft<T>(value: unknown): value is Draft<T> {
  return typeof value === 'object' && value !== null && 'base' in value && 'values' in value
}

/** Whether both say the same: what is left empty says nothing, and lines of a list may have spaces around them. */
export function saysTheSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(said(a)) === JSON.stringify(said(b))
}

function said(value: unknown): unknown {
  if (typeof value === 'string') {
    const lines = value.split(/\r?\n/).flatMap((line) => line.trim() || [])
    return lines.length > 1 ? lines.join('\n') : value
  }
  if (Array.isArray(value)) return value.map(said)
  if (typeof value !== 'object' || value === null) return value
  const parts = Object.entries(value).filter(([, part]) => part !== null && part !== undefined && part !== '')
  return parts.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, part]) => [name, said(part)])
}

export type Kept<T> = {
  values: T
  change: (changed: Partial<T>) => void
  /** There was something typed before, and this goes on from it. */
  restored: boolean
  /** What was saved has changed since that was typed. */
  overtaken: boolean
  /** That it is overtaken was told before it is saved all the same: a press that meets the news by chance saves nothing. */
  told: boolean
  tell: () => void
  /** Forgets what was typed: it was saved, or is not wanted. */
  drop: () => void
}

/**
 * A form's values, kept under a name. `saved` names what is saved (any text that changes with it), `first` is what the form
 * begins with.
 */
export function useDraft<T extends object>(key: string, saved: string, first: () => T): Kept<T> {
  const [found] = useState(() => {
    // A form that takes the place of this one is there before this one has gone.
    unwritten.get(key)?.()
    const draft = readDraft<T>(sessionStorage, key)
    // It was saved although the answer was lost, or was typed back to what is saved.
    if (draft && saysTheSame({ ...first(), ...draft.values }, first())) {
      dropDraft(sessionStorage, key)
      return null
    }
    return draft
  })
  const [values, setValues] = useState<T>(() => ({ ...first(), ...found?.values }))
  const base = found?.base ?? saved
  const pending = useRef<{ timer: number; write: () => void } | null>(null)

  const flush = useCallback(() => {
    if (!pending.current) return
    window.clearTimeout(pending.current.timer)
    pending.current.write()
    pending.current = null
    unwritten.delete(key)
  }, [key])

  useEffect(() => {
    window.addEventListener('pagehide', flush)
    return () => {
      window.removeEventListener('pagehide', flush)
      flush()
    }
  }, [flush])

  const latest = useRef(values)
  const change = useCallback(
    (changed: Partial<T>) => {
      latest.current = { ...latest.current, ...changed }
      setValues(latest.current)
      window.clearTimeout(pending.current?.timer)
      const write = () => writeDraft(sessionStorage, key, { base, values: latest.current })
      pending.current = { write, timer: window.setTimeout(flush, PAUSE) }
      unwritten.set(key, flush)
    },
    [key, base, flush],
  )

  const [told, setTold] = useState(() => sent.has(key))
  const tell = useCallback(() => {
    sent.add(key)
    setTold(true)
  }, [key])

  const drop = useCallback(() => {
    sent.delete(key)
    window.clearTimeout(pending.current?.timer)
    pending.current = null
    unwritten.delete(key)
    dropDraft(sessionStorage, key)
  }, [key])

  const overtaken = found !== null && found.base !== saved
  return { values, change, restored: found !== null, overtaken, told, tell, drop }
}
