-- Counts requests of a person before they are served: all that are `needed`, as far as the quota goes, and up
-- to `ahead` more, which the process may serve until the slice ends. Never more than `quota` in any
-- `window_seconds`, by this server's clock, whoever asks.
--
-- remaining: what is left after this. slice_left, resets_in: seconds until the slice ends, and until the
-- oldest requests that count are forgotten.
CREATE OR REPLACE FUNCTION take_requests(
  user_id uuid, policy text, needed int, ahead int, quota int, window_seconds int,
  OUT granted int, OUT remaining int, OUT slice_left double precision, OUT resets_in double precision
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  _width  bigint := window_seconds * 100000;  -- of a slice, in microseconds
  _now    bigint;
  _slice  bigint;
  _counts int[];
  _passed int;
  _oldest int;
BEGIN
  -- No wait for the disk: a server that crashes may forget what was taken in its last half second.
  PERFORM set_config('synchronous_commit', 'off', true);

  INSERT INTO request_rates (user_id, policy) VALUES (take_requests.user_id, take_requests.policy)
  ON CONFLICT DO NOTHING;
  SELECT r.slice, r.counts INTO _slice, _counts FROM request_rates r
   WHERE r.user_id = take_requests.user_id AND r.policy = take_requests.policy FOR UPDATE;

  _now := extract(epoch FROM clock_timestamp()) * 1000000;
  _passed := least(greatest(_now / _width - _slice, 0), 11);
  _slice := greatest(_slice, _now / _width);
  _counts := array_fill(0, ARRAY[_passed]) || _counts[1 : 11 - _passed];

  remaining := greatest(quota - (SELECT sum(c) FROM unnest(_counts) AS c), 0);
  granted := least(needed, remaining);
  -- Most of what is left stays for the other processes.
  granted := granted + least(ahead, (remaining - granted) / 16);
  remaining := remaining - granted;
  _counts[1] := _counts[1] + granted;
  UPDATE request_rates r SET slice = _slice, counts = _counts, taken_at = clock_timestamp()
   WHERE r.user_id = take_requests.user_id AND r.policy = take_requests.policy;

  SELECT coalesce(max(c.age), 1) INTO _oldest FROM unnest(_counts) WITH ORDINALITY AS c(count, age) WHERE c.count > 0;
  slice_left := ((_slice + 1) * _width - _now) / 1e6;
  resets_in := ((_slice - _oldest + 12) * _width - _now) / 1e6;
END
$$;
