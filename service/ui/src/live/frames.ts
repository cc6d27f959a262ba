/** Server-sent events, put together from the pieces of text in which they come. */
export type Frame = { id: string | null; event: string; data: string }

export class FrameReader {
  #rest = ''

  /** The frames that are whole with this piece; comments are none. */
  push(piece: string): Frame[] {
    const blocks = (this.#rest + piece).split(/\r?\n\r?\n/)
    this.#rest = blocks.pop() ?? ''
    return blocks.map(frameOf).filter((frame) => frame !== null)
  }
}

function frameOf(block: string): Frame | null {
  let [id, event]: [string | null, string] = [null, 'message']
  const data: string[] = []
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon < 1) continue
    const value = line.slice(colon + 1).replace(/^ /, '')
    const field = line.slice(0, colon)
    if (field === 'id') id = value
    else if (field === 'event') event = value
    else if (field === 'data') data.push(value)
  }
  return data.length > 0 ? { id, event, data: data.join('\n') } : null
}
