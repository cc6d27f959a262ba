import type { Preview } from '../../../api/types'
import { Button } from '../../../components/Button'
import { Callout } from '../../../components/Callout'
import { Details } from '../../../components/Details'
import { Checkbox, Choice, NumberInput } from '../../../components/Field'
import { Select } from '../../../components/Select'
import { CUTS, inOurWords, ORDERS, REPROCESS, WEEKDAYS } from '../../../words'
import styles from '../Builder.module.css'
import { type Cut, hasHistory, type ScheduleDraft } from './draft'
import type { FormPart } from './form'
import { entries } from './RecurrenceFields'

type PeriodFieldsProps = FormPart & {
  /** The beginning of the pointers about them. */
  pointer: string
  mostAtOnce: number
  recommendation: Preview['recommendation'] | undefined
}

const CHOICES = Object.entries(CUTS).map(([value, label]) => ({ value: value as Cut | 'whole', label }))
const WHOLE = { value: 'whole' as const, label: 'One piece' }

export function PeriodFields({
  values,
  change,
  error,
  errors,
  pointer,
  mostAtOnce,
  recommendation,
}: PeriodFieldsProps) {
  const history = hasHistory(values.type)
  const cut: Cut | 'whole' = history ? values.cut : (values.runCut ?? 'whole')
  const choose = (next: Cut | 'whole') => {
    if (!history) change({ runCut: next === 'whole' ? null : next })
    else if (next !== 'whole') change({ cut: next })
  }
  return (
    <>
      <Choice
        label={history ? 'Cut into' : 'Fetch the window in'}
        look="chips"
        pointer={pointer}
        error={error(pointer) ?? error(`${pointer}/type`)}
        options={history ? CHOICES : [WHOLE, ...CHOICES]}
        value={cut}
        onChange={choose}
      />
      {recommendation && <Recommended {...{ recommendation, cut, choose, history }} />}
      {cut !== 'whole' && (
        <Details
          summary="How the periods are fetched"
          wrong={FOLDED.some((name) => errors.within(`${pointer}/${name}`).length > 0)}
        >
          <div className={styles.pair}>
            <NumberInput
              label="At once"
              description={`The instance allows ${mostAtOnce}.`}
              unit="periods"
              min={1}
              max={mostAtOnce}
              pointer={`${pointer}/parallel_limit`}
              error={error(`${pointer}/parallel_limit`)}
              value={values.parallel}
              onChange={(parallel) => change({ parallel })}
            />
          </div>
          <Choice
            label="Order"
            look="chips"
            options={entries(ORDERS).map(({ id, name }) => ({ value: id as ScheduleDraft['order'], label: name }))}
            value={values.order}
            onChange={(order) => change({ order })}
          />
          {cut === 'weekly' && (
            <Select
              label="Weeks begin on"
              size="medium"
              items={WEEKDAYS.map((name, index) => ({ id: String(index + 1), name }))}
              value={String(values.weekStart)}
              onChange={(day) => change({ weekStart: Number(day) })}
            />
          )}
          <Checkbox
            label="Try again where a period fails in a way that may pass"
            checked={values.retry}
            onChange={(retry) => change({ retry })}
          />
          {values.retry && (
            <NumberInput
              label="Attempts in all"
              min={1}
              pointer={`${pointer}/max_attempts`}
              error={error(`${pointer}/max_attempts`)}
              value={values.attempts}
              onChange={(attempts) => change({ attempts })}
            />
          )}
          <NumberInput
            label="Stop after"
            optional
            unit="failed periods"
            min={1}
            pointer={`${pointer}/stop_after_failures`}
            error={error(`${pointer}/stop_after_failures`)}
            value={values.stopAfter}
            onChange={(stopAfter) => change({ stopAfter })}
          />
          <Choice
            label="What to fetch"
            options={entries(REPROCESS).map(({ id, name }) => ({
              value: id as ScheduleDraft['reprocess'],
              label: name,
            }))}
            value={values.reprocess}
            onChange={(reprocess) => change({ reprocess })}
          />
        </Details>
      )}
    </>
  )
}

const FOLDED = ['parallel_limit', 'max_attempts', 'stop_after_failures']

type RecommendedProps = {
  recommendation: Preview['recommendation']
  cut: Cut | 'whole'
  choose: (cut: Cut | 'whole') => void
  history: boolean
}

function Recommended({ recommendation, cut, choose, history }: RecommendedProps) {
  const wanted = recommendation.segmentation_config?.type ?? 'whole'
  const name = wanted === 'whole' ? 'one piece' : CUTS[wanted].toLowerCase()
  // A history is always cut; what would best be left whole is then best cut into the largest periods.
  const offered = wanted === 'whole' && history ? null : wanted
  const follows = cut === offered
  return (
    <Callout
      look={follows ? 'plain' : 'info'}
      actions={
        offered &&
        !follows && (
          <Button onClick={() => choose(offered)}>{wanted === 'whole' ? 'Take one piece' : `Take ${name}`}</Button>
        )
      }
    >
      <p>
        <strong>{follows ? 'As recommended: ' : 'Recommended: '}</strong>
        {name}. <span className="muted">{inOurWords(recommendation.reason)}</span>
      </p>
    </Callout>
  )
}
