-- The version that a stream had when the log was at the position; 0 where it did not exist. Versions are dense
-- and in the order of positions, so halving finds it.
CREATE OR REPLACE FUNCTION stream_version_at(stream text, at_position bigint) RETURNS int
LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
  _at     int := 0;
  _beyond int := coalesce((SELECT max(a.stream_version) FROM report_builder_audit a
                            WHERE a.stream = stream_version_at.stream), 0) + 1;
  _middle int;
BEGIN
  WHILE _beyond - _at > 1 LOOP
    _middle := (_at + _beyond) / 2;
    IF (SELECT a.position <= at_position FROM report_builder_audit a
         WHERE a.stream = stream_version_at.stream AND a.stream_version = _middle) THEN
      _at := _middle;
    ELSE
      _beyond := _middle;
    END IF;
  END LOOP;
  RETURN _at;
END
$$;
