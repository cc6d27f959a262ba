import { useState } from 'react'
import { useMay } from '../../api/may'
import type { ScheduleSummary } from '../../api/types'
import { Button, LinkButton } from '../../components/Button'
import { Dialog } from '../../components/Dialog'
import { TextInput } from '../../components/Field'
import { Failed } from '../../components/States'
import { type Act, useAct } from './acts'

type Asked = Exclude<Act, 'run-now' | 'release'>

const ASKS: Record<Asked, { title: string; says: string; act: string; final?: true }> = {
  pause: { title: 'Pause', says: 'It starts no run until somebody resumes it. What runs now goes on.', act: 'Pause' },
  resume: {
    title: 'Resume',
    says: 'It goes on with its next run. Those that it has missed are made up for as its rules say.',
    act: 'Resume',
  },
  end: {
    title: 'End',
    says: 'It starts no run any more, for good. What runs now goes on, and all results stay.',
    act: 'End the schedule',
    final: true,
  },
}

type ActsProps = {
  schedule: ScheduleSummary
  /** In a row of a list: only what is done often, and told apart by the schedule's name. */
  inRow?: boolean
}

export function ScheduleActs({ schedule, inRow = false }: ActsProps) {
  const { schedule_id: id, name, status } = schedule
  const may = useMay('schedules:write')
  const act = useAct(id)
  const [asked, setAsked] = useState<Asked | null>(null)
  if (!may || status === 'ended') return null
  const look = inRow ? 'quiet' : 'secondary'
  const named = (deed: string) => (inRow ? { 'aria-label': `${deed} ${name}` } : {})
  const running = act.isPending && act.variables.act === 'run-now'
  return (
    <>
      <div className={inRow ? 'acts' : 'row'}>
        <Button
          look={look}
          {...named('Run now:')}
          busy={running}
          onClick={() => act.mutate({ act: 'run-now', reason: '' })}
        >
          Run now
        </Button>
        {!inRow && schedule.held && (
          <Button
            busy={act.isPending && act.variables.act === 'release'}
            onClick={() => act.mutate({ act: 'release', reason: '' })}
          >
            Start it now
          </Button>
        )}
        {status === 'active' ? (
          <Button look={look} {...named('Pause')} onClick={() => setAsked('pause')}>
            Pause
          </Button>
        ) : (
          <Button look={look} {...named('Resume')} onClick={() => setAsked('resume')}>
            Resume
          </Button>
        )}
        {!inRow && (
          <>
            <LinkButton to={`/schedules/${id}/change`}>Change</LinkButton>
            <Button onClick={() => setAsked('end')}>End</Button>
          </>
        )}
      </div>
      {act.error && !asked && <Failed error={act.error} />}
      {asked && (
        <ActDialog
          asked={asked}
          name={name}
          busy={act.isPending}
          error={act.error}
          onAct={(reason) => act.mutate({ act: asked, reason }, { onSuccess: () => setAsked(null) })}
          onClose={() => {
            setAsked(null)
            act.reset()
          }}
        />
      )}
    </>
  )
}

type ActDialogProps = {
  asked: Asked
  name: string
  busy: boolean
  error: unknown
  onAct: (reason: string) => void
  onClose: () => void
}

function ActDialog({ asked, name, onAct, ...dialog }: ActDialogProps) {
  const [reason, setReason] = useState('')
  const { title, says, ...words } = ASKS[asked]
  return (
    <Dialog {...dialog} {...words} title={`${title} “${name}”?`} onAct={() => onAct(reason)}>
      <p>{says}</p>
      <TextInput
        label="Reason"
        optional
        description="For your colleagues. It is kept with the schedule."
        maxLength={500}
        value={reason}
        onChange={setReason}
      />
    </Dialog>
  )
}
