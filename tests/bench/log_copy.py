"""A table with the log's columns, constraints and indexes that takes plain INSERTs, positions from a sequence.

A sequence hands positions out before the commit, so a reader of such a table would miss events. The contenders
that use it are spared the order that the log guarantees.
"""

from __future__ import annotations

import asyncpg

from tests.postgres import Database

COLUMNS = (
    "position, id, stream, stream_version, event_type, schema_version, team_id, user_id, workflow_id,"
    " step_completed, configuration, metadata, recorded_at"
)


async def create_log_copy(database: Database, name: str) -> None:
    """The table `name` and its sequence `name_position`."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute(
            f"CREATE TABLE {name} (LIKE report_builder_audit INCLUDING ALL);"
            f"CREATE SEQUENCE {name}_position OWNED BY {name}.position"
        )
    finally:
        await connection.close()
