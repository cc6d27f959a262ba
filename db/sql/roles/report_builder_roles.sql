-- Two roles that nobody logs in as. The owner holds every object; the service's role holds what the service
-- may do, and each login of the service is a member of it. Roles belong to the server: other databases on it
-- may have created them already. Runs as any role with CREATEROLE that owns the database, or may create schemas
-- in it and grant the use of its schema public.
DO $$
DECLARE
  _role text;
BEGIN
  FOREACH _role IN ARRAY ARRAY['report_builder_owner', 'report_builder_service'] LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = _role);
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', _role);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- just now, for another database
    END;
  END LOOP;
  -- Since PostgreSQL 16 who creates a role may grant it, to himself too, but may not act as it until then.
  IF NOT pg_has_role(current_user, 'report_builder_owner',
                     CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END) THEN
    GRANT report_builder_owner TO CURRENT_USER;
  END IF;
  IF NOT (has_schema_privilege('report_builder_owner', 'public', 'CREATE')
          AND has_schema_privilege('report_builder_owner', 'public', 'USAGE')) THEN
    GRANT USAGE, CREATE ON SCHEMA public TO report_builder_owner;
  END IF;
  IF NOT has_schema_privilege('report_builder_service', 'public', 'USAGE') THEN
    GRANT USAGE ON SCHEMA public TO report_builder_service;
  END IF;
  -- Rebuilds have a schema of their own. The owner may make none, as that takes a right on the database.
  IF to_regnamespace('report_builder_rebuild') IS NULL THEN
    CREATE SCHEMA report_builder_rebuild AUTHORIZATION report_builder_owner;
  END IF;
END
$$;
