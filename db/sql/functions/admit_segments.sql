-- Gives free slots to waiting segments: the lease and segment.dispatched commit together.
--
-- event_ids are as many new ids as segments may be admitted at once; lease_seconds is how long a step may
-- stay silent. Answers what was admitted, to be published after the commit; a publication that is lost is
-- sent again when the lease ends.
--
-- What it costs follows from the collections that wait where there is room, not from all that are planned.
CREATE OR REPLACE FUNCTION admit_segments(event_ids uuid[], lease_seconds double precision)
RETURNS TABLE (segment_id uuid, collection_id uuid, team_id text, lane text, fence int, last_position bigint)
LANGUAGE plpgsql
-- What is free and what waits changes faster than what the planner knows: each look must stay an index probe. That is
-- what OFFSET 0 is for, too.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off  -- what is set off above looks too dear to a planner that would rather compile it
SET work_mem = '32MB'
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  _wanted     int := coalesce(array_length(event_ids, 1), 0);
  _day        date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
  _free       record;         -- arrays, one element of each for an instance and lane with room
  _used       jsonb;          -- team, or user in a team -> slots in use
  _given      jsonb := '{}';  -- holder -> slots given here
  _now        jsonb;
  _full       text[] := '{}'; -- holders that had room, and have none any more
  _filled     text[];
  _candidate  record;
  _picked     segment_leases[] := '{}';
  _versions   int[] := '{}';
  _attempts   int[] := '{}';
  _holders    text[];
  _answer     record;
