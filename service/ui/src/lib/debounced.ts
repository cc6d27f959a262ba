import { useEffect, useState } from 'react'

/** The value as it was when it last stood still for so long. */
export function useDebounced<T>(value: T, milliseconds: number): T {
  const [still, setStill] = useState(value)
  useEffect(() => {
    const timer = window.setTimeout(() => setStill(value), milliseconds)
    return () => window.clearTimeout(timer)
  }, [value, milliseconds])
  return still
}
