-- Whose slots a segment in flight takes, each of whom may have a limit: its instance, the lane there, the account, the
-- team and the user.
CREATE OR REPLACE FUNCTION slot_holders(lane text, instance_id text, account_id text, team_id text, user_id uuid)
RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
  SELECT ARRAY['instance ' || instance_id, lane || ' ' || instance_id, 'account ' || account_id, 'team ' || team_id,
               'user ' || team_id || ' ' || coalesce(user_id::text, '')];
$$;
