/** For operators: work that the broker gave up, to be sent again or discarded. */
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import { answered, api, writing } from '../../api/client'
import { useCommand } from '../../api/command'
import { collectionQuery, LETTERS, lettersQuery, sessionQuery } from '../../api/queries'
import type { DeadLetter } from '../../api/types'
import { Button } from '../../components/Button'
import { Details } from '../../components/Details'
import { Dialog } from '../../components/Dialog'
import { TextInput } from '../../components/Field'
import { Pages } from '../../components/Pages'
import { Empty } from '../../components/States'
import { type Column, Nothing, Table } from '../../components/Table'
import { Tag } from '../../components/Tag'
import { resultAddress } from '../../lib/addresses'
import { whenText } from '../../lib/dates'
import { announce } from '../../shell/announce'
import { Page } from '../../shell/Page'
import { DEATHS, WORK } from '../../words'
import styles from './Letters.module.css'

type Asked = { act: 'resend' | 'discard'; letter: DeadLetter }

export function Component() {
  const letters = useInfiniteQuery(lettersQuery)
  const session = useQuery(sessionQuery)
  const [asked, setAsked] = useState<Asked | null>(null)
  const columns: Column<DeadLetter>[] = [
    {
      name: 'Work',
      main: true,
      cell: (letter) => (
        <>
          <strong>{letter.step ? WORK[letter.step] : 'Not known'}</strong>
          <div className="muted small">{DEATHS[letter.reason]}</div>
          {letter.body !== null && (
            <Details summary="How it begins">
              <pre className={styles.body}>{letter.body}</pre>
            </Details>
          )}
        </>
      ),
    },
    { name: 'State', cell: (letter) => <State letter={letter} /> },
    {
      name: 'Of',
      cell: (letter) => {
        if (!letter.collection_id) return <Nothing>Not known</Nothing>
        if (letter.team_id !== session.data?.team_id) return `A result of team ${letter.team_id}`
        return <OfResult id={letter.collection_id} />
      },
    },
    {
      name: 'Given up',
      cell: (letter) => (letter.died_at ? <span className="nowrap">{whenText(letter.died_at)}</span> : <Nothing />),
    },
    {
      name: 'Acts',
      unnamed: true,
      cell: (letter) => (
        <div className="acts">
          <Button look="quiet" onClick={() => setAsked({ act: 'resend', letter })}>
            Send again
          </Button>
          <Button look="quiet" onClick={() => setAsked({ act: 'discard', letter })}>
            Discard
          </Button>
        </div>
      ),
    },
  ]
  return (
    <Page title="Dead letters" lead="Work that was given up, of all teams. Nobody tries it again until you say so.">
      <Pages
        list={letters}
        more="Show older ones"
        empty={
          <Empty title="Nothing was given up">
            <p className="muted">Work whose workers failed or died again and again would be listed here.</p>
          </Empty>
        }
      >
        {(items) => <Table caption="Dead letters" columns={columns} rows={items} keyOf={(each) => each.letter_id} />}
      </Pages>
      {asked && <Settle {...asked} onClose={() => setAsked(null)} />}
    </Page>
  )
}

function OfResult({ id }: { id: string }) {
  const result = useQuery(collectionQuery(id))
  if (!result.data) return <Nothing>Not known</Nothing>
  return <Link to={resultAddress(result.data)}>{result.data.name}</Link>
}

function State({ letter: { stalled } }: { letter: DeadLetter }) {
  if (stalled === null) return <Tag>No such period</Tag>
  return stalled ? <Tag look="bad">Its period rests</Tag> : <Tag look="good">Gone on without it</Tag>
}

function Settle({ act, letter, onClose }: Asked & { onClose: () => void }) {
  const client = useQueryClient()
  const [reason, setReason] = useState('')
  const [tried, setTried] = useState(false)
  const resends = act === 'resend'
  const missing = !resends && reason.trim() === ''
  const settle = useCommand<{ reason: string | null }, { resumed: boolean }>(
    (body, key) => {
      const request = { params: { path: { letter_id: letter.letter_id } }, headers: writing(key), body }
      return answered(
        resends
          ? api.POST('/api/dead-letters/{letter_id}/resend', request)
          : api.POST('/api/dead-letters/{letter_id}/discard', request),
      )
    },
    {
      onSuccess: async ({ resumed }) => {
        announce(resends ? (resumed ? 'Sent again: its period goes on' : 'Sent again') : 'Discarded')
        await client.invalidateQueries({ queryKey: LETTERS })
        onClose()
      },
    },
  )
  return (
    <Dialog
      title={resends ? 'Send it again?' : 'Discard it?'}
      act={resends ? 'Send again' : 'Discard'}
      final={!resends}
      busy={settle.isPending}
      error={settle.error}
      onAct={() => {
        setTried(true)
        if (!missing) settle.mutate({ reason: reason.trim() || null })
      }}
      onClose={onClose}
    >
      <p>
        {resends
          ? 'Do so when its cause is gone. Otherwise it comes back here.'
          : letter.stalled
            ? 'The message is deleted. Its period goes on resting until somebody retries it on its own page.'
            : 'The message is deleted. Nothing waits for it.'}
      </p>
      <TextInput
        label="Reason"
        optional={resends}
        description="It is recorded with what you do."
        maxLength={500}
        error={tried && missing ? 'Say why, for whoever looks for it later.' : undefined}
        value={reason}
        onChange={setReason}
      />
    </Dialog>
  )
}
