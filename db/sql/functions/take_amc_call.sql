-- Takes a place for one call to AMC: `go`, to be sent at goes_at and not before, or why not: `slowed` where it would
-- have to wait for more than patience seconds, `open` where AMC fails on the instance. Then goes_at is when to ask
-- again, and no place was taken. wait: seconds until goes_at.
--
-- most is the account's rate in calls per second, burst how many may be sent at once. again: the call repeats an
-- attempt that failed; all of these together may have a fifth of the rate, and go at once or not. instance_id is null
-- for a call on none. watched: the instance has failed lately, so that end_amc_call must hear of a success too. probe:
-- the call tries whether AMC is well again; one that nobody hears of is given up after probe_seconds.
--
-- calls: so many of the same kind at once, an answer for each.
CREATE OR REPLACE FUNCTION take_amc_call(
  account_id text, instance_id text, most double precision, burst double precision, again boolean,
  patience double precision, probe_seconds double precision, calls int DEFAULT 1
) RETURNS TABLE (verdict text, goes_at timestamptz, wait double precision, watched boolean, probe boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  _now      timestamptz;
  _breaker  amc_breakers;
  _pace     amc_paces;
  _interval interval;  -- between two calls
  _due      timestamptz;
  _retry    timestamptz;
  _taken    boolean := false;
BEGIN
  -- No wait for the disk: a server that crashes may forget what was taken in its last half second.
  PERFORM set_config('synchronous_commit', 'off', true);

  SELECT * INTO _breaker FROM amc_breakers b WHERE b.instance_id = take_amc_call.instance_id;
  IF _breaker.open_until IS NOT NULL THEN
    -- Again under a lock: of all that find the time come, one tries.
    SELECT * INTO _breaker FROM amc_breakers b WHERE b.instance_id = take_amc_call.instance_id FOR UPDATE;
    _now := clock_timestamp();
    _due := greatest(_breaker.open_until, _breaker.probe_until);
    IF _due > _now THEN
      RETURN QUERY SELECT 'open', _due, extract(epoch FROM _due - _now)::double precision, true, false
                     FROM generate_series(1, calls);
      RETURN;
    END IF;
  END IF;

  INSERT INTO amc_paces AS p (account_id, due, retry_due, rate, rate_at)
  VALUES (take_amc_call.account_id, '-infinity', '-infinity', most, clock_timestamp())
  ON CONFLICT ON CONSTRAINT amc_paces_pkey DO NOTHING;
  SELECT * INTO _pace FROM amc_paces p WHERE p.account_id = take_amc_call.account_id FOR NO KEY UPDATE;
  _now := clock_timestamp();
  _interval := make_interval(secs => 1 / amc_rate(_pace, most, _now));
  _due := greatest(_pace.due, _now - _interval * (burst - 1));
  _retry := greatest(_pace.retry_due, _now - _interval * 5 * (burst - 1));
  watched := _breaker.instance_id IS NOT NULL;
  probe := false;
  FOR _call IN 1 .. calls LOOP
    IF probe OR verdict = 'open' THEN  -- one of these calls tries
      verdict := 'open';
      goes_at := _breaker.probe_until;
      probe := false;
    ELSIF again AND _retry > _now THEN
      verdict := 'slowed';
      goes_at := greatest(_due, _retry);
    ELSE
      goes_at := greatest(_now, _due);
      verdict := CASE WHEN goes_at > _now + make_interval(secs => patience) THEN 'slowed' ELSE 'go' END;
    END IF;
    IF verdict = 'go' THEN
      _due := _due + _interval;
      IF again THEN _retry := _retry + _interval * 5; END IF;
      probe := _breaker.open_until IS NOT NULL;
      IF probe THEN
        _breaker.probe_until := goes_at + make_interval(secs => probe_seconds);
        UPDATE amc_breakers b SET probe_until = _breaker.probe_until
         WHERE b.instance_id = take_amc_call.instance_id;
      END IF;
      _taken := true;
    END IF;
    wait := extract(epoch FROM goes_at - _now);
    RETURN NEXT;
  END LOOP;
  IF _taken THEN
    UPDATE amc_paces p SET due = _due, retry_due = CASE WHEN again THEN _retry ELSE p.retry_due END
     WHERE p.account_id = take_amc_call.account_id;
  END IF;
END
$$;
