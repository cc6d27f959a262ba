-- Makes empty tables like these read models in the schema report_builder_rebuild, and answers 0; or leaves those that
-- the same code has begun to fill, and answers the position that they have come to. They refuse what the live ones
-- do, but for foreign keys, so that they may be filled in any order.
CREATE OR REPLACE FUNCTION begin_rebuild(read_models text[], made_by text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  _reached    bigint;
  _table      text;
  _constraint record;
BEGIN
  SELECT p.position INTO _reached FROM report_builder_rebuild.rebuild_progress p WHERE p.made_by = begin_rebuild.made_by;
  IF FOUND THEN RETURN _reached; END IF;
  PERFORM end_rebuild();
  FOREACH _table IN ARRAY read_models LOOP
    EXECUTE format('CREATE UNLOGGED TABLE report_builder_rebuild.%1$I'
                   ' (LIKE public.%1$I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', _table);
    FOR _constraint IN
      SELECT c.conname, pg_get_constraintdef(c.oid) AS definition FROM pg_constraint c
       WHERE c.conrelid = format('public.%I', _table)::regclass AND c.contype IN ('p', 'u')
    LOOP
      EXECUTE format('ALTER TABLE report_builder_rebuild.%I ADD CONSTRAINT %I %s',
                     _table, _constraint.conname, _constraint.definition);
    END LOOP;
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON report_builder_rebuild.%I TO report_builder_service',
                   _table);
  END LOOP;
  INSERT INTO report_builder_rebuild.rebuild_progress (position, target, made_by) VALUES (0, 0, made_by);
  RETURN 0;
END
$$;
