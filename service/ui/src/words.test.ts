import { expect, test } from 'vitest'
import { counted, inOurWords, listed, ordinal } from './words'

test('numbers and lists are told as people say them', () => {
  expect([counted(1, 'day'), counted(1000, 'day'), counted(0, 'run')]).toEqual(['1 day', '1,000 days', '0 runs'])
  expect([listed([]), listed(['a']), listed(['a', 'b', 'c'])]).toEqual(['', 'a', 'a, b and c'])
  expect([1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31].map(ordinal).join(' ')).toBe(
    '1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 23rd 31st',
  )
})

test('the API’s sentences are in the words that people see', () => {
  expect(inOurWords('The schedule starts when the backfill has come to its end.')).toBe(
    'The schedule starts when the history has come to its end.',
  )
  expect(inOurWords('Segments that are there already are not run; 2 backfills, 52 weekly segments.')).toBe(
    'Periods that are there already are not run; 2 histories, 52 weekly periods.',
  )
})
