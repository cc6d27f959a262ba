-- A worker begins a step message: 0 where it does not hold the fence or the message is a copy of an older one, else
-- how often in a row the segment's work has been begun, this time included, and never came to a next order or event.
-- A redelivered message may begin again what it had begun. `survived`: by the same process, so that none has died of
-- it. The lease then runs for lease_seconds.
CREATE OR REPLACE FUNCTION begin_step(
  segment_id uuid, fence int, step text, sequence int, redelivered boolean, lease_seconds double precision,
  survived boolean DEFAULT false
) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
  _begun int;
BEGIN
  UPDATE segment_leases l
     SET begun = CASE WHEN l.sequence > 0 AND l.sequence < begin_step.sequence THEN 1
                      WHEN l.sequence = begin_step.sequence AND begin_step.survived THEN l.begun
                      ELSE l.begun + 1 END,
         renewals = 0,
         sequence = begin_step.sequence, step = begin_step.step,
         lease_until = clock_timestamp() + make_interval(secs => begin_step.lease_seconds)
   WHERE l.segment_id = begin_step.segment_id AND l.fence = begin_step.fence
     AND (l.sequence < begin_step.sequence
          OR (l.sequence = begin_step.sequence AND (begin_step.redelivered OR begin_step.survived)))
  RETURNING l.begun INTO _begun;
  RETURN coalesce(_begun, 0);
END
$$;
