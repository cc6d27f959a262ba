-- Enters the log's next full blocks, at most so many, into activity_blocks; answers how many. Several processes
-- may call it: one of them does the work, the others have nothing to do.
CREATE OR REPLACE FUNCTION index_activity(most int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
  _from bigint;
  _to   bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('report_builder_index_activity')) THEN RETURN 0; END IF;
  _from := coalesce((SELECT b.block + 1 FROM activity_blocks b WHERE b.facet = 'all' AND b.value = ''
                      ORDER BY b.block DESC LIMIT 1), 0);
  -- Positions are dense and commit in order: where a block's last one is there, all of it is.
  _to := least(_from + most, coalesce((SELECT a.position / 256 FROM report_builder_audit a
                                        ORDER BY a.position DESC LIMIT 1), 0));
  IF _to <= _from THEN RETURN 0; END IF;
  INSERT INTO activity_blocks (facet, value, block, bits)
  SELECT f.facet, f.value, (a.position - 1) / 256,
         bit_or(set_bit(0::bit(256), ((a.position - 1) % 256)::int, 1))
    FROM report_builder_audit a
   CROSS JOIN LATERAL (VALUES ('all', ''), ('team', a.team_id), ('type', a.event_type),
                              ('team_type', a.team_id || ' ' || a.event_type),
                              ('user', a.user_id::text), ('workflow', a.workflow_id)) AS f(facet, value)
   WHERE a.position > _from * 256 AND a.position <= _to * 256 AND f.value IS NOT NULL
   GROUP BY 1, 2, 3;
  RETURN _to - _from;
END
$$;
