import { expect, test } from 'vitest'
import { keyOf, readHead, standingOf } from './heads'

const ROOT = '3K3Sy9WCK8xbSfpBBSUOSYszvmuBJmumB3R08okWj4g='
const signed = (bytes: number[]) => btoa(String.fromCharCode(...bytes))

test('a head is read, and who has signed it', () => {
  const own = signed(Array(68).fill(7))
  const time = [0, 0, 0, 0, 105, 165, 124, 0]
  const witness = signed([1, 2, 3, 4, ...time, ...Array(64).fill(9)])
  const head = readHead(`log.example\n235\n${ROOT}\n\n— log.example ${own}\n— witness.example ${witness}\n`)
  expect(head).toEqual({
    origin: 'log.example',
    size: 235,
    root: ROOT,
    signatures: [
      { name: 'log.example', hash: '07070707', at: null },
      { name: 'witness.example', hash: '01020304', at: new Date('2026-03-02T12:01:04Z') },
    ],
  })
})

test('what is no head is none', () => {
  for (const text of ['', 'log.example\n', `log.example\nmany\n${ROOT}\n\n`]) expect(readHead(text)).toBeNull()
})

test('the key of a signature is the one whose hash it bears, not the newest of that name', () => {
  const keys = ['log.example+07070707+AQ==', 'log.example+08080808+Ag==']
  expect(keyOf({ name: 'log.example', hash: '07070707', at: null }, keys)).toBe(keys[0])
  expect(keyOf({ name: 'log.example', hash: '09090909', at: null }, keys)).toBeNull()
})

test('a log that ends before its own head is told from one whose signature is on its way', () => {
  expect(standingOf(1000, 900, false)).toBe('short')
  expect(standingOf(1, 0, false)).toBe('short')
  expect(standingOf(0, 0, false)).toBe('empty')
  expect(standingOf(900, 900, true)).toBe('all')
  expect(standingOf(899, 900, false)).toBe('follows')
  expect(standingOf(0, 40_000, true)).toBe('stopped')
})
