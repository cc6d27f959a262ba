-- Subscribers that are part of the service, of which one process acts at a time: the publisher to RabbitMQ.

-- migrate:up
-- include tables/subscriptions.sql
GRANT SELECT, INSERT, UPDATE ON subscriptions TO report_builder_service;

-- migrate:down
DROP TABLE subscriptions;
