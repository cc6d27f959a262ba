-- A worker begins a step message: true where it holds the fence and the message is not a copy of an older one.
-- A redelivered message may begin again what it had begun. The lease then runs for lease_seconds.
CREATE OR REPLACE FUNCTION begin_step(
  segment_id uuid, fence int, step text, sequence int, redelivered boolean, lease_seconds double precision
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE segment_leases l
     SET sequence = begin_step.sequence, step = begin_step.step,
         lease_until = clock_timestamp() + make_interval(secs => begin_step.lease_seconds)
   WHERE l.segment_id = begin_step.segment_id AND l.fence = begin_step.fence
     AND (l.sequence < begin_step.sequence OR (l.sequence = begin_step.sequence AND begin_step.redelivered));
  RETURN FOUND;
END
$$;
