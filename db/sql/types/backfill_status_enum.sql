-- Where a collection stands; see "Collections and segments" in docs/contract.md for what each one means.
CREATE TYPE backfill_status_enum AS ENUM ('pending', 'in_progress', 'completed', 'failed', 'partial');
