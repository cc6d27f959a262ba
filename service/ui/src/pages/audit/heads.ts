/** A tree head as it is written: a signed note (c2sp.org/tlog-checkpoint). The page shows it; programs verify it. */
export type Signature = {
  name: string
  /** The hash of the key that signed, as it stands in the key's own text: `name+hash+…`. */
  hash: string
  /** When a witness signed; the log's own signature names no time. */
  at: Date | null
}

export type Head = { origin: string; size: number; root: string; signatures: Signature[] }

const HASH = 4
const TIME = 8
const ED25519 = 64

export function readHead(note: string): Head | null {
  const [text, lines] = note.split('\n\n')
  const [origin, size, root] = (text ?? '').split('\n')
  if (!origin || !root || !/^\d+$/.test(size ?? '') || lines === undefined) return null
  const signatures: Signature[] = []
  for (const line of lines.split('\n')) {
    const found = /^— (\S+) (\S+)$/.exec(line)
    if (found?.[1] && found[2]) signatures.push({ name: found[1], ...readSignature(found[2]) })
  }
  return { origin, size: Number(size), root, signatures }
}

/** The hash of the key, then what it signed with; of a witness's (c2sp.org/tlog-cosignature) seconds since 1970 between. */
function readSignature(base64: string): Pick<Signature, 'hash' | 'at'> {
  const bytes = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))
  const hash = Array.from(bytes.slice(0, HASH), (each) => each.toString(16).padStart(2, '0')).join('')
  if (bytes.length !== HASH + TIME + ED25519) return { hash, at: null }
  return { hash, at: new Date(Number(new DataView(bytes.buffer).getBigUint64(HASH)) * 1000) }
}

/** The public key with which a signature was made, among those that are known. */
export function keyOf({ name, hash }: Signature, keys: readonly string[]): string | null {
  return keys.find((key) => key.startsWith(`${name}+${hash}+`)) ?? null
}

/** How the newest head stands to the log's end. `still`: it has stood at this size for longer than signing takes. */
export function standingOf(
  size: number,
  end: number,
  still: boolean,
): 'empty' | 'all' | 'follows' | 'stopped' | 'short' {
  if (size > end) return 'short'
  if (end === 0) return 'empty'
  if (size === end) return 'all'
  return still ? 'stopped' : 'follows'
}
