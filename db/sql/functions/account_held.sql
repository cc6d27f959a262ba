-- Whether no work may begin with the account: it was revoked or disconnected, and nobody has connected it since.
-- By the log, not by a read model: a segment that was just given back must not be admitted again.
CREATE OR REPLACE FUNCTION account_held(account_id text) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT coalesce((
    SELECT a.event_type IN ('account.revoked', 'account.disconnected') FROM report_builder_audit a
     WHERE a.stream = 'account-' || account_held.account_id AND a.event_type <> 'account.limits_set'
     ORDER BY a.stream_version DESC LIMIT 1), false);
$$;
