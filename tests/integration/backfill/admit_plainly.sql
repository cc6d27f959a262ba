-- Admission as it is easiest to see right, for tests: one statement over every unfinished collection, each asked with
-- everything about it. It was admit_segments, but for _room: no more of a collection than there is room for takes a turn.
CREATE OR REPLACE FUNCTION admit_plainly(event_ids uuid[], lease_seconds double precision)
RETURNS TABLE (segment_id uuid, collection_id uuid, team_id text, lane text, fence int, last_position bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  _wanted     int := coalesce(array_length(event_ids, 1), 0);
  _used       jsonb;          -- holder -> slots in use
  _day        date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
  _begun      jsonb;          -- instance -> attempts begun on this day
  _candidate  record;
  _picked     segment_leases[] := '{}';
  _versions   int[] := '{}';
  _attempts   int[] := '{}';
  _holders    text[];
  _holder     text;
  _answer     record;
BEGIN
  -- Locked before anything is counted: two admissions that count at once would both find the last slot free.
  PERFORM pg_advisory_xact_lock(hashtext('admit_segments'));
  PERFORM settle_leases();

  SELECT coalesce(jsonb_object_agg(u.holder, u.used), '{}') INTO _used
    FROM (SELECT h.holder, count(*) AS used
            FROM segment_leases l
            JOIN amc_instances i ON i.instance_id = l.instance_id
            CROSS JOIN LATERAL unnest(slot_holders(l.lane, i.instance_id, i.account_id, l.team_id, l.user_id)) AS h(holder)
           WHERE l.holds_slot GROUP BY h.holder) u;

  SELECT coalesce(jsonb_object_agg(d.instance_id, d.begun), '{}') INTO _begun
    FROM instance_days d WHERE d.day = _day;

  -- A turn is the number of slots that the collection (user, team) would have with this one: sorting by
  -- turns gives round-robin over teams, in them over users, in them over collections. Of equals it is the turn of
  -- whoever was given a slot longest ago: else a slot that cannot be halved would always go to the same one. What was
  -- moved to the front passes only what is of the same user.
  FOR _candidate IN
    WITH collection_use AS (
      -- One that has stalled shows nothing of the SQL any more.
      SELECT l.collection_id, count(*) AS used, count(*) FILTER (WHERE l.lease_until < 'infinity') AS moving
        FROM segment_leases l WHERE l.holds_slot GROUP BY l.collection_id
    ), user_use AS (
      SELECT l.team_id, l.user_id, count(*) AS used FROM segment_leases l WHERE l.holds_slot
       GROUP BY l.team_id, l.user_id
    ), team_use AS (
      SELECT l.team_id, count(*) AS used FROM segment_leases l WHERE l.holds_slot GROUP BY l.team_id
    ), usable_accounts AS MATERIALIZED (
      SELECT a.account_id, coalesce(s.max_concurrent, 200) AS max_concurrent  -- AMC's own limit
        FROM (SELECT DISTINCT i.account_id FROM amc_instances i) a
        LEFT JOIN amc_account_states s ON s.account_id = a.account_id
       WHERE NOT account_held(a.account_id)
    ), late_failures AS MATERIALIZED (
      -- What the read models have not seen yet counts already.
      SELECT (e.configuration ->> 'collection_id')::uuid AS collection_id, count(*) AS failed
        FROM report_builder_audit e
       WHERE e.position > (SELECT p.position FROM projection_checkpoints p WHERE p.projection = 'read_models')
         AND e.event_type = 'segment.failed'
       GROUP BY 1
    ), collection_turns AS (
      SELECT c.collection_id, c.team_id, c.user_id, c.workflow_id, c.instance_id, c.lane, c.created_at, c.front_at,
             i.account_id, i.max_concurrent, i.max_executions_per_day, a.max_concurrent AS of_account,
             m.max_concurrent AS of_team, m.max_concurrent_per_user AS of_user,
             s.segment_id, s.stream_version, s.attempts, coalesce(u.used, 0) + s.turn AS turn, g.last_turns
        FROM report_data_collections c
        JOIN amc_instances i ON i.instance_id = c.instance_id
        JOIN usable_accounts a ON a.account_id = i.account_id
        LEFT JOIN team_limits m ON m.team_id = c.team_id
        LEFT JOIN collection_use u ON u.collection_id = c.collection_id
        LEFT JOIN late_failures f ON f.collection_id = c.collection_id
        CROSS JOIN LATERAL (
          SELECT array_agg(g.given_at ORDER BY h.number) AS last_turns  -- of the team, the user, the collection
            FROM unnest(turn_holders(c.team_id, c.user_id, c.collection_id)) WITH ORDINALITY AS h(holder, number)
            LEFT JOIN slot_turns g ON g.holder = h.holder
        ) g
        CROSS JOIN LATERAL (
          SELECT least(i.max_executions_per_day - coalesce((_begun ->> c.instance_id)::int, 0),
                       min(most.slots - coalesce((_used ->> most.holder)::int, 0))) AS room
            FROM unnest(slot_holders(c.lane, c.instance_id, i.account_id, c.team_id, c.user_id), ARRAY[
                   i.max_concurrent,
                   CASE WHEN c.lane = 'bulk' THEN i.max_concurrent - least(1, i.max_concurrent - 1) END,
                   a.max_concurrent, m.max_concurrent, m.max_concurrent_per_user]) AS most(holder, slots)
        ) room
        CROSS JOIN LATERAL (
          SELECT w.segment_id, w.stream_version, w.attempts,
                 row_number() OVER (ORDER BY w.front_at DESC NULLS LAST,
                                    CASE WHEN c.newest_first THEN DATE '2000-01-01' - w.week_start
                                         ELSE w.week_start - DATE '2000-01-01' END) AS turn
            FROM report_data_weeks w
           WHERE w.collection_id = c.collection_id
             AND (w.status = 'pending' OR (w.status = 'waiting' AND w.retry_at <= clock_timestamp()))
             AND w.stalled IS NULL
             AND NOT EXISTS (SELECT FROM segment_leases l WHERE l.segment_id = w.segment_id)
           ORDER BY turn
           -- Until AMC has taken the SQL, one at a time: a mistake in it costs one execution.
           LIMIT least(_wanted, greatest(0, least(room.room, c.parallel_limit - coalesce(u.used, 0),
                                                  CASE WHEN NOT c.sql_taken THEN 1 - coalesce(u.moving, 0) END)))
        ) s
       WHERE c.finished_at IS NULL AND c.paused IS NULL AND c.held IS NULL AND c.cancelled IS NULL
         AND coalesce(c.segments_failed + coalesce(f.failed, 0) < c.stop_at_failures, true)
         -- Where AMC fails, nothing new is begun until it is time to try.
         AND NOT EXISTS (SELECT FROM amc_breakers b
                          WHERE b.instance_id = c.instance_id AND b.open_until > clock_timestamp())
         -- A pause, a hold or a change that the read model has not seen yet counts already: it is waited for.
         AND NOT EXISTS (SELECT FROM report_builder_audit e
                          WHERE e.stream = 'collection-' || c.collection_id AND e.stream_version > c.stream_version)
    ), user_turns AS (
      SELECT t.*, coalesce(u.used, 0) + row_number() OVER (
               PARTITION BY t.team_id, t.user_id
               ORDER BY t.front_at DESC NULLS LAST, t.turn, t.last_turns[3] NULLS FIRST, t.created_at,
                        t.collection_id) AS user_turn
        FROM collection_turns t
        LEFT JOIN user_use u ON u.team_id = t.team_id AND u.user_id IS NOT DISTINCT FROM t.user_id
    )
    SELECT t.*, coalesce(u.used, 0) + row_number() OVER (
             PARTITION BY t.team_id
             ORDER BY t.user_turn, t.last_turns[2] NULLS FIRST, t.created_at, t.collection_id) AS team_turn
      FROM user_turns t LEFT JOIN team_use u ON u.team_id = t.team_id
     ORDER BY t.lane = 'bulk', team_turn, t.last_turns[1] NULLS FIRST, t.created_at, t.collection_id, t.turn
  LOOP
    EXIT WHEN cardinality(_picked) >= _wanted;
    CONTINUE WHEN coalesce((_begun ->> _candidate.instance_id)::int, 0) >= _candidate.max_executions_per_day;
    _holders := slot_holders(_candidate.lane, _candidate.instance_id, _candidate.account_id,
                             _candidate.team_id, _candidate.user_id);
    CONTINUE WHEN EXISTS (
      SELECT FROM unnest(_holders, ARRAY[
        _candidate.max_concurrent,
        -- One slot of an instance that has more than one is kept for scheduled and once-only runs.
        CASE WHEN _candidate.lane = 'bulk' THEN _candidate.max_concurrent - least(1, _candidate.max_concurrent - 1) END,
        _candidate.of_account, _candidate.of_team, _candidate.of_user]) AS most(holder, slots)
       WHERE coalesce((_used ->> most.holder)::int, 0) >= most.slots);
    _begun := jsonb_set(_begun, ARRAY[_candidate.instance_id],
                        to_jsonb(coalesce((_begun ->> _candidate.instance_id)::int, 0) + 1));
    FOREACH _holder IN ARRAY _holders LOOP
      _used := jsonb_set(_used, ARRAY[_holder], to_jsonb(coalesce((_used ->> _holder)::int, 0) + 1));
    END LOOP;
    _picked := _picked || ROW(
      _candidate.segment_id, _candidate.collection_id, _candidate.team_id, _candidate.user_id,
      _candidate.workflow_id, _candidate.instance_id, _candidate.lane, 1, 'submit', 0, true,
      clock_timestamp() + make_interval(secs => lease_seconds), 0, 0)::segment_leases;
    _versions := _versions || _candidate.stream_version;
    _attempts := _attempts || _candidate.attempts + 1;
  END LOOP;
  IF cardinality(_picked) = 0 THEN RETURN; END IF;

  -- Each with the version that the read model has seen: a segment that has moved on since is a conflict.
  SELECT * INTO _answer FROM (
    SELECT array_agg(NULL::text) AS nothing, array_agg(p.n::int) AS numbers,
           array_agg('segment-' || p.segment_id) AS streams, array_agg('segment.dispatched'::text) AS types,
           array_agg(1) AS ones, array_agg(p.team_id) AS teams, array_agg(p.user_id) AS users,
           array_agg(p.workflow_id) AS workflows,
           array_agg(json_build_object('collection_id', p.collection_id, 'attempt', _attempts[p.n],
                                       'step', 'submit', 'reason', 'admitted')::text) AS bodies,
           array_agg(json_build_object('correlation_id', p.collection_id)::text) AS metadata
      FROM unnest(_picked) WITH ORDINALITY AS p(segment_id, collection_id, team_id, user_id, workflow_id,
             instance_id, lane, fence, step, sequence, holds_slot, lease_until, begun, renewals, n)) AS a,
    LATERAL append_events(
      a.nothing, a.nothing::bytea[], a.nothing::int[], a.nothing,
      a.numbers, a.streams, _versions,
      a.numbers, event_ids[1 : cardinality(_picked)], a.types, a.ones, a.teams, a.users, a.workflows,
      a.nothing, a.bodies, a.metadata);

  RETURN QUERY
  WITH given AS (
    INSERT INTO segment_leases
    SELECT p.segment_id, p.collection_id, p.team_id, p.user_id, p.workflow_id, p.instance_id, p.lane,
           _answer.versions[p.n], p.step, p.sequence, p.holds_slot, p.lease_until
      FROM unnest(_picked) WITH ORDINALITY AS p(segment_id, collection_id, team_id, user_id, workflow_id,
             instance_id, lane, fence, step, sequence, holds_slot, lease_until, begun, renewals, n)
     WHERE _answer.verdicts[p.n] = 'appended'
    RETURNING segment_leases.*
  ), counted AS (
    INSERT INTO instance_days AS d
    SELECT g.instance_id, _day, count(*) FROM given g GROUP BY g.instance_id
    ON CONFLICT ON CONSTRAINT instance_days_pkey DO UPDATE
      SET day = excluded.day, begun = excluded.begun + CASE WHEN d.day = excluded.day THEN d.begun ELSE 0 END
  ), turned AS (
    INSERT INTO slot_turns
    SELECT h.holder, max(clock_timestamp() + g.number * interval '1 microsecond')
      FROM (SELECT *, row_number() OVER () AS number FROM given) g
      CROSS JOIN LATERAL unnest(turn_holders(g.team_id, g.user_id, g.collection_id)) AS h(holder)
     GROUP BY h.holder
    ON CONFLICT ON CONSTRAINT slot_turns_pkey DO UPDATE SET given_at = excluded.given_at
  )
  SELECT g.segment_id, g.collection_id, g.team_id, g.lane, g.fence,
         (SELECT max(p) FROM unnest(_answer.last_positions) AS p)
    FROM given g;
END
$$;
