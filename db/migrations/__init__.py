"""Numbered migrations and the runner that applies them.

A migration is `NNNN_name.sql` with a `-- migrate:up` and a `-- migrate:down` part, each run in one transaction.
A line `-- include functions/append_events.sql` stands for that file below `../sql/`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from db.pool import OwnConnection

MIGRATIONS = Path(__file__).parent
OWNER = "report_builder_owner"
SERVICE = "report_builder_service"

# Functions and views are re-created in place: an edited file is applied again, and needs no new migration.
REPLACEABLE = ("functions/", "views/", "triggers/")

_INCLUDE = re.compile(r"^-- include (\S+)$", re.MULTILINE)


class MigrationError(Exception):
    """The schema cannot be brought to the wanted version; the message says why and what to do."""


@dataclass(frozen=True)
class Migration:
    """One file: its number, its SQL with includes in place, and the replaceable objects that it creates."""

    number: int
    name: str
    up: str
    down: str
    objects: dict[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of what may not change once applied: all but the replaceable objects."""
        fixed = self.up
        for text in self.objects.values():
            fixed = fixed.replace(text, "")
        return hashlib.sha256(fixed.encode()).hexdigest()


def load_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """All migrations, ordered; raises MigrationError for a file without both parts or a gap in the numbers."""
    migrations = []
    for path in sorted(folder.glob("[0-9]*.sql")):
        number, _, name = path.stem.partition("_")
        _, marker, rest = path.read_text().partition("-- migrate:up\n")
        up, second, down = rest.partition("-- migrate:down\n")
        if not marker or not second or not down.strip():
            raise MigrationError(f"{path.name} needs a `-- migrate:up` and a `-- migrate:down` part")
        included = {name: (_objects(folder) / name).read_text() for name in _INCLUDE.findall(up)}
        migrations.append(
            Migration(
                number=int(number),
                name=name,
                up=_INCLUDE.sub(lambda match, found=included: found[match[1]], up),  # type: ignore[misc]
                down=down,
                objects={name: text for name, text in included.items() if name.startswith(REPLACEABLE)},
            )
        )
    if [m.number for m in migrations] != list(range(1, len(migrations) + 1)):
        raise MigrationError(f"the migrations in {folder} are not numbered 1, 2, 3 …")
    return migrations


async def migrate_up(
    admin_url: str, *, service_url: str | None = None, to: int | None = None, folder: Path = MIGRATIONS
) -> list[str]:
    """Applies what is missing, each migration in a transaction of its own; answers what it did, in words.

    `service_url` names the login that the service uses: it is created where missing and given the service's
    role. A second call changes nothing and answers an empty list. Two calls at once wait for each other.
    The admin is a superuser, or owns the database and has CREATEROLE. Raises MigrationError.
    """
    migrations = load_migrations(folder)
    done: list[str] = []
    connection = await _connect(admin_url)
    try:
        try:
            async with connection.transaction():
                await _prepare(connection, _objects(folder))
                if service_url is not None:
                    done += await _grant_login(connection, service_url)
        except asyncpg.InsufficientPrivilegeError as error:
            raise MigrationError(
                f"the role of REPORT_BUILDER_DATABASE_ADMIN_URL may not do what a migration does: {error.args[0]}."
                " Name a superuser there, or a role that has CREATEROLE, owns the database, and created the roles"
                f" {OWNER} and {SERVICE} or was granted them WITH ADMIN OPTION"
            ) from error
        await connection.execute(f"SET ROLE {OWNER}")
        applied = await _applied(connection)
        for migration in migrations[: to if to is not None else None]:
            if migration.number in applied:
                done += await _refresh(connection, migration, applied[migration.number])
                continue
            async with connection.transaction():
                await connection.execute("SET LOCAL check_function_bodies = off")
                await connection.execute(migration.up)
                await connection.execute(
                    "INSERT INTO schema_migrations (number, name, digest) VALUES ($1, $2, $3)",
                    migration.number,
                    migration.name,
                    migration.digest,
                )
                await _record_objects(connection, migration.objects)
            done.append(f"applied {migration.number:04} {migration.name}")
    finally:
        await connection.close()
    return done


async def migrate_down(admin_url: str, *, to: int = 0, folder: Path = MIGRATIONS) -> list[str]:
    """Takes migrations back, newest first, down to number `to`; 0 leaves nothing, and loses the log."""
    migrations = load_migrations(folder)
    done: list[str] = []
    connection = await _connect(admin_url)
    try:
        if await connection.fetchval("SELECT to_regclass('public.schema_migrations')") is None:
            return done
        await connection.execute(f"SET ROLE {OWNER}")
        applied = await _applied(connection)
        for migration in reversed(migrations):
            if migration.number not in applied or migration.number <= to:
                continue
            async with connection.transaction():
                await connection.execute(migration.down)
                await connection.execute("DELETE FROM schema_migrations WHERE number = $1", migration.number)
                await connection.execute("DELETE FROM schema_objects WHERE name = ANY ($1)", list(migration.objects))
            done.append(f"took back {migration.number:04} {migration.name}")
        if to == 0:
            await connection.execute("DROP TABLE schema_objects, schema_migrations")
            await connection.execute("DROP SCHEMA IF EXISTS report_builder_rebuild; RESET ROLE")
            await _drop_roles(connection)
    finally:
        await connection.close()
    return done


