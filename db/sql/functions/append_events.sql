-- Appends the events of many requests in one round trip, one verdict for each request.
--
-- The arrays are flat. A request has writes, a write is one stream and its expected version
-- (NULL any, 0 none, n exactly n), a write has events. Requests, writes and events are numbered from 1
-- in order; write_requests and event_writes point one level up. A request appears once per stream.
--
-- verdict   versions                        positions
-- appended  new version of each write       of the new events
-- duplicate version after the first append  of the first append (version 0: it wrote another stream); answer and status where a key was kept
-- conflict  actual version of each write    null
-- half_known, key_reused                    null, nothing was written
--
-- Belongs at the end of its transaction: the lock that it takes makes all others wait until that ends.
CREATE OR REPLACE FUNCTION append_events(
  request_keys text[], request_digests bytea[], request_statuses int[], request_answers text[],
  write_requests int[], write_streams text[], write_expected int[],
  event_writes int[], event_ids uuid[], event_types text[], event_schema_versions int[],
  event_teams text[], event_users uuid[], event_workflows text[], event_steps text[],
  event_configurations text[], event_metadata text[],
  OUT verdicts text[], OUT first_positions bigint[], OUT last_positions bigint[],  -- by request
  OUT versions int[],                                                              -- by write
  OUT recorded_at timestamptz,
  OUT statuses int[], OUT answers text[]                                           -- by request, where a key was kept
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
-- The arrays' lengths are unknown to the planner; each of these lookups must stay an index probe per element.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_variable
DECLARE
  _requests    int := coalesce(array_length(request_keys, 1), 0);
  _writes      int := coalesce(array_length(write_requests, 1), 0);
  _events      int := coalesce(array_length(event_writes, 1), 0);
  _last        bigint;
  _alike       boolean;    -- each request is one event of one stream
  _slots       int[];      -- write -> index of its stream in _heads
  _heads       int[];      -- current version of each stream, moving with the loop
  _known       int[];      -- event -> its number where the id is already in the log
  _positions   bigint[] := array_fill(NULL::bigint, ARRAY[_events]);   -- null: not appended
  _event_versions int[] := array_fill(NULL::int, ARRAY[_events]);
  _w int := 1;  _w_end int;  _e int := 1;  _e_end int;  _i int;  _j int;
  _known_count int;
  _verdict     text;
  _key         idempotency_keys%ROWTYPE;
  _first_append record;
  _appended    boolean := false;
  _keyed       boolean := false;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'append_events needs READ COMMITTED, not %', current_setting('transaction_isolation')
      USING ERRCODE = 'invalid_transaction_state';
  END IF;

  PERFORM FROM append_lock WHERE one FOR NO KEY UPDATE;

  -- From here on each statement has a snapshot that sees every earlier append.
  SELECT l.position, l.recorded_at,
         (SELECT array_agg(e.ordinal) FROM unnest(event_ids) WITH ORDINALITY AS e(id, ordinal)
            JOIN report_builder_audit a ON a.id = e.id)
    INTO _last, recorded_at, _known
    FROM report_builder_audit l ORDER BY l.position DESC LIMIT 1;
  _last := coalesce(_last, 0);
  recorded_at := greatest(clock_timestamp(), recorded_at);

  _keyed := cardinality(array_remove(request_keys, NULL)) > 0;
  statuses := array_fill(NULL::int, ARRAY[_requests]);
  answers := array_fill(NULL::text, ARRAY[_requests]);

  -- Most batches are single events, new ones, for streams that are where they are expected: these are weighed at once.
  _alike := _requests = _events AND write_requests = event_writes AND _known IS NULL;
  IF _alike AND _keyed THEN
    _alike := NOT EXISTS (SELECT FROM unnest(request_keys) AS r(key) JOIN idempotency_keys k ON k.key = r.key);
  END IF;
  IF _alike THEN
    SELECT array_agg(w.head + 1 ORDER BY w.ordinal), array_agg(_last + w.ordinal ORDER BY w.ordinal),
           array_agg('appended'::text)
      INTO versions, first_positions, verdicts
      FROM (SELECT w.*, coalesce((SELECT a.stream_version FROM report_builder_audit a WHERE a.stream = w.stream
                                   ORDER BY a.stream_version DESC LIMIT 1), 0) AS head
              FROM unnest(write_streams, write_expected) WITH ORDINALITY AS w(stream, expected, ordinal)) w
    HAVING bool_and(coalesce(w.expected = w.head, true)) AND count(DISTINCT w.stream) = count(*);
  END IF;

  IF verdicts IS NOT NULL THEN
    _appended := true;
    _event_versions := versions;
    _positions := first_positions;
    last_positions := first_positions;
  ELSE
    SELECT array_agg(s.slot ORDER BY s.ordinal) INTO _slots
      FROM (SELECT w.ordinal, dense_rank() OVER (ORDER BY w.stream) AS slot
              FROM unnest(write_streams) WITH ORDINALITY AS w(stream, ordinal)) s;
    SELECT array_agg(coalesce(h.version, 0) ORDER BY d.stream) INTO _heads
      FROM (SELECT DISTINCT w.stream FROM unnest(write_streams) AS w(stream)) d
      LEFT JOIN LATERAL (
        SELECT a.stream_version AS version FROM report_builder_audit a
         WHERE a.stream = d.stream ORDER BY a.stream_version DESC LIMIT 1) h ON true;

    verdicts := array_fill(NULL::text, ARRAY[_requests]);
    first_positions := array_fill(NULL::bigint, ARRAY[_requests]);
    last_positions := first_positions;
    versions := array_fill(0, ARRAY[_writes]);

    FOR _r IN 1 .. _requests LOOP
      _w_end := _w;
      WHILE _w_end <= _writes AND write_requests[_w_end] = _r LOOP _w_end := _w_end + 1; END LOOP;
      _e_end := _e;
      WHILE _e_end <= _events AND event_writes[_e_end] < _w_end LOOP _e_end := _e_end + 1; END LOOP;

      _verdict := 'appended';

      IF request_keys[_r] IS NOT NULL THEN
        SELECT * INTO _key FROM idempotency_keys k WHERE k.key = request_keys[_r];
        IF FOUND THEN
          _verdict := CASE WHEN _key.digest = request_digests[_r] THEN 'duplicate' ELSE 'key_reused' END;
        END IF;
        IF _verdict = 'duplicate' THEN
          first_positions[_r] := _key.first_position;
          last_positions[_r] := _key.last_position;
          statuses[_r] := _key.status;
          answers[_r] := _key.answer::text;
        END IF;
      END IF;

      IF _verdict = 'appended' AND _known IS NOT NULL THEN
        SELECT count(*) INTO _known_count FROM unnest(_known) AS k(ordinal)
         WHERE k.ordinal >= _e AND k.ordinal < _e_end;
        IF _known_count = _e_end - _e THEN
          _verdict := 'duplicate';
          SELECT min(a.position) AS first, max(a.position) AS last INTO _first_append
            FROM report_builder_audit a WHERE a.id = ANY (event_ids[_e : _e_end - 1]);
          first_positions[_r] := _first_append.first;
          last_positions[_r] := _first_append.last;
        ELSIF _known_count > 0 THEN
          _verdict := 'half_known';
        END IF;
      END IF;

      IF _verdict = 'appended' THEN
        FOR _i IN _w .. _w_end - 1 LOOP
          IF write_expected[_i] <> _heads[_slots[_i]] THEN _verdict := 'conflict'; END IF;
        END LOOP;
      END IF;

      IF _verdict = 'appended' THEN
        FOR _j IN _e .. _e_end - 1 LOOP
          _i := _slots[event_writes[_j]];
          _heads[_i] := _heads[_i] + 1;
          _event_versions[_j] := _heads[_i];
          _positions[_j] := _last + 1 + _j - _e;
        END LOOP;
        first_positions[_r] := _last + 1;
        _last := _last + (_e_end - _e);
        last_positions[_r] := _last;
        _appended := true;
      END IF;

      IF _verdict = 'duplicate' THEN
        FOR _i IN _w .. _w_end - 1 LOOP
          versions[_i] := (SELECT coalesce(max(a.stream_version), 0) FROM report_builder_audit a
                            WHERE a.position BETWEEN first_positions[_r] AND last_positions[_r]
                              AND a.stream = write_streams[_i]);
        END LOOP;
      ELSE
        FOR _i IN _w .. _w_end - 1 LOOP versions[_i] := _heads[_slots[_i]]; END LOOP;
      END IF;

      verdicts[_r] := _verdict;
      _w := _w_end;
      _e := _e_end;
    END LOOP;
  END IF;

  IF _appended THEN
    INSERT INTO report_builder_audit
    SELECT e.position, e.id, write_streams[e.write], e.version, e.type, e.schema_version, e.team, e.person,
           e.workflow, e.step, e.configuration::json, e.metadata::json, recorded_at
      FROM unnest(_positions, event_ids, event_writes, _event_versions, event_types, event_schema_versions,
                  event_teams, event_users, event_workflows, event_steps, event_configurations, event_metadata)
           AS e(position, id, write, version, type, schema_version, team, person, workflow, step,
                configuration, metadata)
     WHERE e.position IS NOT NULL;
    IF _keyed THEN
      INSERT INTO idempotency_keys
      SELECT k.key, k.digest, k.status, k.answer::json, k.first_position, k.last_position, recorded_at
        FROM unnest(request_keys, request_digests, request_statuses, request_answers,
                    verdicts, first_positions, last_positions)
             AS k(key, digest, status, answer, verdict, first_position, last_position)
       WHERE k.key IS NOT NULL AND k.verdict = 'appended';
    END IF;
  END IF;
END
$$;
