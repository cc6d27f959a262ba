-- Who has had their turn when a segment is given a slot: its team, its user in the team, its collection.
CREATE OR REPLACE FUNCTION turn_holders(team_id text, user_id uuid, collection_id uuid) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
  SELECT ARRAY['team ' || team_id, 'user ' || team_id || ' ' || coalesce(user_id::text, ''), 'collection ' || collection_id];
$$;
