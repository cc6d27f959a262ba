-- Request rates: what each person has been given of theirs.

-- migrate:up
-- include tables/request_rates.sql
-- include functions/take_requests.sql
GRANT SELECT, INSERT, UPDATE, DELETE ON request_rates TO report_builder_service;

-- migrate:down
DROP FUNCTION take_requests;
DROP TABLE request_rates;
