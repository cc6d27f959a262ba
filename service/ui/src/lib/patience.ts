const LONGEST_PAUSE = 20_000

type Patience = {
  /** Milliseconds before the second try; each pause is half as long again as the one before. */
  first?: number
  /** It is given up where the next pause would be longer. */
  longest?: number
  /** Waits while nothing answers, and says whether that was so: such a try counts for nothing. */
  wasAway?: () => Promise<boolean>
}

/** What is loaded on demand, also while nothing answers: it is tried again until it comes. */
export async function patiently<Loaded>(
  load: () => Promise<Loaded>,
  { first = 1000, longest = LONGEST_PAUSE, wasAway }: Patience = {},
): Promise<Loaded> {
  for (let pause = first; ; ) {
    try {
      return await load()
    } catch (error) {
      if (await wasAway?.()) continue
      // A build that is newer than the page has other files: that is not mended by waiting for ever.
      if (pause > longest) throw error
      await new Promise((resolve) => setTimeout(resolve, pause))
      pause *= 1.5
    }
  }
}
