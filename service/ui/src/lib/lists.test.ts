import { describe, expect, test } from 'vitest'
import { badEntries, readList, writeList } from './lists'

const values = (text: string, ids = true) => readList(text, ids).entries.map((entry) => entry.value)

describe('a pasted list', () => {
  test('is parted by lines and commas, ids by spaces and semicolons, too', () => {
    expect(values('B1\nB2, B3;B4 B5\r\n\tB6')).toEqual(['B1', 'B2', 'B3', 'B4', 'B5', 'B6'])
    expect(values('New York, Los Angeles', false)).toEqual(['New York', 'Los Angeles'])
    expect(values('New York\r\n San Diego ', false)).toEqual(['New York', 'San Diego'])
  })

  test('of texts is read again as it was saved, commas and all', () => {
    const lists = [['Shoes, men', 'Bags'], ['Shoes, men'], ['Bags'], []]
    for (const list of lists) expect(values(writeList(list), false)).toEqual(list)
    expect(values(writeList(['B1', 'B2']))).toEqual(['B1', 'B2'])
  })

  test('leaves empty values out, and counts different ones', () => {
    const list = readList('\n\nB1,,\nB2\n\nB1\n', true)
    expect(list.entries).toHaveLength(3)
    expect(list.distinct).toBe(2)
    expect(readList('  \n ,', false)).toEqual({ entries: [], distinct: 0 })
  })

  test('knows the line of each value, and where it begins', () => {
    expect(readList('a, b\n\nc', true).entries).toEqual([
      { value: 'a', line: 1, start: 0 },
      { value: 'b', line: 1, start: 3 },
      { value: 'c', line: 3, start: 6 },
    ])
  })

  test('of 10,000 ids is read within a frame or two', () => {
    const text = Array.from({ length: 10_000 }, (_, index) => `B${String(index).padStart(9, '0')}`).join('\n')
    const begun = performance.now()
    expect(readList(text, true).distinct).toBe(10_000)
    expect(performance.now() - begun).toBeLessThan(200)
  })

  test('has what the API says of a value at its line', () => {
    const list = readList('good\n\nbad\nworse', true)
    const problems = [
      { pointer: '/parameters/asins/2', message: 'is no ASIN' },
      { pointer: '/parameters/asins/1', message: 'is no ASIN' },
      { pointer: '/parameters/asins/99', message: 'is not there' },
      { pointer: '/parameters/asins', message: 'is too long' },
      { pointer: '/parameters/asins_too/0', message: 'is another' },
    ]
    const bad = badEntries(list, '/parameters/asins', problems)
    expect(bad.map(({ line, value }) => [line, value])).toEqual([
      [3, 'bad'],
      [4, 'worse'],
    ])
  })
})
