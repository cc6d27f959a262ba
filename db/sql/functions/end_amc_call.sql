-- What came of a call that take_amc_call let go at goes_at: `well`, `throttled` (429) or `sick` (AMC failed).
--
-- A 429 takes three tenths of the account's rate, once for all calls that were on their way by then, and nothing is
-- sent for retry_after seconds, or where Amazon named none for as long as one call takes at the new rate. `most_failures`
-- sick calls in a row open the instance's breaker for pause seconds, twice as long each time that a try fails, at most
-- longest; one that succeeds closes it. Calls that were on their way when it opened say nothing any more.
CREATE OR REPLACE FUNCTION end_amc_call(
  account_id text, instance_id text, goes_at timestamptz, outcome text, error text,
  most double precision, retry_after double precision,
  most_failures int, pause double precision, longest double precision
) RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  _pace amc_paces;
  _rate double precision;
  _now  timestamptz;
  _next timestamptz;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);

  IF outcome = 'throttled' THEN
    SELECT * INTO _pace FROM amc_paces p WHERE p.account_id = end_amc_call.account_id FOR NO KEY UPDATE;
    _now := clock_timestamp();
    _rate := amc_rate(_pace, most, _now);
    IF _pace.slowed_at IS NULL OR _pace.slowed_at < goes_at THEN
      _rate := greatest(_rate * 0.7, most / 64);
    END IF;
    _next := _now + make_interval(secs => coalesce(retry_after, 1 / _rate));
    UPDATE amc_paces p
       SET rate = _rate, rate_at = _now, slowed_at = _now,
           due = greatest(p.due, _next), slowed_until = greatest(p.slowed_until, _next)
     WHERE p.account_id = end_amc_call.account_id;
  ELSIF outcome = 'sick' THEN
    INSERT INTO amc_breakers AS b (instance_id, failures, error)
    VALUES (end_amc_call.instance_id, 1, end_amc_call.error)
    ON CONFLICT ON CONSTRAINT amc_breakers_pkey DO UPDATE SET failures = b.failures + 1, error = excluded.error;
    UPDATE amc_breakers b
       SET openings = b.openings + 1, probe_until = NULL,
           open_until = clock_timestamp() + make_interval(secs => least(longest, pause * 2 ^ least(b.openings, 20)))
     WHERE b.instance_id = end_amc_call.instance_id AND b.failures >= most_failures
       AND (b.open_until IS NULL OR b.open_until <= end_amc_call.goes_at);
  ELSE
    DELETE FROM amc_breakers b
     WHERE b.instance_id = end_amc_call.instance_id
       AND (b.open_until IS NULL OR b.open_until <= end_amc_call.goes_at);
  END IF;
END
$$;
