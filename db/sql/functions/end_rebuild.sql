-- Removes what begin_rebuild has made, whole or half filled.
CREATE OR REPLACE FUNCTION end_rebuild() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  _table name;
BEGIN
  DELETE FROM report_builder_rebuild.rebuild_progress;
  FOR _table IN
    SELECT c.relname FROM pg_class c
     WHERE c.relnamespace = 'report_builder_rebuild'::regnamespace AND c.relkind = 'r' AND c.relname <> 'rebuild_progress'
  LOOP
    EXECUTE format('DROP TABLE report_builder_rebuild.%I', _table);
  END LOOP;
END
$$;
