/** A text to be taken along exactly: a hash, a key, a command. */
import { useRef } from 'react'
import { announce } from '../shell/announce'
import { Button } from './Button'
import styles from './Copyable.module.css'

export function Copyable({ text, what }: { text: string; what: string }) {
  const shown = useRef<HTMLElement>(null)
  async function copy() {
    try {
      await navigator.clipboard.writeText(text)
      announce(`Copied: ${what}`)
    } catch {
      // Without the right, or without https: it is marked, to be copied by keyboard.
      if (shown.current) window.getSelection()?.selectAllChildren(shown.current)
      announce(`Marked: ${what}. Copy it by keyboard.`)
    }
  }
  return (
    <span className={styles.copyable}>
      <code ref={shown}>{text}</code>
      <Button look="quiet" aria-label={`Copy ${what}`} onClick={() => void copy()}>
        Copy
      </Button>
    </span>
  )
}
