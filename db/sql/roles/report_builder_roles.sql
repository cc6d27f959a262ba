-- Two roles that nobody logs in as. The owner holds every object; the service's role holds what the service
-- may do, and each login of the service is a member of it. Roles belong to the server: other databases on it
-- may have created them already.
DO $$
BEGIN
  BEGIN
    CREATE ROLE report_builder_owner NOLOGIN;
  EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
  END;
  BEGIN
    CREATE ROLE report_builder_service NOLOGIN;
  EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
  END;
  IF NOT pg_has_role(current_user, 'report_builder_owner', 'MEMBER') THEN
    GRANT report_builder_owner TO CURRENT_USER;
  END IF;
END
$$;

GRANT USAGE, CREATE ON SCHEMA public TO report_builder_owner;
GRANT USAGE ON SCHEMA public TO report_builder_service;
