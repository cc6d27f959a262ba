-- Deletes what says who a person is and what opens what they wrote. To be followed, in the same transaction, by the
-- append of `person.erased`, and that by forget_answers for what was answered meanwhile.
--
-- Their row of users goes with its issuer and subject: who signs in so again is another person. The one local person
-- of a service without sign-in stays, as nobody in particular, without a name.
CREATE OR REPLACE FUNCTION erase_person(of_user uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  -- Nobody gets a key, or a session, until this is over: both must find the row.
  PERFORM FROM users WHERE user_id = of_user FOR UPDATE;
  DELETE FROM person_keys WHERE user_id = of_user;
  DELETE FROM sign_in_sessions WHERE user_id = of_user;
  DELETE FROM users WHERE user_id = of_user AND (issuer, subject) <> ('report-builder', 'local');
  UPDATE users SET name = NULL, email = NULL, updated_at = clock_timestamp() WHERE user_id = of_user;
  PERFORM forget_answers(of_user);
END
$$;
