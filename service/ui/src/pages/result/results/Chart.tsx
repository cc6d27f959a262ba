/** Lines over days. Loaded when there is something to draw. */
import { useEffect, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { shortDate } from '../../../lib/dates'
import { useMedia } from '../../../lib/media'
import type { ChartData } from '../../../lib/rows'
import { useStore } from '../../../lib/store'
import { theme } from '../../../shell/theme'
import styles from './Results.module.css'

const HEIGHT = 290
const DASHES = [[], [8, 4], [2, 3], [12, 4, 2, 4], [4, 4], [1, 5]]

const COMPACT = new Intl.NumberFormat('en-GB', { notation: 'compact', maximumFractionDigits: 1 })

/** What is said of what stands at a day: what it is called, and whether Amazon may still change it. */
export type Marks = { nameOf: (day: string) => string; provisional: (day: string) => boolean }

type ChartProps = { data: ChartData; title: string; marks: Marks }

export default function Chart({ data, title, marks }: ChartProps) {
  const box = useRef<HTMLDivElement>(null)
  const chosen = useStore(theme)
  const dark = useMedia('(prefers-color-scheme: dark)')
  const [at, setAt] = useState<number | null>(null)
  const [colours, setColours] = useState<string[]>([])

  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are read anew where the theme changes
  useEffect(() => {
    const element = box.current
    if (!element) return
    const colour = reader(element)
    const lines = data.series.map((_, index) => colour(`--series-${(index % 6) + 1}`))
    setColours(lines)
    const plot = new uPlot(
      options(element.clientWidth - 24, data, lines, colour, marks.provisional, setAt),
      [data.days.map(secondsOf), ...data.series.map((series) => [...series.values])] as uPlot.AlignedData,
      element,
    )
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth - 24, height: HEIGHT }))
    resized.observe(element)
    return () => {
      resized.disconnect()
      plot.destroy()
    }
  }, [data, marks, chosen, dark])

  const shown = at ?? data.days.length - 1
  const day = data.days[shown]
  return (
    <div className="stack-small">
      <div ref={box} className={styles.chart} role="img" aria-label={`${title}. ${spoken(data)}`} />
      <ul className={styles.legend}>
        <li className="muted">{day && marks.nameOf(day)}</li>
        {data.series.map((series, index) => (
          <li key={series.name}>
            <svg width="24" height="4" aria-hidden="true">
              <line
                x1="0"
                y1="2"
                x2="24"
                y2="2"
                stroke={colours[index] ?? 'currentColor'}
                strokeWidth="3"
                strokeDasharray={DASHES[index % 6]?.join(' ')}
              />
            </svg>
            {series.name}
            <strong>{numberText(series.values[shown] ?? null)}</strong>
          </li>
        ))}
      </ul>
    </div>
  )
}

const DAY = 86_400
const secondsOf = (day: string) => Date.parse(day.length === 10 ? `${day}T00:00:00Z` : day) / 1000

/** The tokens as colours that a canvas knows: what `light-dark()` comes to here. */
function reader(element: HTMLElement) {
  const probe = document.createElement('span')
  element.append(probe)
  const read = (token: string) => {
    probe.style.color = `var(${token})`
    return getComputedStyle(probe).color
  }
  const known = new Map<string, string>()
  for (const token of [...[1, 2, 3, 4, 5, 6].map((n) => `--series-${n}`), '--muted', '--line', '--care-soft'])
    known.set(token, read(token))
  probe.remove()
  return (token: string) => known.get(token) ?? 'gray'
}

function options(
  width: number,
  data: ChartData,
  lines: string[],
  colour: (token: string) => string,
  provisional: Marks['provisional'],
  hovered: (index: number | null) => void,
): uPlot.Options {
  const font = `12px ${getComputedStyle(document.body).fontFamily}`
  const axis = {
    stroke: colour('--muted'),
    font,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1, size: 4 },
  }
  const from = data.days.findIndex(provisional)
  return {
    width,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'UTC'),
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    padding: [null, 40, null, null],
    scales: {
      // A single day stands between its neighbours.
      x: { range: (_plot, low, high) => (low === high ? [low - 3 * DAY, low + 3 * DAY] : [low, high]) },
      y: { range: (_plot, low, high) => rangeOf(low, high) },
    },
    axes: [
      {
        ...axis,
        space: 90,
        grid: { show: false },
        values: (_plot, splits) =>
          splits.map((seconds) => shortDate(new Date(seconds * 1000).toISOString().slice(0, 10))),
      },
      { ...axis, size: 56, values: (_plot, splits) => splits.map((value) => COMPACT.format(value)) },
    ],
    series: [
      {},
      ...data.series.map((series, index) => ({
        label: series.name,
        stroke: lines[index] ?? 'gray',
        width: 2,
        dash: DASHES[index % 6] ?? [],
        points: { show: data.days.length < 60, size: 5 },
      })),
    ],
    hooks: {
      drawClear: [
        (plot) => {
          if (from < 0) return
          // From the middle between it and the one before, so that the last point of all has a shade too.
          const [before, first] = [data.days[from - 1], data.days[from]]
          const [one, two] = [before, first].map((day) => (day ? plot.valToPos(secondsOf(day), 'x', true) : null))
          const left = Math.max(((one ?? two ?? 0) + (two ?? 0)) / 2, plot.bbox.left)
          plot.ctx.fillStyle = colour('--care-soft')
          plot.ctx.fillRect(left, plot.bbox.top, plot.bbox.left + plot.bbox.width - left, plot.bbox.height)
        },
      ],
      setCursor: [(plot) => hovered(plot.cursor.idx ?? null)],
    },
  }
}

/** From nought, unless there is less than that. */
function rangeOf(low: number, high: number): [number, number] {
  const [from, to] = [Math.min(0, low), Math.max(0, high)]
  const room = (to - from || 1) * 0.05
  return [from < 0 ? from - room : 0, to + room]
}

function spoken({ days, series }: ChartData): string {
  const [first, last] = [days[0], days.at(-1)]
  if (!first || !last) return ''
  const parts = series.map(({ name, values }) => {
    const known = values.filter((value) => value !== null)
    if (known.length === 0) return `${name}: nothing`
    return `${name}: ${COMPACT.format(Math.min(...known))} to ${COMPACT.format(Math.max(...known))}`
  })
  return `${shortDate(first.slice(0, 10))} to ${shortDate(last.slice(0, 10))}. ${parts.join('; ')}. The numbers follow below.`
}

function numberText(value: number | null): string {
  return value === null ? '–' : value.toLocaleString('en-GB', { maximumFractionDigits: 2 })
}
