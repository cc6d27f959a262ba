"""A forger: whoever owns the log's table, with its triggers off. What they do to it, and where that must be found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import msgspec

from db.pool import Connection
from events.tree.heads import TreeHead, origin_of
from events.tree.notes import Note, SigningKey
from events.tree.store import forget_tiles, grow, load_edge
from events.tree.tiles import Edge
from events.types.log import EpochBegun, KeyRotated
from report_builder_verify.bundle import Bundle
from report_builder_verify.checks import Findings, Wanted, verify
from report_builder_verify.notes import read_head, read_key
from service.audit.export import choose_part, export
from service.contract.event_schemas import published_schemas
from tests.long_log import fill_events
from tests.postgres import Database

NAME = "audit.example/log"
SCHEMAS = published_schemas()
BATCH = 5000


class Stage(msgspec.Struct, frozen=True):
    """A log of so many events with its tree and `heads` signed heads, which `key` has signed."""

    database: Database
    events: int
    heads: int
    key: SigningKey

    @property
    def middle(self) -> int:
        """The position of an event far from both ends, from the edges of tiles, and from tree heads."""
        return self.events * 3 // 5 + 45

    @property
    def around(self) -> tuple[int, int]:
        """Between which tree heads the middle lies: what can be said where all else was forged with it."""
        step = self.events // self.heads
        return (self.middle - 1) // step * step + 1, ((self.middle - 1) // step + 1) * step

    async def build(self) -> None:
        """Writes the log, and has its tree built and signed."""
        await fill_events(self.database, self.events)
        connection = await asyncpg.connect(self.database.service_url)
        try:
            await build_tree(connection, self)
        finally:
            await connection.close()


async def build_tree(connection: Connection, stage: Stage, key: SigningKey | None = None) -> None:
    """Builds the tree from the log as it is. With a key the heads are signed anew, all of them."""
    await forget_tiles(connection)
    if first_time := not await connection.fetchval("SELECT EXISTS (SELECT FROM tree_heads)"):
        key = stage.key
        await connection.execute("INSERT INTO tree_keys (key) VALUES ($1)", key.verifier.text)
    edge = await load_edge(connection)
    step = stage.events // stage.heads
    while await grow(connection, edge, min(step - edge.size % step, BATCH)):
        if key is None or edge.size % step:
            continue
        note = head_of(edge, key)
        if first_time:
            await connection.execute("INSERT INTO tree_heads (epoch, size, note) VALUES (1, $1, $2)", edge.size, note)
        else:
            await connection.execute("UPDATE tree_heads SET note = $2 WHERE size = $1", edge.size, note)


def head_of(edge: Edge, key: SigningKey, epoch: int = 1) -> str:
    """The signed head of a tree."""
    text = TreeHead(origin_of(NAME, epoch), edge.size, edge.root()).text
    return str(Note(text, (key.sign(text),)))


async def read_kept(connection: Connection, size: int) -> str:
    """A head as an auditor may have kept it."""
    return str(await connection.fetchval("SELECT note FROM tree_heads WHERE size = $1", size))


async def exported(connection: Connection, file: Path, first: int | None = None, last: int | None = None) -> Path:
    """The log as the connection sees it, as a bundle."""
    part = await choose_part(connection, first, last, None)
    with file.open("wb") as opened:
        async for piece in export(connection, part, SCHEMAS):
            opened.write(piece)
    return file


def verified(file: Path, key: SigningKey, *kept: str, wanted: Wanted | None = None) -> Findings:
    """What the verifier says."""
    with Bundle(file) as bundle:
        return verify(bundle, [read_key(key.verifier.text)], [read_head(note) for note in kept], wanted)


Forgery = Callable[[Connection, Stage], Awaitable[object]]


def sql(*statements: str) -> Forgery:
    """Statements in which `:m` is the middle position, `:n` the last one."""

    async def forge(connection: Connection, stage: Stage) -> None:
        for statement in statements:
            await connection.execute(statement.replace(":m", str(stage.middle)).replace(":n", str(stage.events)))

    return forge


def column(change: str) -> Forgery:
    """Changes one column of the event in the middle."""
    return sql(f"UPDATE report_builder_audit SET {change} WHERE position = :m")


# Of each column, in what the owner of the table writes in its place.
COLUMNS: dict[str, Forgery] = {
    name: column(change)
    for name, change in {
        "position": "position = :n + 1",
        "id": "id = overlay(id::text placing '0f' from 1)::uuid",
        "stream": "stream = overlay(stream placing '--' from length(stream) - 1)",
        "stream_version": "stream_version = stream_version + 100",
        "event_type": "event_type = 'segment.failed'",
        "schema_version": "schema_version = 2",
        "team_id": "team_id = team_id || '2'",
        "user_id": "user_id = NULL",
        "workflow_id": "workflow_id = overlay(workflow_id placing 'v' from 1)",
        "step_completed": "step_completed = 'review'",
        "configuration": "configuration = replace(configuration::text, 'xxxx', 'xxxy')::json",
        "configuration, spaces alone": "configuration = (configuration::text || E'\\n')::json",
        "metadata": "metadata = replace(metadata::text, 'id', 'ie')::json",
        "recorded_at": "recorded_at = recorded_at + interval '1 microsecond'",
        "recorded_at, long ago": "recorded_at = recorded_at - interval '1 year'",
    }.items()
}


async def rebuild_tree(connection: Connection, stage: Stage) -> None:
    """Alters an event and has the tree built again from what is there now; the heads stay, for want of the key."""
    await COLUMNS["workflow_id"](connection, stage)
    await build_tree(connection, stage)


async def sign_anew(connection: Connection, stage: Stage) -> None:
    await build_tree(connection, stage, SigningKey.generate(NAME))


async def write_anew(connection: Connection, stage: Stage) -> None:
    """Alters an event, and makes all else fit: the tree, and the heads with a key of the forger's own."""
    await COLUMNS["workflow_id"](connection, stage)
    await sign_anew(connection, stage)


