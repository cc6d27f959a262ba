import type { ComponentProps } from 'react'
import { Link } from 'react-router'
import styles from './Button.module.css'

/** `final` is for what cannot be undone. */
type Look = 'primary' | 'secondary' | 'quiet' | 'final'

type ButtonProps = ComponentProps<'button'> & {
  look?: Look
  /** It is being done: the button says so, and takes no second click. */
  busy?: boolean
}

export function Button({ look = 'secondary', busy = false, children, onClick, ...props }: ButtonProps) {
  return (
    <button
      type="button"
      {...props}
      aria-disabled={busy || undefined}
      className={`${styles.button} ${styles[look]} ${busy ? styles.busy : ''} ${props.className ?? ''}`}
      onClick={(event) => {
        if (busy) event.preventDefault()
        else onClick?.(event)
      }}
    >
      {busy && <span className={styles.spinner} aria-hidden="true" />}
      {children}
    </button>
  )
}

/** A link that looks like a button, where it leads on instead of doing something. */
export function LinkButton({ look = 'secondary', ...props }: ComponentProps<typeof Link> & { look?: Look }) {
  return <Link {...props} className={`${styles.button} ${styles[look]} ${props.className ?? ''}`} />
}
