/** Of dates and numbers: English, days before months, weeks from Monday, 24 hours. */
export const LOCALE = 'en-GB'
