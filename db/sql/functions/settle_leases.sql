-- Brings every lease in line with the log, whatever was settled before.
CREATE OR REPLACE FUNCTION settle_leases() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM settle_segments(array_agg(l.segment_id)) FROM segment_leases l;
END
$$;
