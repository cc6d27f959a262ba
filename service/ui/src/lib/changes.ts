/** What a person has changed of what a dialog showed when it was opened, whatever it has become since. */
export function changesOf<Values extends object>(opened: Values, now: Values): Partial<Values> {
  const changed = Object.entries(now).filter(([name, value]) => value !== opened[name as keyof Values])
  return Object.fromEntries(changed) as Partial<Values>
}
