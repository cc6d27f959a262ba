/** Tells people who do not see the page what has changed on it. */
import { createStore, useStore } from '../lib/store'

const said = createStore({ text: '', turn: 0 })

export function announce(text: string) {
  said.set({ text, turn: said.get().turn + 1 })
}

export function Announcer() {
  const { text, turn } = useStore(said)
  return (
    <div className="visually-hidden" role="status" aria-live="polite">
      {/* A key of its own for each, so that the same text is read again. */}
      <span key={turn}>{text}</span>
    </div>
  )
}