async def migration_status(url: str) -> list[tuple[Migration, bool]]:
    """Each migration and whether it is applied."""
    connection = await asyncpg.connect(url)
    try:
        known = await connection.fetchval("SELECT to_regclass('public.schema_migrations')") is not None
        applied = await _applied(connection) if known else {}
    finally:
        await connection.close()
    return [(migration, migration.number in applied) for migration in load_migrations()]


def _objects(folder: Path) -> Path:
    return folder.parent / "sql"


async def _connect(admin_url: str) -> OwnConnection:
    """A connection that no other migration runs beside, and whose objects go to the schema `public`."""
    connection = await asyncpg.connect(admin_url, server_settings={"search_path": "public"})
    await connection.execute("SELECT pg_advisory_lock(hashtext('report_builder_migrate'))")
    return connection


async def _prepare(connection: OwnConnection, objects: Path) -> None:
    """Roles (they belong to the server, not the database) and the runner's own two tables."""
    await connection.execute((objects / "roles" / "report_builder_roles.sql").read_text())
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute((objects / "tables" / "schema_migrations.sql").read_text())
    await connection.execute("RESET ROLE")


async def _applied(connection: OwnConnection) -> dict[int, str]:
    rows = await connection.fetch("SELECT number, digest FROM schema_migrations")
    return {row["number"]: row["digest"] for row in rows}


async def _refresh(connection: OwnConnection, migration: Migration, digest: str) -> list[str]:
    """Re-creates the functions and views of an applied migration whose files have changed since."""
    if digest != migration.digest:
        raise MigrationError(
            f"{migration.number:04}_{migration.name} was edited after it was applied here; "
            "put it back and write the change as a new migration; of a demo, delete the data folder"
        )
    rows = await connection.fetch(
        "SELECT name, digest FROM schema_objects WHERE name = ANY ($1)", list(migration.objects)
    )
    current = {row["name"]: row["digest"] for row in rows}
    changed = {name: text for name, text in migration.objects.items() if current.get(name) != _digest(text)}
    if not changed:
        return []
    async with connection.transaction():
        await connection.execute("SET LOCAL check_function_bodies = off")
        for text in changed.values():
            await connection.execute(text)
        await _record_objects(connection, changed)
    return [f"re-created {name}" for name in changed]


async def _record_objects(connection: OwnConnection, objects: dict[str, str]) -> None:
    await connection.executemany(
        "INSERT INTO schema_objects (name, digest) VALUES ($1, $2)"
        " ON CONFLICT (name) DO UPDATE SET digest = excluded.digest",
        [(name, _digest(text)) for name, text in objects.items()],
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _grant_login(connection: OwnConnection, service_url: str) -> list[str]:
    parts = urlsplit(service_url)
    login = unquote(parts.username or "") or parse_qs(parts.query).get("user", [""])[0]
    if not login:
        raise MigrationError("REPORT_BUILDER_DATABASE_URL names no user to give the service's rights to")
    row = await connection.fetchrow(
        "SELECT quote_ident($1) AS ident, quote_literal($2) AS password, r.rolname IS NOT NULL AS known,"
        "       coalesce(r.rolsuper, false) AS superuser,"
        "       r.oid IS NOT NULL AND pg_has_role(r.oid, $3, 'MEMBER') AS granted"
        "  FROM (SELECT) AS one LEFT JOIN pg_roles r ON r.rolname = $1",
        login,
        unquote(parts.password or ""),
        SERVICE,
    )
    assert row is not None
    done = []
    if not row["known"]:
        password = f" PASSWORD {row['password']}" if parts.password else ""
        await connection.execute(f"CREATE ROLE {row['ident']} LOGIN{password}")
        done.append(f"created the login {login}")
    if not row["granted"] and not row["superuser"]:
        await connection.execute(f"GRANT {SERVICE} TO {row['ident']}")
        done.append(f"gave {login} the role {SERVICE}")
    return done


async def _drop_roles(connection: OwnConnection) -> None:
    """Drops our two roles, unless another database of the server still uses them or another admin made them."""
    for role in (OWNER, SERVICE):
        await connection.execute(f"REVOKE ALL ON SCHEMA public FROM {role}")
        await connection.execute(
            f"DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM {role}', current_database()); END $$"
        )
        with contextlib.suppress(asyncpg.DependentObjectsStillExistError, asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"DROP ROLE {role}")
