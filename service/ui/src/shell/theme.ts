/** Light, dark, or as the system has it. `theme-first.js` applies the choice before the first paint. */
import { createStore } from '../lib/store'

export type Theme = 'system' | 'light' | 'dark'

const KEY = 'report-builder:theme'

function chosen(): Theme {
  const set = document.documentElement.dataset.theme
  return set === 'light' || set === 'dark' ? set : 'system'
}

export const theme = createStore<Theme>(chosen())

export function chooseTheme(next: Theme) {
  if (next === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = next
  try {
    if (next === 'system') localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, next)
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  theme.set(next)
}
