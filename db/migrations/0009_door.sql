-- Who callers are, and which browsers are signed in.

-- migrate:up
-- include tables/users.sql
-- include tables/sign_in_sessions.sql
GRANT SELECT, INSERT ON users TO report_builder_service;
-- What a person is called may change; who they are may not.
GRANT UPDATE (name, email, updated_at) ON users TO report_builder_service;
GRANT SELECT, INSERT, DELETE ON sign_in_sessions TO report_builder_service;

-- migrate:down
DROP TABLE sign_in_sessions;
DROP TABLE users;
