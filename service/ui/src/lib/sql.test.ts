import { describe, expect, test } from 'vitest'
import { marked, pieces } from './sql'

const SQL = `-- Who saw what
SELECT "select", a.b2, 1.5e3 /* of all */ FROM t WHERE x = 'it''s' AND y IN (CUSTOM_PARAMETER('asins')) - 2`

describe('coloured SQL', () => {
  test('loses no character', () => {
    for (const sql of [SQL, '', "'open", '/* open', '"open', '🙂 -- x', '--', 'a-b/c']) {
      expect(
        pieces(sql)
          .map((piece) => piece.text)
          .join(''),
      ).toBe(sql)
    }
  })

  test('knows words, texts, numbers and comments', () => {
    const of = (kind: string) =>
      pieces(SQL)
        .filter((piece) => piece.kind === kind)
        .map((piece) => piece.text)
    expect(of('keyword')).toEqual(['SELECT', 'FROM', 'WHERE', 'AND', 'IN', 'CUSTOM_PARAMETER'])
    expect(of('text')).toEqual(["'it''s'", "'asins'"])
    expect(of('number')).toEqual(['1.5e3', '2'])
    expect(of('comment')).toEqual(['-- Who saw what', '/* of all */'])
  })

  test('of 100,000 characters is read at once', () => {
    const begun = performance.now()
    expect(pieces(SQL.repeat(700)).length).toBeGreaterThan(1000)
    expect(performance.now() - begun).toBeLessThan(500)
  })
})

describe('values that were filled in', () => {
  test('are marked by characters as the API counts them', () => {
    const sql = "SELECT '🙂' WHERE a = 'B1' AND b = 'B2'"
    const start = Array.from(sql).join('').indexOf("'B1'") - 1 // the smiley is two units here, and one there
    const parts = marked(sql, [{ name: 'asin', start, end: start + 4 }])
    expect(parts.map((part) => part.pieces.map((piece) => piece.text).join('')).join('')).toBe(sql)
    expect(parts.filter((part) => part.name).map((part) => [part.name, part.pieces[0]?.text])).toEqual([
      ['asin', "'B1'"],
    ])
  })
})
