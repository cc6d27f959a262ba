"""Migrations on the newest and the oldest PostgreSQL: up, down, twice, half, edited, at once, by a plain admin."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from db.embedded import EmbeddedPostgres
from db.migrations import (
    MIGRATIONS,
    OWNER,
    SERVICE,
    MigrationError,
    load_migrations,
    migrate_down,
    migrate_up,
    migration_status,
)
from db.pool import refuse_unfit_role
from tests.postgres import Database, Server
from tests.postgres15 import postgres15
from tests.recording import append, request

LAST = len(load_migrations())

# All that a migration makes, one line each; two equal lists are two equal schemas.
CATALOG = """
SELECT format('relation %s %s %s', relname, relkind, relowner::regrole) FROM pg_class
 WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT format('column %s %s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull,
              (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum))
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
 WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT format('view %s %s', viewname, definition) FROM pg_views WHERE schemaname = 'public'
UNION ALL
SELECT format('function %s %s %s', oid::regprocedure, proowner::regrole, pg_get_functiondef(oid)) FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT format('trigger %s %s', tgenabled, pg_get_triggerdef(t.oid)) FROM pg_trigger t
  JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = 'public'::regnamespace AND NOT tgisinternal
UNION ALL
SELECT format('type %s %s', enumtypid::regtype, string_agg(enumlabel, ' ' ORDER BY enumsortorder)) FROM pg_enum
 GROUP BY enumtypid
