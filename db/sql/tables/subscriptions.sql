-- How far each subscriber that is part of the service has come, and which process acts for it. Whoever moves
-- `position` names the one that it moves it from, and itself.
CREATE TABLE subscriptions (
  subscriber text        NOT NULL,
  position   bigint      NOT NULL,
  holder     uuid        NOT NULL,
  held_until timestamptz NOT NULL,

  CONSTRAINT subscriptions_pkey PRIMARY KEY (subscriber),
  CONSTRAINT subscriptions_position_check CHECK (position >= 0)
);
