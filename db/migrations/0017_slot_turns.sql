-- Slots go round in turn: whoever has waited longest is next where several hold as many.

-- migrate:up
-- include tables/slot_turns.sql
GRANT SELECT, INSERT, UPDATE, DELETE ON slot_turns TO report_builder_service;
-- include functions/turn_holders.sql
-- include functions/forget_slot_turns.sql
-- include functions/admit_segments.sql

-- migrate:down
DROP FUNCTION forget_slot_turns;
DROP FUNCTION turn_holders;
DROP TABLE slot_turns;
