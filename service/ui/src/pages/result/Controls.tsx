/** What a person can do to a history while it runs, and after. Each says what it has done. */
import { type MouseEvent, useState } from 'react'
import { actualVersion, FieldErrors } from '../../api/problems'
import type { ChangeCollection } from '../../api/types'
import { Button } from '../../components/Button'
import { Dialog } from '../../components/Dialog'
import { Choice, NumberInput, TextInput } from '../../components/Field'
import { Failed } from '../../components/States'
import { counted, ORDERS } from '../../words'
import { useAct } from './commands'
import type { View } from './progress'
import styles from './Result.module.css'

export function Controls({ view }: { view: View }) {
  const { collection, tally } = view
  const [told, setTold] = useState('')
  const [open, setOpen] = useState<'cancel' | 'settings' | null>(null)
  const act = useAct(collection.collection_id, setTold)
  const busy = (name: string) => act.isPending && act.variables.act.do === name
  const over = collection.finished_at !== null
  const ending = collection.cancelled !== null
  const again = tally.failed + tally.stuck
  const rests = collection.paused !== null || collection.held !== null
  if ((over || ending) && (again === 0 || ending)) return null

  return (
    <section className="stack-small" aria-label="Controls">
      <div className="row">
        {!over &&
          (rests ? (
            <Button
              look="primary"
              busy={act.isPending}
              onClick={once(() =>
                act.mutate({ act: { do: 'resume' }, says: 'Resumed. It goes on with the next period.' }),
              )}
            >
              Resume
            </Button>
          ) : (
            <Button
              busy={act.isPending}
              onClick={once(() => act.mutate({ act: { do: 'pause' }, says: pausedText(tally.working) }))}
            >
              Pause
            </Button>
          ))}
        {again > 0 && (
          <Button
            busy={busy('retry')}
            onClick={() =>
              act.mutate({
                act: { do: 'retry', segmentIds: null },
                says: `${counted(again, 'period runs', 'periods run')} again.`,
              })
            }
          >
            Retry {counted(again, 'failed period')}
          </Button>
        )}
        {!over && collection.lane === 'bulk' && (
          <Button
            busy={busy('front')}
            onClick={() =>
              act.mutate({ act: { do: 'front' }, says: 'Moved to the front: it runs before your other histories.' })
            }
          >
            To the front
          </Button>
        )}
        {!over && tally.total > 1 && <Button onClick={() => setOpen('settings')}>How it runs</Button>}
        {!over && <Button onClick={() => setOpen('cancel')}>Cancel …</Button>}
      </div>
      {told && !act.error && <p className={styles.told}>{told}</p>}
      {act.error && open === null && <Failed error={act.error} />}
      {open === 'cancel' && (
        <Cancel
          view={view}
          busy={busy('cancel')}
          error={act.error}
          onClose={() => {
            act.reset()
            setOpen(null)
          }}
          onCancel={(reason) =>
            act.mutate(
              { act: { do: 'cancel', ...(reason ? { reason } : {}) }, says: cancelledText(view) },
              { onSuccess: () => setOpen(null) },
            )
          }
        />
      )}
      {open === 'settings' && (
        <Settings
          view={view}
          busy={busy('change')}
          error={act.error}
          onClose={() => {
            act.reset()
            setOpen(null)
          }}
          onChange={(change, version, says) =>
            act.mutate({ act: { do: 'change', change, version }, says }, { onSuccess: () => setOpen(null) })
          }
        />
      )}
    </section>
  )
}

/** Of a double click the first one alone: its second would meet the button that takes it back, in the same place. */
function once(act: () => void) {
  return (event: MouseEvent) => {
    if (event.detail < 2) act()
  }
}

function pausedText(working: number): string {
  if (working === 0) return 'Paused. Nothing starts until it is resumed.'
  return `Paused. ${counted(working, 'period')} that ${working === 1 ? 'has begun comes' : 'have begun come'} to the end; nothing else starts.`
}

function cancelledText({ tally }: View): string {
  return `Cancelled. ${tally.arrived ? `${counted(tally.arrived, 'period')} that ${tally.arrived === 1 ? 'is' : 'are'} in stay.` : 'Nothing was fetched.'}`
}

