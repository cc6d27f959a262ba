/** What opens beside a page, at its end: one thing of it, more closely. The browser keeps the focus within, and gives it back
 * at the end. */
import { type ReactNode, useId, useLayoutEffect, useRef } from 'react'
import { Button } from './Button'
import styles from './Drawer.module.css'

type DrawerProps = {
  title: ReactNode
  /** Beside the title: a state. */
  beside?: ReactNode
  onClose: () => void
  children: ReactNode
}

/** It is there as long as it is rendered. Escape closes it, and a click beside it. */
export function Drawer({ title, beside, onClose, children }: DrawerProps) {
  const drawer = useRef<HTMLDialogElement>(null)
  const id = useId()
  // Before it is taken away: one that is no longer there does not give the focus back.
  useLayoutEffect(() => {
    const shown = drawer.current
    shown?.showModal()
    return () => shown?.close()
  }, [])
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape does the same by keyboard
    <dialog
      ref={drawer}
      className={styles.drawer}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onClick={(event) => {
        if (event.target === event.currentTarget) onClose()
      }}
    >
      <div className={styles.inner}>
        <header className={styles.head}>
          <div className={styles.title}>
            <h2 id={id}>{title}</h2>
            {beside}
          </div>
          <Button look="quiet" onClick={onClose} aria-label="Close">
            <span aria-hidden="true">✕</span>
          </Button>
        </header>
        {/* It scrolls, so that it must be reached by keyboard. */}
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: see above */}
        <section className={styles.body} tabIndex={0} aria-labelledby={id}>
          {children}
        </section>
      </div>
    </dialog>
  )
}
