-- Drops the turns of whoever was given no slot for a month, such as collections that have long ended.
CREATE OR REPLACE FUNCTION forget_slot_turns() RETURNS void
LANGUAGE sql AS $$
  DELETE FROM slot_turns WHERE given_at < clock_timestamp() - interval '30 days';
$$;
