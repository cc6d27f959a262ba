-- Brings the leases in line with what the log has got since the last time: what a lease is follows from its segment's
-- newest event, so that only segments with a new one can have changed. Appends commit in the order of their positions:
-- what is not seen here has a higher one.
CREATE OR REPLACE FUNCTION settle_new_events() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  _settled bigint := (SELECT s.position FROM lease_settlement s);
  _head    bigint := (SELECT coalesce(max(a.position), 0) FROM report_builder_audit a);
BEGIN
  IF _head = _settled THEN RETURN; END IF;
  IF _head - _settled BETWEEN 1 AND 5000 THEN
    PERFORM settle_segments(array_agg(DISTINCT substr(a.stream, length('segment-') + 1)::uuid))
       FROM report_builder_audit a
      WHERE a.position > _settled AND a.position <= _head AND a.stream LIKE 'segment-%';
  ELSE
    PERFORM settle_leases();  -- of more events, most are of segments that have no lease any more
  END IF;
  -- Not each time: what is settled twice is the same, and a transaction that has written nothing waits for no disk.
  UPDATE lease_settlement SET position = _head WHERE _head NOT BETWEEN position AND position + 100;
END
$$;
