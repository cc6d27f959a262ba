/** A state in a word, with a glyph, so that colour is never all there is. */
import styles from './Tag.module.css'

const GLYPHS = { plain: '○', accent: '◔', good: '✓', care: '!', bad: '✕' } as const

export function Tag({ look = 'plain', children }: { look?: keyof typeof GLYPHS; children: string }) {
  return (
    <span className={`${styles.tag} ${styles[look] ?? ''}`}>
      <span aria-hidden="true">{GLYPHS[look]}</span>
      {children}
    </span>
  )
}
