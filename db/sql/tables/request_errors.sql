-- How often each person's requests were refused, by day (UTC), route and code: no address, no body, no value.
-- Not from the log: a refused request records nothing there.
CREATE TABLE request_errors (
  team_id text   NOT NULL,
  day     date   NOT NULL,
  user_id uuid   NOT NULL,
  -- Method and path with its placeholders.
  route   text   NOT NULL,
  code    text   NOT NULL,
  count   bigint NOT NULL,

  CONSTRAINT request_errors_pkey PRIMARY KEY (team_id, day, user_id, route, code),
  CONSTRAINT request_errors_count_check CHECK (count >= 1)
);
