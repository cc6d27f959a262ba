-- Work that nobody was heard of: a new fence for each expired lease, and the step that the log says is next.
--
-- The slot stays the segment's: what AMC runs for it may still be running. Answers what to publish again. Where no
-- worker begins what is sent, each new lease is twice as long as the last, up to 16 times: an order waits in the
-- broker until there are workers, and more of them would not help.
CREATE OR REPLACE FUNCTION renew_expired_leases(
  event_ids uuid[], lease_seconds double precision
) RETURNS TABLE (
  segment_id uuid, collection_id uuid, team_id text, lane text, step text, fence int, last_position bigint
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  _lease  record;
  _answer record;
  _number int := 0;
  _step   text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('admit_segments'));
  PERFORM settle_leases();

  FOR _lease IN
    SELECT l.*, newest.stream_version, newest.event_type, newest.configuration, given.attempt
      FROM (SELECT * FROM segment_leases
             WHERE lease_until < clock_timestamp()
             ORDER BY lease_until LIMIT cardinality(event_ids) FOR UPDATE) l
      CROSS JOIN LATERAL (
        SELECT a.stream_version, a.event_type, a.configuration FROM report_builder_audit a
         WHERE a.stream = 'segment-' || l.segment_id ORDER BY a.stream_version DESC LIMIT 1) newest
      CROSS JOIN LATERAL (
        SELECT (a.configuration ->> 'attempt')::int AS attempt FROM report_builder_audit a
         WHERE a.stream = 'segment-' || l.segment_id AND a.event_type = 'segment.dispatched'
         ORDER BY a.stream_version DESC LIMIT 1) given
     -- One that has come to its end since settle_leases looked: the next settling takes its lease away.
     WHERE newest.event_type NOT IN ('segment.completed', 'segment.retry_scheduled',
                                     'segment.released', 'segment.failed', 'segment.cancelled',
                                     'segment.retried', 'segment.split', 'segment.superseded', 'segment.stalled')
  LOOP
    _number := _number + 1;
    _step := CASE _lease.event_type
               WHEN 'segment.dispatched' THEN _lease.configuration ->> 'step'
               WHEN 'segment.resumed' THEN _lease.configuration ->> 'step'
               WHEN 'segment.submitted' THEN 'poll'
               WHEN 'segment.started' THEN 'poll'
               WHEN 'segment.executed' THEN 'fetch'
               ELSE 'submit'
             END;
    SELECT * INTO _answer FROM append_events(
      ARRAY[NULL::text], ARRAY[NULL::bytea], ARRAY[NULL::int], ARRAY[NULL::text],
      ARRAY[1], ARRAY['segment-' || _lease.segment_id], ARRAY[_lease.stream_version],
      ARRAY[1], event_ids[_number : _number], ARRAY['segment.dispatched'], ARRAY[1], ARRAY[_lease.team_id],
      ARRAY[_lease.user_id], ARRAY[_lease.workflow_id], ARRAY[NULL::text],
      ARRAY[json_build_object('collection_id', _lease.collection_id, 'attempt', _lease.attempt,
                              'step', _step, 'reason', 'lease_expired')::text],
      ARRAY[json_build_object('correlation_id', _lease.collection_id)::text]);
    CONTINUE WHEN _answer.verdicts[1] <> 'appended';
    RETURN QUERY
    UPDATE segment_leases l
       SET fence = _answer.versions[1], step = _step, sequence = 0,
           -- An event since the last dispatch is progress; without one, what was begun before counts on.
           begun = CASE WHEN _lease.event_type = 'segment.dispatched' THEN l.begun ELSE 0 END,
           renewals = l.renewals + 1,
           lease_until = clock_timestamp() + make_interval(secs => lease_seconds * 2 ^ least(l.renewals, 4))
     WHERE l.segment_id = _lease.segment_id
    RETURNING l.segment_id, l.collection_id, l.team_id, l.lane, l.step, l.fence, _answer.last_positions[1];
  END LOOP;
END
$$;
