import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { rootOf } from './tree'

const sha = (...parts: (Buffer | string)[]) =>
  createHash('sha256')
    .update(Buffer.concat(parts.map((part) => Buffer.from(part))))
    .digest()
const [LEAF, NODE] = [Buffer.from([0]), Buffer.from([1])]

/** RFC 6962, section 2.1, word for word. */
function root(leaves: string[]): Buffer {
  if (leaves.length === 1) return sha(LEAF, leaves[0] ?? '')
  const half = largest(leaves.length)
  return sha(NODE, root(leaves.slice(0, half)), root(leaves.slice(half)))
}

function path(index: number, leaves: string[]): Buffer[] {
  if (leaves.length === 1) return []
  const half = largest(leaves.length)
  const [left, right] = [leaves.slice(0, half), leaves.slice(half)]
  return index < half ? [...path(index, left), root(right)] : [...path(index - half, right), root(left)]
}

function largest(below: number): number {
  let half = 1
  while (half * 2 < below) half *= 2
  return half
}

test('every leaf of every small tree leads to its root, and no other text does', async () => {
  for (let size = 1; size <= 12; size++) {
    const leaves = Array.from({ length: size }, (_, index) => `{"position": ${index + 1}, "said": "ü"}`)
    const whole = root(leaves).toString('base64')
    for (const [index, leaf] of leaves.entries()) {
      const hashes = path(index, leaves).map((hash) => hash.toString('base64'))
      const found = await rootOf({ leaf, index, size, hashes })
      expect(found).toEqual({ leaf: sha(LEAF, leaf).toString('base64'), root: whole })
      expect((await rootOf({ leaf: `${leaf} `, index, size, hashes })).root).not.toBe(whole)
      expect((await rootOf({ leaf, index, size, hashes: [...hashes, whole] })).root).toBeNull()
      if (size > 1) expect((await rootOf({ leaf, index, size, hashes: hashes.slice(1) })).root).toBeNull()
    }
  }
  expect((await rootOf({ leaf: 'x', index: 3, size: 3, hashes: [] })).root).toBeNull()
})
