/** What is different between a moment of a history and one before it. */
import type { ActivityItem, ThingState } from '../../api/types'
import { Details } from '../../components/Details'
import { Select } from '../../components/Select'
import { preciseText } from '../../lib/dates'
import { LOCALE } from '../../lib/locale'
import styles from './Audit.module.css'
import { grouped } from './differences'
import type { Place } from './moments'
import type { Go } from './Slider'
import { rowText } from './Stood'
import { Differences } from './Values'
import { EVENTS, eventText, TABLES } from './words'

type ChangesProps = { items: readonly ActivityItem[]; place: Place; state: ThingState; onGo: Go }

export function Changes({ items, place, state, onGo }: ChangesProps) {
  const before = place.exact ? place.number - 1 : place.number
  if (before < 1) {
    return place.number > 0 ? (
      <section className="stack-small" aria-labelledby="changes">
        <h2 id="changes">What it changed</h2>
        <p className="muted">With this event it came to be: nothing was there before.</p>
      </section>
    ) : null
  }
  const groups = grouped(state.changes ?? [])
  const earlier = items
    .slice(0, before)
    .map((event, index) => ({
      id: String(event.position),
      name: `Event ${index + 1}: ${eventText(event.event_type)}`,
      detail: preciseText(event.recorded_at),
    }))
    .reverse()
  // Its periods have events of their own: since its own last one they may have changed much that this one has not.
  const folds = place.exact && FOLDING.test(state.stream)
  const options = folds ? [{ id: JUST, name: 'The moment before it' }, ...earlier] : earlier
  const usual = options[0]?.id
  const title = place.just ? 'What it changed' : `What is different since event ${place.compared}`
  const open = groups.filter(({ of }) => !TABLES[of]?.folded)
  const folded = groups.filter(({ of }) => TABLES[of]?.folded)
  return (
    <section className="stack" aria-labelledby="changes">
      <h2 id="changes">{title}</h2>
      {options.length > 1 && (
        <Select
          label="Compare with"
          size="medium"
          items={options}
          value={folds && place.just ? JUST : String(items[place.compared - 1]?.position ?? '')}
          onChange={(position) => onGo({ compare: position === usual ? null : position })}
        />
      )}
      {open.length === 0 && <p className="muted">Nothing is different.</p>}
      {open.slice(0, MANY).map((group) => (
        <Group key={`${group.of} ${group.key}`} group={group} state={state} />
      ))}
      {open.length > MANY && (
        <Details summary={`and ${(open.length - MANY).toLocaleString(LOCALE)} more`}>
          {open.slice(MANY).map((group) => (
            <Group key={`${group.of} ${group.key}`} group={group} state={state} />
          ))}
        </Details>
      )}
      {folded.map((group) => (
        <Details key={group.of} summary={TABLES[group.of]?.name}>
          <Differences found={group.found} />
        </Details>
      ))}
    </section>
  )
}

const MANY = 12
const JUST = 'just'
/** Streams whose things are made of what happens in others too. */
const FOLDING = /^(collection|schedule|segment)-/

function Group({ group, state }: { group: ReturnType<typeof grouped>[number]; state: ThingState }) {
  const { of, key, isNew, found } = group
  return (
    <div className={styles.group}>
      <h3>
        {groupText(of, key, state)}
        {isNew && <span className="muted">, not there before</span>}
      </h3>
      <Differences found={found} />
    </div>
  )
}

function groupText(of: string, key: string | null, state: ThingState): string {
  if (of in EVENTS) return eventText(of)
  const table = TABLES[of]
  const row = state.rows[of]?.find((each) => Object.values(each).includes(key))
  if (!table || !row) return of
  return rowText(of, row)
}
