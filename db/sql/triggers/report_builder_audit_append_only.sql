CREATE OR REPLACE TRIGGER report_builder_audit_append_only
  BEFORE UPDATE OR DELETE OR TRUNCATE ON report_builder_audit
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