type DialogProps = { view: View; busy: boolean; error: unknown; onClose: () => void }

function Cancel({ view, busy, error, onClose, onCancel }: DialogProps & { onCancel: (reason: string) => void }) {
  const { tally } = view
  const [reason, setReason] = useState('')
  const left = tally.working + tally.waiting + tally.stuck
  return (
    <Dialog
      title="Cancel for good?"
      act={`Cancel ${counted(left, 'period')}`}
      leave="Let it run"
      final
      busy={busy}
      error={error}
      onAct={() => onCancel(reason.trim())}
      onClose={onClose}
    >
      <p>
        {counted(left, 'period')} that {left === 1 ? 'is' : 'are'} not in will not be fetched, and Amazon is asked to
        end what it runs. This cannot be taken back; to stop for a while, pause it instead.
        {tally.arrived > 0 &&
          ` The ${counted(tally.arrived, 'period')} that ${tally.arrived === 1 ? 'is' : 'are'} in stay.`}
      </p>
      <TextInput
        label="Why"
        optional
        description="Kept with it, for your colleagues."
        maxLength={500}
        value={reason}
        onChange={setReason}
      />
    </Dialog>
  )
}

type SettingsProps = DialogProps & { onChange: (change: ChangeCollection, version: number, says: string) => void }

function Settings({ view, busy, error, onClose, onChange }: SettingsProps) {
  // As it stood when this was opened: what others have changed since is theirs.
  const [collection] = useState(view.collection)
  const [parallel, setParallel] = useState<number | null>(collection.parallel_limit)
  const [attempts, setAttempts] = useState<number | null>(collection.max_attempts)
  const [stop, setStop] = useState<number | null>(collection.stop_after_failures)
  const [order, setOrder] = useState(collection.order)
  const errors = FieldErrors.of(error)

  function save() {
    const change: ChangeCollection = {}
    const says: string[] = []
    if (parallel !== null && parallel !== collection.parallel_limit) {
      change.parallel_limit = parallel
      says.push(`at most ${parallel} at once`)
    }
    if ((stop ?? 0) !== (collection.stop_after_failures ?? 0)) {
      change.stop_after_failures = stop ?? 0
      says.push(stop ? `it stops after ${counted(stop, 'more failure')}` : 'it never stops for failures')
    }
    if (attempts !== null && attempts !== collection.max_attempts) {
      change.max_attempts = attempts
      says.push(`up to ${counted(attempts, 'attempt')} for each period`)
    }
    if (order !== collection.order) {
      change.order = order
      says.push(`${ORDERS[order].toLowerCase()}`)
    }
    if (says.length === 0) onClose()
    else
      onChange(
        change,
        actualVersion(error) ?? collection.version,
        `Changed, from the next period on: ${says.join('; ')}.`,
      )
  }
  return (
    <Dialog
      title="How it runs"
      act="Save"
      leave="Leave it as it is"
      busy={busy}
      error={errors.all.length === 0 && error}
      onAct={save}
      onClose={onClose}
    >
      <NumberInput
        label="Periods at once"
        description="A lower number ends nothing that runs."
        min={1}
        unit="at most"
        value={parallel}
        onChange={setParallel}
        error={errors.at('/parallel_limit')}
        pointer="/parallel_limit"
      />
      <NumberInput
        label="Stop after failures"
        description="Then it waits for a person. Empty: it never stops for failures."
        min={0}
        unit="from now on"
        value={stop}
        onChange={setStop}
        error={errors.at('/stop_after_failures')}
        pointer="/stop_after_failures"
      />
      <NumberInput
        label="Attempts for each period"
        min={1}
        unit="at most"
        value={attempts}
        onChange={setAttempts}
        error={errors.at('/max_attempts')}
        pointer="/max_attempts"
      />
      <Choice
        label="Order"
        look="chips"
        options={[
          { value: 'newest_first', label: ORDERS.newest_first },
          { value: 'oldest_first', label: ORDERS.oldest_first },
        ]}
        value={order}
        onChange={setOrder}
      />
    </Dialog>
  )
}