BEGIN
  -- Locked before anything is counted: two admissions that count at once would both find the last slot free.
  PERFORM pg_advisory_xact_lock(hashtext('admit_segments'));
  PERFORM settle_new_events();

  SELECT array_agg(f.instance_id) AS instances, array_agg(f.lane) AS lanes, array_agg(f.account_id) AS accounts,
         array_agg(f.room) AS rooms, array_agg(f.lane_room) AS lane_rooms, array_agg(f.account_room) AS account_rooms
    INTO _free FROM free_slots(_day) f
   CROSS JOIN LATERAL (
     SELECT FROM report_data_collections c
      WHERE c.instance_id = f.instance_id AND c.lane = f.lane
        AND c.finished_at IS NULL AND c.paused IS NULL AND c.held IS NULL AND c.cancelled IS NULL LIMIT 1) any_that_waits;
  IF _free.instances IS NULL THEN RETURN; END IF;

  SELECT coalesce(jsonb_object_agg(u.holder, u.used), '{}') INTO _used
    FROM (SELECT h.holder, sum(l.used) AS used
            FROM (SELECT l.team_id, l.user_id, count(*) AS used FROM segment_leases l WHERE l.holds_slot
                   GROUP BY l.team_id, l.user_id) l
            CROSS JOIN LATERAL unnest((turn_holders(l.team_id, l.user_id, NULL))[1:2]) AS h(holder)
           GROUP BY h.holder) u;

  -- A turn is the number of slots that the collection (user, team) would have with this one: sorting by
  -- turns gives round-robin over teams, in them over users, in them over collections. Of equals it is the turn of
  -- whoever was given a slot longest ago: else a slot that cannot be halved would always go to the same one. What was
  -- moved to the front passes only what is of the same user. What there is no room for takes no turn.
  FOR _candidate IN
    WITH late AS MATERIALIZED (
      -- What the read models have not seen yet counts already: a failure, and a pause, a hold or a change of a
      -- collection, which is waited for.
      SELECT coalesce(jsonb_object_agg(e.collection_id, e.failed), '{}') AS failed,
             coalesce(jsonb_object_agg(e.collection_id, e.version) FILTER (WHERE e.version IS NOT NULL), '{}')
               AS versions
        FROM (SELECT CASE WHEN a.event_type = 'segment.failed' THEN (a.configuration ->> 'collection_id')::uuid
                          ELSE substr(a.stream, length('collection-') + 1)::uuid END AS collection_id,
                     count(*) FILTER (WHERE a.event_type = 'segment.failed') AS failed,
                     max(a.stream_version) FILTER (WHERE a.stream LIKE 'collection-%') AS version
                FROM report_builder_audit a
               WHERE a.position > (SELECT p.position FROM projection_checkpoints p WHERE p.projection = 'read_models')
                 AND (a.event_type = 'segment.failed' OR a.stream LIKE 'collection-%')
               GROUP BY 1) e
    ), able AS MATERIALIZED (
      -- What is sorted by comes first, and is never null: the rows are sorted three times.
      SELECT c.lane = 'bulk' AS bulk, coalesce(c.front_at, '-infinity') AS front_at,
             coalesce((SELECT g.given_at FROM slot_turns g WHERE g.holder = t.holders[1]), '-infinity') AS team_turned,
             coalesce((SELECT g.given_at FROM slot_turns g WHERE g.holder = t.holders[2]), '-infinity') AS user_turned,
             coalesce((SELECT g.given_at FROM slot_turns g WHERE g.holder = t.holders[3]), '-infinity')
               AS collection_turned,
             c.created_at, c.collection_id, u.used, h.team_used, h.user_used,
             c.team_id, c.user_id, c.workflow_id, c.instance_id, c.lane, c.newest_first,
             f.account_id, f.room, f.lane_room, f.account_room, r.team_room, r.user_room,
             greatest(0, least(
               _wanted, f.room, f.lane_room, f.account_room, r.team_room, r.user_room, c.parallel_limit - u.used,
               -- Until AMC has taken the SQL, one at a time: a mistake in it costs one execution.
               CASE WHEN NOT c.sql_taken THEN 1 - u.moving END)) AS room_left
        FROM unnest(_free.instances, _free.lanes, _free.accounts, _free.rooms, _free.lane_rooms, _free.account_rooms)
               AS f(instance_id, lane, account_id, room, lane_room, account_room)
        CROSS JOIN LATERAL (
          SELECT * FROM report_data_collections c
           WHERE c.instance_id = f.instance_id AND c.lane = f.lane
             AND c.finished_at IS NULL AND c.paused IS NULL AND c.held IS NULL AND c.cancelled IS NULL OFFSET 0
        ) c
        CROSS JOIN late
        LEFT JOIN team_limits m ON m.team_id = c.team_id
        CROSS JOIN LATERAL (
          -- One that has stalled shows nothing of the SQL any more.
          SELECT count(*) AS used, count(*) FILTER (WHERE l.lease_until < 'infinity') AS moving
            FROM segment_leases l WHERE l.collection_id = c.collection_id AND l.holds_slot
        ) u
        CROSS JOIN LATERAL (SELECT turn_holders(c.team_id, c.user_id, c.collection_id) AS holders OFFSET 0) t
        CROSS JOIN LATERAL (
          SELECT coalesce((_used ->> t.holders[1])::int, 0) AS team_used,
                 coalesce((_used ->> t.holders[2])::int, 0) AS user_used OFFSET 0
        ) h
        CROSS JOIN LATERAL (
          SELECT m.max_concurrent - h.team_used AS team_room, m.max_concurrent_per_user - h.user_used AS user_room
        ) r
       WHERE coalesce(c.segments_failed + coalesce((late.failed ->> c.collection_id::text)::int, 0)
                      < c.stop_at_failures, true)
         AND coalesce((late.versions ->> c.collection_id::text)::int <= c.stream_version, true)
    ), collection_turns AS (
      SELECT c.used + s.turn AS turn, c.*, s.segment_id, s.stream_version, s.attempts
        FROM able c
        CROSS JOIN LATERAL (
          SELECT w.segment_id, w.stream_version, w.attempts,
                 row_number() OVER (ORDER BY w.front_at DESC NULLS LAST, w.day) AS turn
            FROM (
              -- Three reads of one index, each in its order and no further than it is wanted.
              (SELECT w.segment_id, w.stream_version, w.attempts, w.front_at,
                      CASE WHEN c.newest_first THEN DATE '2000-01-01' - w.week_start
                           ELSE w.week_start - DATE '2000-01-01' END AS day
                 FROM report_data_weeks w
                WHERE w.collection_id = c.collection_id AND w.front_at IS NOT NULL
                  AND w.status IN ('pending', 'waiting') AND w.stalled IS NULL
                  AND (w.status = 'pending' OR w.retry_at <= clock_timestamp())
                  AND NOT EXISTS (SELECT FROM segment_leases l WHERE l.segment_id = w.segment_id))
              UNION ALL
              (SELECT w.segment_id, w.stream_version, w.attempts, w.front_at, DATE '2000-01-01' - w.week_start
                 FROM report_data_weeks w
                WHERE c.newest_first AND w.collection_id = c.collection_id AND w.front_at IS NULL
                  AND w.status IN ('pending', 'waiting') AND w.stalled IS NULL
                  AND (w.status = 'pending' OR w.retry_at <= clock_timestamp())
                  AND NOT EXISTS (SELECT FROM segment_leases l WHERE l.segment_id = w.segment_id)
                ORDER BY w.collection_id DESC, w.front_at DESC, w.week_start DESC LIMIT c.room_left)
              UNION ALL
              (SELECT w.segment_id, w.stream_version, w.attempts, w.front_at, w.week_start - DATE '2000-01-01'
                 FROM report_data_weeks w
                WHERE NOT c.newest_first AND w.collection_id = c.collection_id AND w.front_at IS NULL
                  AND w.status IN ('pending', 'waiting') AND w.stalled IS NULL
                  AND (w.status = 'pending' OR w.retry_at <= clock_timestamp())
                  AND NOT EXISTS (SELECT FROM segment_leases l WHERE l.segment_id = w.segment_id)
                ORDER BY w.collection_id, w.front_at, w.week_start LIMIT c.room_left)
            ) w
        ) s
       WHERE c.room_left > 0 AND s.turn <= c.room_left
    ), user_turns AS (
      SELECT t.user_used + row_number() OVER (
               PARTITION BY t.team_id COLLATE "C", t.user_id
               ORDER BY t.front_at DESC, t.turn, t.collection_turned, t.created_at, t.collection_id) AS user_turn, t.*
        FROM collection_turns t
    )
    SELECT t.team_used + row_number() OVER (
             PARTITION BY t.team_id COLLATE "C"
             ORDER BY t.user_turn, t.user_turned, t.created_at, t.collection_id) AS team_turn, t.*
      FROM user_turns t
     ORDER BY t.bulk, team_turn, t.team_turned, t.created_at, t.collection_id, t.turn
  LOOP
    EXIT WHEN cardinality(_picked) >= _wanted;
    _holders := slot_holders(_candidate.lane, _candidate.instance_id, _candidate.account_id,
                             _candidate.team_id, _candidate.user_id);
    CONTINUE WHEN _full && _holders;
    SELECT jsonb_object_agg(h.holder, h.given), coalesce(array_agg(h.holder) FILTER (WHERE h.given >= h.slots), '{}')
      INTO _now, _filled
      FROM (SELECT most.holder, most.slots, coalesce((_given ->> most.holder)::int, 0) + 1 AS given
              FROM unnest(_holders, ARRAY[_candidate.room, _candidate.lane_room, _candidate.account_room,
                                          _candidate.team_room, _candidate.user_room]) AS most(holder, slots)) h;
    _given := _given || _now;
    _full := _full || _filled;
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
