/** SQL in pieces, to be coloured. It reads as far as colours need it, and never loses a character. */
export type Piece = { kind: 'keyword' | 'text' | 'number' | 'comment' | 'plain'; text: string }

const WORDS = `ALL AND ANY ARRAY AS ASC AT BETWEEN BY CASE CAST COALESCE CROSS CURRENT DATE DAY DESC DISTINCT ELSE END EXCEPT
 EXISTS FALSE FILTER FIRST FOLLOWING FROM FULL GROUP HAVING HOUR IF IN INNER INTERSECT INTERVAL IS JOIN LAST LATERAL LEFT
 LIKE LIMIT MINUTE MONTH NATURAL NOT NULL NULLS OFFSET ON OR ORDER OUTER OVER PARTITION PRECEDING RANGE RIGHT ROW ROWS
 SECOND SELECT SIMILAR SOME TABLE THEN TIMESTAMP TO TRUE UNBOUNDED UNION UNNEST USING VALUES WHEN WHERE WINDOW WITH WITHIN
 YEAR CUSTOM_PARAMETER`
const KEYWORDS = new Set(WORDS.split(/\s+/))

const PIECE =
  /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*(?:'|$))|(\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b)|([A-Za-z_][\w$]*)|("(?:[^"]|"")*(?:"|$))|([^A-Za-z_'"\d/-]+|[\s\S])/g

export function pieces(sql: string): Piece[] {
  const found: Piece[] = []
  for (const [text, comment, string, number, word] of sql.matchAll(PIECE)) {
    const kind = comment
      ? 'comment'
      : string
        ? 'text'
        : number
          ? 'number'
          : word && KEYWORDS.has(word.toUpperCase())
            ? 'keyword'
            : 'plain'
    const last = found.at(-1)
    if (last && last.kind === kind && kind === 'plain') last.text += text
    else found.push({ kind, text })
  }
  return found
}

export type Span = { name: string; start: number; end: number }

/** The pieces cut at the spans (in characters as the API counts them: code points), each with the name of its span. */
export function marked(sql: string, spans: readonly Span[]): { name: string | null; pieces: Piece[] }[] {
  const characters = Array.from(sql)
  const parts: { name: string | null; pieces: Piece[] }[] = []
  let at = 0
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    if (span.start > at) parts.push({ name: null, pieces: pieces(characters.slice(at, span.start).join('')) })
    parts.push({ name: span.name, pieces: [{ kind: 'plain', text: characters.slice(span.start, span.end).join('') }] })
    at = span.end
  }
  if (at < characters.length) parts.push({ name: null, pieces: pieces(characters.slice(at).join('')) })
  return parts
}

/** The parameters that SQL reads, `CUSTOM_PARAMETER('name')`, each once, in their order. */
export function parametersRead(sql: string): string[] {
  const code = pieces(sql)
    .filter((piece) => piece.kind !== 'comment')
    .map((piece) => piece.text)
    .join('')
  return [...new Set([...code.matchAll(/\bCUSTOM_PARAMETER\s*\(\s*'([^']+)'\s*\)/gi)].map((found) => found[1] ?? ''))]
}
