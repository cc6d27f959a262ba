-- Many workers' begin_step at once, the answers in the same order; null where somebody else is at the segment's lease
-- just now, to be asked for alone: as nobody is waited for here, no two that hold several leases wait for each other.
CREATE OR REPLACE FUNCTION begin_steps(
  segment_ids uuid[], fences int[], steps text[], sequences int[], redelivered boolean[],
  lease_seconds double precision, survived boolean[]
) RETURNS int[]
LANGUAGE plpgsql AS $$
DECLARE
  _free uuid[];
BEGIN
  SELECT array_agg(free.segment_id) INTO _free
    FROM (SELECT l.segment_id FROM segment_leases l WHERE l.segment_id = ANY (segment_ids)
             FOR NO KEY UPDATE SKIP LOCKED) AS free;
  RETURN (
    SELECT array_agg(CASE WHEN a.segment_id = ANY (_free) THEN
                       begin_step(a.segment_id, a.fence, a.step, a.sequence, a.redelivered, lease_seconds, a.survived)
                     END ORDER BY a.number)
      FROM unnest(segment_ids, fences, steps, sequences, begin_steps.redelivered, begin_steps.survived)
           WITH ORDINALITY AS a(segment_id, fence, step, sequence, redelivered, survived, number));
END
$$;
