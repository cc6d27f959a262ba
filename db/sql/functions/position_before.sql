-- The last position that was recorded before the moment: 0 where there is none, null for null. recorded_at never
-- goes back from one position to the next, so halving finds it, without an index on time.
CREATE OR REPLACE FUNCTION position_before(moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
  _before bigint := 0;
  _after  bigint := coalesce((SELECT max(a.position) FROM report_builder_audit a), 0) + 1;
  _middle bigint;
BEGIN
  WHILE _after - _before > 1 LOOP
    _middle := (_before + _after) / 2;
    IF (SELECT a.recorded_at < moment FROM report_builder_audit a WHERE a.position = _middle) THEN
      _before := _middle;
    ELSE
      _after := _middle;
    END IF;
  END LOOP;
  RETURN _before;
END
$$;
