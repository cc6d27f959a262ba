/** The tree of the signed log (RFC 6962, section 2.1): whether a leaf is in it, worked out here. */

type Bytes = Uint8Array<ArrayBuffer>

export type Inclusion = {
  /** The leaf's text. */
  leaf: string
  index: number
  size: number
  /** From the leaf's sibling up, in base64. */
  hashes: readonly string[]
}

/** Whether the browser can work out hashes: it does so on encrypted pages and on the machine's own alone. */
export function canHash(): boolean {
  return globalThis.crypto?.subtle !== undefined
}

/** The hash of the leaf, and the root to which its path leads, in base64; the root is null where that is no path. */
export async function rootOf({ leaf, index, size, hashes }: Inclusion): Promise<{ leaf: string; root: string | null }> {
  const own = await hashed(0, new TextEncoder().encode(leaf))
  return { leaf: base64(own), root: await climb(own, index, size, hashes.map(bytes)) }
}

/** As RFC 9162, section 2.1.3.2, goes up from a leaf. */
async function climb(own: Bytes, index: number, size: number, path: readonly Bytes[]): Promise<string | null> {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) return null
  let [at, last, root] = [index, size - 1, own]
  for (const hash of path) {
    if (last === 0) return null
    if (at % 2 === 1 || at === last) {
      root = await hashed(1, hash, root)
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)]
    } else root = await hashed(1, root, hash)
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 ? base64(root) : null
}

async function hashed(kind: 0 | 1, ...parts: readonly Uint8Array[]): Promise<Bytes> {
  const whole = new Uint8Array(1 + parts.reduce((length, part) => length + part.length, 0))
  whole[0] = kind
  let at = 1
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', whole))
}

function bytes(text: string): Bytes {
  return Uint8Array.from(atob(text), (each) => each.charCodeAt(0))
}

function base64(hash: Uint8Array): string {
  return btoa(String.fromCharCode(...hash))
}
