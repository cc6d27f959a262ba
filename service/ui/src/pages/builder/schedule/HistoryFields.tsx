import type { AvailableParameters, WindowAnswer } from '../../../api/types'
import { Checkbox } from '../../../components/Field'
import { LookbackField } from '../LookbackField'
import type { FormPart } from './form'

const PRESETS = ['last_12_months', 'last_52_weeks', 'last_3_months', 'last_quarter', 'last_4_weeks']

type HistoryFieldsProps = FormPart & { asked: AvailableParameters | undefined; window: WindowAnswer | undefined }

export function HistoryFields({ values, change, errors, asked, window }: HistoryFieldsProps) {
  return (
    <>
      <LookbackField
        label="Window of the history"
        description="It is not the window of each run, which step 1 has."
        value={values.lookback}
        onChange={(lookback) => change({ lookback })}
        presets={asked?.lookback.presets ?? []}
        first={PRESETS}
        limits={asked?.lookback.limits}
        window={window}
        errors={errors}
        once
        pointer="/backfill_config/lookback_config"
      />
      {values.type === 'backfill_with_schedule' && (
        <Checkbox
          label="Start the schedule when the history is complete"
          description="Otherwise both begin at once."
          pointer="/backfill_config/hold_schedule"
          checked={values.hold}
          onChange={(hold) => change({ hold })}
        />
      )}
    </>
  )
}
