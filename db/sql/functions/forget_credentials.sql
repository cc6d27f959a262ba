-- Deletes what no account uses: credentials that were replaced, or whose account was disconnected, or whose
-- event was never recorded as the process died. Only after an hour: an event may be on its way.
CREATE OR REPLACE FUNCTION forget_credentials() RETURNS void
LANGUAGE sql AS $$
  DELETE FROM amc_accounts c
   WHERE c.created_at < clock_timestamp() - interval '1 hour'
     AND c.credential_id::text IS DISTINCT FROM (
       SELECT a.configuration ->> 'credential_id' FROM report_builder_audit a
        WHERE a.stream = 'account-' || c.account_id
          AND a.event_type IN ('account.connected', 'account.reconnected', 'account.disconnected')
        ORDER BY a.stream_version DESC LIMIT 1);
$$;