async def write_anew_with_the_key(connection: Connection, stage: Stage) -> None:
    """The same with the log's own key, which was stolen."""
    await COLUMNS["workflow_id"](connection, stage)
    await build_tree(connection, stage, stage.key)


async def rewind(connection: Connection, stage: Stage) -> None:
    """Brings back an older backup: log, tree and heads as they were one head ago."""
    older = stage.events - stage.events // stage.heads
    for table, name in (("report_builder_audit", "position"), ("tree_heads", "size")):
        await connection.execute(f"DELETE FROM {table} WHERE {name} > $1", older)


async def write_anew_in_another_epoch(connection: Connection, stage: Stage) -> None:
    """Writes all of it anew, as if after a restore that nothing was shown of, around a head that is genuine."""
    genuine = await read_kept(connection, stage.events)
    begun = EpochBegun(2, 0, None, None, genuine)
    await COLUMNS["workflow_id"](connection, stage)
    await connection.execute("DELETE FROM tree_heads WHERE size < $1", stage.events)
    stream = await connection.fetchval("SELECT stream FROM report_builder_audit WHERE position = 1")
    await connection.execute(
        "UPDATE report_builder_audit SET stream = 'log-epochs', stream_version = 1, event_type = 'log.epoch_begun',"
        " configuration = $1::json WHERE position = 1",
        msgspec.json.encode(begun).decode(),
    )
    # The later events of the stream that had this place move up, by way of versions that are free.
    for change in ("+ 1000000", "- 1000001"):
        await connection.execute(
            f"UPDATE report_builder_audit SET stream_version = stream_version {change} WHERE stream = $1",
            stream,
        )
    await build_tree(connection, stage)


async def plant_a_key(connection: Connection, stage: Stage) -> None:
    """Appends, with the service's own login, that the log takes a key of the forger's and takes its own again, and has
    that signed by the log; then writes what follows anew, and signs it with the key of theirs."""
    evil, own = SigningKey.generate(NAME), stage.key
    step = stage.events // stage.heads
    for at, key, previous in ((1, evil, own), (2, own, evil)):
        body = msgspec.json.encode(KeyRotated(key.verifier.text, previous.verifier.text))
        await connection.execute(APPEND, stage.events, "log-keys", at, at, "log.key_rotated", body.decode())
    for at in range(3, 2 * step + 1):
        await connection.execute(APPEND, stage.events, "log-forged", at, at - 2, "log.projection_rebuilt", "{}")
    edge = await load_edge(connection)
    for key in (own, evil):
        await grow(connection, edge, step)
        await connection.execute(
            "INSERT INTO tree_heads (epoch, size, note) VALUES (1, $1, $2)", edge.size, head_of(edge, key)
        )


