-- Who a user_id of the log is: our own id for a person (or program) of an issuer. Outside of the log and not a
-- read model: names and e-mail addresses are here and in no event, so that they can be changed and erased.
CREATE TABLE users (
  user_id    uuid        NOT NULL,
  issuer     text        NOT NULL,
  subject    text        NOT NULL,
  name       text,
  email      text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),

  CONSTRAINT users_pkey PRIMARY KEY (user_id),
  CONSTRAINT users_issuer_subject_key UNIQUE (issuer, subject)
);

-- The one local person of a service without sign-in, whose id every installation shares.
INSERT INTO users (user_id, issuer, subject, name)
VALUES ('00000000-0000-7000-8000-000000000001', 'report-builder', 'local', 'Local person');
