import { describe, expect, test } from 'vitest'
import { chartOf, Gatherer, hasSeveral, isName, isProvisional, type Row, RowReader, withGaps } from './rows'

const rows: Row[] = [
  { segment_start: '2026-03-01', campaign: 'A {"x"} \\', day: '2026-03-01', clicks: 1, campaign_id: 7 },
  { segment_start: '2026-03-01', campaign: 'B', day: '2026-03-01', clicks: 10, campaign_id: 8 },
  { segment_start: '2026-03-01', campaign: 'B', day: '2026-03-03', clicks: 20, campaign_id: 8 },
]

function gathered() {
  const gatherer = new Gatherer()
  gatherer.add(rows)
  return gatherer.end()
}

describe('rows', () => {
  test('are read from text that is cut anywhere', () => {
    const text = JSON.stringify(rows, null, 1)
    for (let cut = 0; cut < text.length; cut++) {
      const reader = new RowReader()
      expect([...reader.push(text.slice(0, cut)), ...reader.push(text.slice(cut))]).toEqual(rows)
    }
    const slowly = new RowReader()
    expect([...text].flatMap((character) => slowly.push(character))).toEqual(rows)
  })

  test('keep every digit of long whole numbers, and texts as they are', () => {
    const text =
      '[{"id": 401234567890123456, "other": -401234567890123457, "said": "a \\" 401234567890123456, \\\\", "small": 123456789012345,' +
      ' "part": 0.12345678901234567, "large": 1234567890123456.5, "high": 1e20, "list": [9007199254740993]}]'
    const [row] = new RowReader().push(text)
    expect(row).toEqual({
      id: '401234567890123456',
      other: '-401234567890123457',
      said: 'a " 401234567890123456, \\',
      small: 123456789012345,
      part: Number('0.12345678901234567'),
      large: 1234567890123456.5,
      high: 1e20,
      list: ['9007199254740993'],
    })
  })

  test('are cut by ids that differ in their last digit alone', () => {
    const gatherer = new Gatherer()
    const of = (id: string) => `{"day":"2026-03-01","campaign_id":${id},"clicks":1}`
    gatherer.add(new RowReader().push(`[${of('401234567890123456')},${of('401234567890123457')}]`))
    const found = gatherer.end()
    expect(found.parts).toEqual(['campaign_id'])
    expect(chartOf(found, 'clicks', 'campaign_id', 'sum').series.map((each) => each.name)).toEqual([
      '401234567890123456',
      '401234567890123457',
    ])
  })

  test('have a day, measures, and columns to cut by', () => {
    expect(gathered()).toMatchObject({ day: 'day', measures: ['clicks'], parts: ['campaign', 'campaign_id'], total: 3 })
  })

  test('of a result without days count by their periods', () => {
    const gatherer = new Gatherer()
    gatherer.add([{ segment_start: '2026-03-01', users: 5 }])
    expect(chartOf(gatherer.end(), 'users', null, 'sum')).toEqual({
      days: ['2026-03-01'],
      series: [{ name: 'users', values: [5] }],
    })
  })
})

test('a year and an id are names, clicks are not', () => {
  const columns = ['year', 'campaign_id', 'asin', 'clicks', 'paid']
  expect(columns.filter(isName)).toEqual(['year', 'campaign_id', 'asin'])
})

test('a period is provisional by its last day, and a day by itself', () => {
  const gatherer = new Gatherer()
  gatherer.add([
    { segment_start: '2026-02-01', segment_end: '2026-02-28', users: 4 },
    { segment_start: '2026-03-01', segment_end: '2026-03-31', users: 5 },
  ])
  const months = gatherer.end()
  const of = (day: string) => isProvisional(months, day, '2026-03-30')
  expect(['2026-02-01', '2026-03-01'].map(of)).toEqual([false, true])
  expect(isProvisional(months, '2026-03-01', null)).toBe(false)
  expect(isProvisional(gathered(), '2026-03-01', '2026-03-02')).toBe(false)
  expect(isProvisional(gathered(), '2026-03-03', '2026-03-02')).toBe(true)
})

describe('a chart', () => {
  test('adds up the rows of a day, or takes their mean', () => {
    expect(hasSeveral(gathered(), 'clicks')).toBe(true)
    expect(chartOf(gathered(), 'clicks', null, 'sum').series).toEqual([{ name: 'clicks', values: [11, 20] }])
    expect(chartOf(gathered(), 'clicks', null, 'mean').series).toEqual([{ name: 'clicks', values: [5.5, 20] }])
  })

  test('has the largest parts first, and the rest as one', () => {
    const gatherer = new Gatherer()
    gatherer.add(
      Array.from({ length: 8 }, (_, part) => ({ day: '2026-03-01', part: `p${part}`, clicks: part + 1 }) satisfies Row),
    )
    const { series } = chartOf(gatherer.end(), 'clicks', 'part', 'sum')
    expect(series.map((each) => [each.name, each.values[0]])).toEqual([
      ['p7', 8],
      ['p6', 7],
      ['p5', 6],
      ['p4', 5],
      ['p3', 4],
      ['3 others', 6],
    ])
  })

  test('is broken where a period has no result', () => {
    const data = withGaps(chartOf(gathered(), 'clicks', null, 'sum'), [{ start: '2026-03-02', end: '2026-03-02' }])
    expect(data).toEqual({
      days: ['2026-03-01', '2026-03-02', '2026-03-03'],
      series: [{ name: 'clicks', values: [11, null, 20] }],
    })
  })
})
