/** What narrows a list down. It is kept in the address, so that a reload, the back button and a link have it too. */
import { type ReactNode, useEffect, useState } from 'react'
import { useSearchParams } from 'react-router'
import { useDebounced } from '../lib/debounced'
import { Choice, type Option, TextInput } from './Field'
import styles from './Filters.module.css'

const PAUSE = 300
const ALL = 'all'

/** A value of the address by name; the empty one is left out of it. */
export function useFilter(name: string): [string, (value: string) => void] {
  const [params, setParams] = useSearchParams()
  const set = (value: string) =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before)
        if (value) after.set(name, value)
        else after.delete(name)
        return after
      },
      { replace: true, preventScrollReset: true },
    )
  return [params.get(name) ?? '', set]
}

/** One of a few words from the address; `all` for anything else. */
export function useChoice<Value extends string>(
  name: string,
  words: Readonly<Record<Value, string>>,
): [Value | null, (value: Value | null) => void] {
  const [value, set] = useFilter(name)
  const known = Object.hasOwn(words, value) ? (value as Value) : null
  return [known, (next) => set(next ?? '')]
}

export function Filters({ children }: { children: ReactNode }) {
  return (
    <search className={styles.filters} aria-label="Narrow the list down">
      {children}
    </search>
  )
}

type StateFilterProps<Value extends string> = {
  label: string
  words: Readonly<Record<Value, string>>
  value: Value | null
  onChange: (value: Value | null) => void
}

export function StateFilter<Value extends string>({ label, words, value, onChange }: StateFilterProps<Value>) {
  const each = Object.entries(words) as [Value, string][]
  const options: Option<Value | typeof ALL>[] = [
    { value: ALL, label: 'All' },
    ...each.map(([name, word]) => ({ value: name, label: word })),
  ]
  return (
    <Choice
      label={label}
      hideLabel
      look="segments"
      options={options}
      value={value ?? ALL}
      onChange={(next) => onChange(next === ALL ? null : next)}
    />
  )
}

type NameFilterProps = { label: string; value: string; onChange: (text: string) => void }

/** By name, as it is typed. */
export function NameFilter({ label, value, onChange }: NameFilterProps) {
  const [typed, setTyped] = useState(value)
  const still = useDebounced(typed, PAUSE).trim()
  // What was taken from the address by something else, `Show all` say, leaves the field too.
  const [sent, setSent] = useState(value)
  if (sent !== value) {
    setSent(value)
    if (value !== typed.trim() && value !== still) setTyped(value)
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: once it stands still, whoever listens
  useEffect(() => {
    if (still !== value) onChange(still)
  }, [still])
  return (
    <div className={styles.name}>
      <TextInput
        label={<span className="visually-hidden">{label}</span>}
        type="search"
        placeholder={label}
        maxLength={200}
        value={typed}
        onChange={setTyped}
      />
    </div>
  )
}