# A further event, like the last one: so many positions behind it, in this stream and version, of this type and body.
APPEND = """
INSERT INTO report_builder_audit
SELECT position + $3::bigint, gen_random_uuid(), $2, $4, $5, 1, team_id, NULL, NULL, NULL, $6::json, metadata,
       recorded_at
  FROM report_builder_audit WHERE position = $1
"""
# A row at another position, by way of positions that are free.
MOVE_UP = "UPDATE report_builder_audit SET position = position + 2 * :n WHERE position > :m"
MOVE_DOWN = "UPDATE report_builder_audit SET position = position - 2 * :n {} WHERE position > 2 * :n"

Where = Callable[[Stage], tuple[int, int]]


def middle(stage: Stage) -> tuple[int, int]:
    return stage.middle, stage.middle


def end(stage: Stage) -> tuple[int, int]:
    return stage.events, stage.events


def after_the_end(stage: Stage) -> tuple[int, int]:
    """What the second of two further heads covers."""
    step = stage.events // stage.heads
    return stage.events + step + 1, stage.events + 2 * step


def anywhere(stage: Stage) -> tuple[int, int]:
    return 1, stage.events


# The forgery, and where it must be found, from and to. These show in any part of the log that has the middle.
FORGERIES_OF_EVENTS: dict[str, tuple[Forgery, Where]] = {
    **{f"a changed {name}": (forgery, middle) for name, forgery in COLUMNS.items()},
    "two events swapped": (
        sql(
            "UPDATE report_builder_audit SET position = :n + 1 WHERE position = :m",
            "UPDATE report_builder_audit SET position = :m WHERE position = :m + 100",
            "UPDATE report_builder_audit SET position = :m + 100 WHERE position = :n + 1",
        ),
        middle,
    ),
    "an event in the middle dropped": (sql("DELETE FROM report_builder_audit WHERE position = :m"), middle),
    "an event dropped, and the later ones moved up": (
        sql("DELETE FROM report_builder_audit WHERE position = :m", MOVE_UP, MOVE_DOWN.format("- 1")),
        middle,
    ),
    "an event added": (
        sql(
            MOVE_UP,
            MOVE_DOWN.format("+ 1"),
            "INSERT INTO report_builder_audit SELECT :m + 1, gen_random_uuid(), stream, 1000000, event_type,"
            " schema_version, team_id, user_id, workflow_id, step_completed, configuration, metadata, recorded_at"
            " FROM report_builder_audit WHERE position = :m",
        ),
        lambda stage: (stage.middle + 1, stage.middle + 1),
    ),
    "a tile altered": (
        sql(
            "UPDATE tree_tiles SET hashes = overlay(hashes placing '\\x00' from (:m - 1) % 256 * 32 + 1)"
            " WHERE level = 0 AND index = (:m - 1) / 256"
        ),
        middle,
    ),
    "all written anew in another epoch, around a head that is genuine": (write_anew_in_another_epoch, anywhere),
}
# These are found in the whole log, without a head that the auditor has kept.
FORGERIES_OF_THE_LOG: dict[str, tuple[Forgery, Where]] = {
    "the last event dropped": (sql("DELETE FROM report_builder_audit WHERE position = :n"), end),
    "an event altered, and the tree built again": (rebuild_tree, lambda stage: stage.around),
    "all heads signed with another key": (sign_anew, anywhere),
    "an event altered, and all heads signed with another key": (write_anew, anywhere),
    "all written anew in another epoch, around a head that is genuine": (write_anew_in_another_epoch, anywhere),
    "a key planted, and what follows signed with it": (plant_a_key, after_the_end),
}
# These nothing shows but a head that the auditor has kept.
FORGERIES_OF_ALL: dict[str, tuple[Forgery, Where]] = {
    "an older backup brought back": (
        rewind,
        lambda stage: (stage.events - stage.events // stage.heads + 1, stage.events),
    ),
    "an event altered, and all heads signed with the stolen key": (write_anew_with_the_key, anywhere),
}