UNION ALL
SELECT format('comment %s %s', objoid::regclass, description) FROM pg_description
 WHERE classoid = 'pg_class'::regclass AND objoid IN
       (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
UNION ALL
SELECT format('grant on %s to %s: %s %s', on_what, grantee::regrole, privilege_type, is_grantable)
  FROM (SELECT relname::text AS on_what, relacl AS acl FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT oid::regprocedure::text, proacl FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT 'schema public', nspacl FROM pg_namespace WHERE nspname = 'public') AS granted,
       aclexplode(acl)
UNION ALL
SELECT format('lock row %s', one) FROM pg_temp.rows_of('append_lock') AS one
UNION ALL
SELECT format('checkpoint %s', one) FROM pg_temp.rows_of('projection_checkpoints') AS one
ORDER BY 1
"""
ROWS_OF = """
CREATE OR REPLACE FUNCTION pg_temp.rows_of(name text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  IF to_regclass('public.' || name) IS NOT NULL THEN
    RETURN QUERY EXECUTE format('SELECT (to_jsonb(t) - ''updated_at'')::text FROM public.%I t', name);
  END IF;
END $$
"""


@pytest.fixture(
    scope="module", params=["18", pytest.param("15", marks=pytest.mark.postgresql15)], ids="PostgreSQL {}".format
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of this module's own: roles belong to the whole server, and here some tests take them away."""
    if request.param == "15":
        with postgres15() as server:
            yield server
        return
    folder = Path(tempfile.mkdtemp(prefix="report-builder-migrations-", dir="/var/tmp"))
    postgres = EmbeddedPostgres(folder / "data")
    asyncio.run(postgres.start())
    server = Server(postgres.socket_folder)
    for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):  # half of the time otherwise
        asyncio.run(server.run(statement))
    yield server
    asyncio.run(postgres.stop())
    shutil.rmtree(folder, ignore_errors=True)


ON_THE_NEWEST_ALONE = pytest.mark.parametrize("server", ["18"], ids="PostgreSQL {}".format, indirect=True)


@pytest.fixture
async def empty(server: Server) -> AsyncIterator[Database]:
    """A database that no migration has touched, on a server without our roles."""
    await server.run(f"DROP ROLE IF EXISTS report_builder, {OWNER}, {SERVICE}")
    async with server.fresh_database(migrated=False) as database:
        yield database


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """A copy of the migrations, with all that they include, to be edited."""
    shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    shutil.copytree(MIGRATIONS.parent / "sql", tmp_path / "sql")
    return tmp_path / "migrations"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def catalog(database: Database) -> list[str]:
    async with connected(database.admin_url) as connection:
        await connection.execute(ROWS_OF)
        return [row[0] for row in await connection.fetch(CATALOG)]


async def our_roles(database: Database) -> set[str]:
    async with connected(database.admin_url) as connection:
        rows = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY ($1)", [OWNER, SERVICE])
    return {row[0] for row in rows}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


async def test_up_down_to_nothing_and_up_again_gives_the_same_schema(empty: Database) -> None:
    before = await catalog(empty)
    assert not await our_roles(empty)

    assert len(await migrate_up(empty.admin_url, service_url=empty.service_url)) == LAST + 2
    whole = await catalog(empty)
    assert [applied for _, applied in await migration_status(empty.service_url)] == [True] * LAST

    assert len(await migrate_down(empty.admin_url)) == LAST
    assert await catalog(empty) == before
    assert not await our_roles(empty)
    assert not any(applied for _, applied in await migration_status(empty.admin_url))
    assert await migrate_down(empty.admin_url) == []

    await migrate_up(empty.admin_url, service_url=empty.service_url)
    assert await catalog(empty) == whole


async def test_up_twice_changes_nothing(empty: Database) -> None:
    everything = (
        "SELECT 'm' || number, applied_at::text FROM schema_migrations"
        " UNION ALL SELECT name, digest FROM schema_objects"
        " UNION ALL SELECT relname, oid::text FROM pg_class"
        " UNION ALL SELECT 'f' || proname, oid || ' ' || xmin FROM pg_proc"
        " UNION ALL SELECT 'r' || roleid, member || ' ' || grantor FROM pg_auth_members ORDER BY 1, 2"
    )
    await migrate_up(empty.admin_url, service_url=empty.service_url)
    async with connected(empty.admin_url) as connection:
        before, schema = await connection.fetch(everything), await catalog(empty)
        assert await migrate_up(empty.admin_url, service_url=empty.service_url) == []
        assert await connection.fetch(everything) == before
        assert await catalog(empty) == schema


READS_AGAIN = 11
"""The migration that changes no table: it lets the projection read the log again."""


async def test_each_down_undoes_its_up_exactly(empty: Database) -> None:
    await migrate_up(empty.admin_url, to=0)
    schemas = [await catalog(empty)]
    for number in range(1, LAST + 1):
        assert len(await migrate_up(empty.admin_url, to=number)) == 1
        schemas.append(await catalog(empty))
        assert (schemas[-1] != schemas[-2]) == (number != READS_AGAIN)
    for number in range(LAST, 1, -1):
        assert len(await migrate_down(empty.admin_url, to=number - 1)) == 1
        assert await catalog(empty) == schemas[number - 1]
        await migrate_up(empty.admin_url, to=number)
        assert await catalog(empty) == schemas[number]
        await migrate_down(empty.admin_url, to=number - 1)


async def test_a_migration_that_fails_midway_leaves_nothing(empty: Database, edited: Path) -> None:
    await migrate_up(empty.admin_url, to=1)
    before = await catalog(empty)
    replace(edited / "0002_read_models.sql", "-- migrate:down", "SELECT 1 / 0;\n\n-- migrate:down")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate_up(empty.admin_url, folder=edited)
    assert await catalog(empty) == before
    assert [applied for _, applied in await migration_status(empty.admin_url)] == [True] + [False] * (LAST - 1)
    assert len(await migrate_up(empty.admin_url)) == LAST - 1


@ON_THE_NEWEST_ALONE
async def test_a_migration_that_was_edited_after_it_was_applied_is_refused(empty: Database, edited: Path) -> None:
    await migrate_up(empty.admin_url)
    replace(edited.parent / "sql" / "tables" / "workflows.sql", "name           text", "title          text")
    with pytest.raises(MigrationError, match="0002_read_models was edited after it was applied here; put it back"):
        await migrate_up(empty.admin_url, folder=edited)


@ON_THE_NEWEST_ALONE
async def test_an_edited_function_is_created_again_and_nothing_else(empty: Database, edited: Path) -> None:
    await migrate_up(empty.admin_url)
    before = await catalog(empty)
    replace(edited.parent / "sql" / "functions" / "refuse_change.sql", "the log is append-only", "no, never")
    assert await migrate_up(empty.admin_url, folder=edited) == ["re-created functions/refuse_change.sql"]
    after = await catalog(empty)
    assert [line for line in after if line not in before] == [line for line in after if "no, never" in line]
    assert len(after) == len(before)
    assert await migrate_up(empty.admin_url, folder=edited) == []


@ON_THE_NEWEST_ALONE
async def test_two_that_migrate_at_once_wait_for_each_other(empty: Database) -> None:
    async with connected(empty.admin_url) as other:
        await other.execute("SELECT pg_advisory_lock(hashtext('report_builder_migrate'))")
        both = [asyncio.create_task(migrate_up(empty.admin_url, service_url=empty.service_url)) for _ in range(2)]
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with asyncio.timeout(10):
            while await other.fetchval(waiting) < 2:
                await asyncio.sleep(0.01)
        assert await other.fetchval("SELECT to_regclass('schema_migrations')") is None
    assert sorted(map(len, await asyncio.gather(*both))) == [0, LAST + 2]


async def test_two_databases_of_a_server_may_be_migrated_at_once(empty: Database, server: Server) -> None:
    async with server.fresh_database(migrated=False) as second, server.fresh_database(migrated=False) as third:
        databases = (empty, second, third)
        await asyncio.gather(*(migrate_up(each.admin_url, service_url=each.service_url) for each in databases))
        # The roles belong to all of them: the first to go leaves them to the others.
        before = await catalog(second)
        await migrate_down(empty.admin_url)
        assert await our_roles(second) == {OWNER, SERVICE}
        assert await catalog(second) == before
        assert not [line for line in await catalog(empty) if "report_builder" in line]


async def test_the_login_of_the_service_is_created_and_may_append(empty: Database) -> None:
    url = empty.service_url.replace("report_builder@", "it%27s%20me:p%27w@")
    done = await migrate_up(empty.admin_url, service_url=url)
    assert done[:2] == ["created the login it's me", f"gave it's me the role {SERVICE}"]
    async with connected(empty.admin_url) as connection:
        password = await connection.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = 'it''s me'")
        assert password.startswith("SCRAM-SHA-256$")
    async with connected(url) as connection:
        await refuse_unfit_role(connection)
        await append(connection, request("report-1"))
    await migrate_down(empty.admin_url)
    async with connected(empty.admin_url) as connection:
        await connection.execute('DROP ROLE "it\'s me"')


@ON_THE_NEWEST_ALONE
async def test_a_login_that_is_there_is_given_the_role_and_nothing_else(empty: Database) -> None:
    async with connected(empty.admin_url) as connection:
        await connection.execute("CREATE ROLE report_builder LOGIN CONNECTION LIMIT 7")
        done = await migrate_up(empty.admin_url, service_url=empty.service_url)
        assert done[0] == f"gave report_builder the role {SERVICE}"
        limit = await connection.fetchval("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'report_builder'")
        assert limit == 7


@ON_THE_NEWEST_ALONE
async def test_an_address_of_the_service_that_names_no_user_is_refused(empty: Database) -> None:
    with pytest.raises(MigrationError, match="REPORT_BUILDER_DATABASE_URL names no user"):
        await migrate_up(empty.admin_url, service_url=f"postgresql:///{empty.name}")


@asynccontextmanager
async def admin_of(empty: Database, attributes: str, *grants: str) -> AsyncIterator[str]:
    """The address of an admin who is no superuser."""
    async with connected(empty.admin_url) as connection:
        await connection.execute(f"CREATE ROLE plain_admin LOGIN {attributes}; {';'.join(grants)}")
        try:
            yield empty.admin_url.replace("postgres@", "plain_admin@")
        finally:
            await connection.execute(
                f"ALTER DATABASE {empty.name} OWNER TO postgres;"
                " REASSIGN OWNED BY plain_admin TO postgres; DROP OWNED BY plain_admin; DROP ROLE plain_admin"
            )


async def test_an_admin_who_owns_the_database_and_may_create_roles_needs_no_superuser(empty: Database) -> None:
    async with admin_of(empty, "CREATEROLE", f"ALTER DATABASE {empty.name} OWNER TO plain_admin") as admin_url:
        before = await catalog(empty)
        assert len(await migrate_up(admin_url, service_url=empty.service_url)) == LAST + 2
        assert await migrate_up(admin_url, service_url=empty.service_url) == []
        async with connected(empty.service_url) as connection:
            await refuse_unfit_role(connection)
            await append(connection, request("report-1"))
        await migrate_down(admin_url)
        assert await catalog(empty) == before
        assert not await our_roles(empty)
        await migrate_up(admin_url, service_url=empty.service_url)
        await migrate_down(admin_url)
        async with connected(admin_url) as connection:
            await connection.execute("DROP ROLE report_builder")


async def test_an_admin_may_have_been_granted_the_schema_instead_of_owning_the_database(empty: Database) -> None:
    grants = (
        "GRANT USAGE, CREATE ON SCHEMA public TO plain_admin WITH GRANT OPTION",
        f"GRANT CREATE ON DATABASE {empty.name} TO plain_admin",
    )
    async with admin_of(empty, "CREATEROLE", *grants) as admin_url:
        await migrate_up(admin_url, service_url=empty.service_url)
        async with connected(empty.service_url) as connection:
            await append(connection, request("report-1"))
        await migrate_down(admin_url)
        assert not await our_roles(empty)
        async with connected(admin_url) as connection:
            await connection.execute("DROP ROLE report_builder")


@pytest.mark.parametrize(
    ("attributes", "grant"),
    [
        ("", "ALTER DATABASE {} OWNER TO plain_admin"),
        ("CREATEROLE", "GRANT CREATE ON DATABASE {} TO plain_admin"),
        ("CREATEROLE", "GRANT USAGE, CREATE ON SCHEMA public TO plain_admin"),
    ],
    ids=["no CREATEROLE", "no right on the schema", "no right to grant the schema on"],
)
async def test_an_admin_without_the_rights_is_told_which_ones_he_needs(
    empty: Database, attributes: str, grant: str
) -> None:
    async with admin_of(empty, attributes, grant.format(empty.name)) as admin_url:
        before = await catalog(empty)
        with pytest.raises(MigrationError, match=r"REPORT_BUILDER_DATABASE_ADMIN_URL may not .* CREATEROLE"):
            await migrate_up(admin_url)
        assert await catalog(empty) == before
        assert not await our_roles(empty)


@ON_THE_NEWEST_ALONE
async def test_a_migration_goes_to_the_schema_public_whatever_the_search_path_is(empty: Database) -> None:
    async with connected(empty.admin_url) as connection:
        await connection.execute("CREATE SCHEMA elsewhere; GRANT ALL ON SCHEMA elsewhere TO PUBLIC")
        await connection.execute(f"ALTER DATABASE {empty.name} SET search_path = elsewhere, public")
    await migrate_up(empty.admin_url)
    async with connected(empty.admin_url) as connection:
        assert await connection.fetchval("SELECT to_regclass('public.report_builder_audit')") is not None
        count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'elsewhere'::regnamespace"
        assert await connection.fetchval(count) == 0


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "0012_more.sql",
            "-- migrate:up\nSELECT 1;\n",
            "0012_more.sql needs a `-- migrate:up` and a `-- migrate:down`",
        ),
        ("0012_more.sql", "SELECT 1;\n-- migrate:down\nSELECT 1;\n", "0012_more.sql needs a `-- migrate:up`"),
        ("0012_more.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\n\n", "0012_more.sql needs a"),
        ("0099_more.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 1;\n", "are not numbered 1, 2, 3"),
    ],
    ids=["no down", "no up", "empty down", "gap"],
)
def test_a_folder_of_migrations_that_is_not_whole_is_refused(edited: Path, name: str, text: str, sentence: str) -> None:
    (edited / name).write_text(text)
    with pytest.raises(MigrationError, match=sentence):
        load_migrations(edited)
