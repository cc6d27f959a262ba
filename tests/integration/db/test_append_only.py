"""The log is append-only: for the service's role, for its owner, and against what somebody plants beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from db.migrations import OWNER, SERVICE
from db.pool import DatabaseRefused, refuse_unfit_role
from service.bootstrap import running
from service.roles import Role
from service.settings import Settings
from tests.postgres import Database, Server
from tests.recording import append, last_position, request

PROJECTOR: tuple[Role, ...] = ("projector",)
INSERT = "INSERT INTO report_builder_audit SELECT * FROM report_builder_audit"


@pytest.fixture(scope="module")
def recorded(postgres_server: Server) -> Iterator[Database]:
    """A database with one event, for all tests of this module that commit nothing."""
    with asyncio.Runner() as runner:
        fresh = postgres_server.fresh_database()
        database = runner.run(fresh.__aenter__())
        runner.run(_record(database))
        yield database
        runner.run(fresh.__aexit__(None, None, None))


async def _record(database: Database) -> None:
    connection = await asyncpg.connect(database.service_url)
    await append(connection, request("report-1"))
    await connection.close()


@pytest.fixture
async def service(recorded: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """The service's own role, in a transaction that is rolled back."""
    connection = await asyncpg.connect(recorded.service_url)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.fixture
async def owner(recorded: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """The log's owner, in a transaction that is rolled back."""
    connection = await asyncpg.connect(recorded.admin_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(f"SET ROLE {OWNER}")
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        INSERT,
        "UPDATE report_builder_audit SET team_id = 'other'",
        "DELETE FROM report_builder_audit",
        "TRUNCATE report_builder_audit",
        "MERGE INTO report_builder_audit USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
        "SELECT FROM report_builder_audit FOR UPDATE",
        "LOCK TABLE report_builder_audit IN SHARE MODE",
        "ALTER TABLE report_builder_audit DISABLE TRIGGER ALL",
        "ALTER TABLE report_builder_audit DROP CONSTRAINT report_builder_audit_id_key",
        "ALTER TABLE report_builder_audit RENAME TO elsewhere",
        "DROP TRIGGER report_builder_audit_append_only ON report_builder_audit",
        "CREATE RULE nothing AS ON INSERT TO report_builder_audit DO INSTEAD NOTHING",
        "CREATE TRIGGER mine BEFORE INSERT ON report_builder_audit EXECUTE FUNCTION refuse_change()",
        "CREATE INDEX ON report_builder_audit (team_id)",
        "DROP TABLE report_builder_audit CASCADE",
        "DROP INDEX report_builder_audit_user_activity_idx",
        "DROP FUNCTION append_events",
        "ALTER FUNCTION append_events RESET ALL",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT NULL::trigger'",
        "SET session_replication_role = replica",
        f"SET ROLE {OWNER}",
        f"GRANT {OWNER} TO CURRENT_USER",
        "SET SESSION AUTHORIZATION postgres",
        "CREATE TABLE public.mine ()",
        "CREATE FUNCTION public.array_fill(bigint, int[]) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA mine",
        "INSERT INTO idempotency_keys VALUES ('k', '', 200, '{}', 1, 1, now())",
        "UPDATE idempotency_keys SET status = 200",
        "DELETE FROM idempotency_keys",
        "SELECT FROM append_lock FOR UPDATE",
        "UPDATE append_lock SET one = true",
        "DELETE FROM append_lock",
        "INSERT INTO projection_checkpoints VALUES ('mine', 1)",
        "DELETE FROM projection_checkpoints",
        "TRUNCATE projection_checkpoints",
        "INSERT INTO schema_migrations VALUES (99, 'mine', '')",
        "UPDATE schema_objects SET digest = ''",
        "CREATE OR REPLACE VIEW report_builder_activity AS SELECT 1",
        "UPDATE users SET user_id = gen_random_uuid()",
        "UPDATE users SET subject = 'another'",
        "DELETE FROM users",
        "DELETE FROM person_keys",
        "UPDATE person_keys SET key_id = 'another'",
        "UPDATE sign_in_sessions SET expires_at = 'infinity'",
        "TRUNCATE report_data_weeks",
        "DELETE FROM instance_days",
        "TRUNCATE amc_accounts",
        "ALTER TABLE report_data_weeks DROP CONSTRAINT report_data_weeks_attempts_check",
    ],
)
async def test_the_service_may_not(service: asyncpg.Connection[Any], statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=r"permission denied|must be owner"):
        await service.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE report_builder_audit SET team_id = 'other'",
        "UPDATE report_builder_audit SET team_id = 'other' WHERE false",
        "DELETE FROM report_builder_audit",
        "TRUNCATE report_builder_audit",
        "TRUNCATE report_builder_audit CASCADE",
        "MERGE INTO report_builder_audit USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    ],
)
async def test_the_owner_too_is_told_that_the_log_is_append_only(
    owner: asyncpg.Connection[Any], statement: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="is refused: the log is append-only"):
        await owner.execute(statement)


async def test_a_login_without_the_services_role_may_neither_read_nor_append(recorded: Database) -> None:
    admin = await asyncpg.connect(recorded.admin_url)
    await admin.execute("CREATE ROLE stranger LOGIN")
    stranger = await asyncpg.connect(recorded.admin_url.replace("postgres@", "stranger@"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await stranger.fetch("SELECT FROM report_builder_audit")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for function append_events"):
        await append(stranger, request("report-1"))
    await stranger.close()
    await admin.execute("DROP ROLE stranger")
    await admin.close()


async def test_what_is_planted_in_front_of_the_log_does_not_divert_an_append(database: Database) -> None:
    service = await asyncpg.connect(database.service_url)
    first = last_position(await append(service, request("report-1")))
    await service.execute(
        """
        CREATE TEMPORARY TABLE report_builder_audit (LIKE public.report_builder_audit);
        CREATE TEMPORARY TABLE append_lock (one boolean);
        CREATE TEMPORARY TABLE idempotency_keys (LIKE public.idempotency_keys);
        CREATE FUNCTION pg_temp.clock_timestamp() RETURNS timestamptz
          LANGUAGE sql AS $$ SELECT '1999-01-01'::timestamptz $$;
        CREATE FUNCTION pg_temp.array_fill(bigint, int[]) RETURNS bigint[]
          LANGUAGE sql AS $$ SELECT '{7}'::bigint[] $$;
        SET search_path = pg_temp, public, pg_catalog;
        """
    )
    assert await service.fetchval("SELECT count(*) FROM report_builder_audit") == 0
    assert last_position(await append(service, request("report-1", expected=1))) == first + 1
    rows = await service.fetch("SELECT position, recorded_at > '2020-01-01' FROM public.report_builder_audit")
    assert [tuple(row) for row in rows] == [(first, True), (first + 1, True)]
    assert await service.fetchval("SELECT count(*) FROM pg_temp.report_builder_audit") == 0
    await service.close()


async def test_functions_that_run_as_their_owner_have_a_fixed_search_path_and_are_not_for_everybody(
    owner: asyncpg.Connection[Any],
) -> None:
    rows = await owner.fetch(
        "SELECT proname, array_to_string(proconfig, ' ') AS config, acl.grantee IS NOT NULL AS for_everybody"
        "  FROM pg_proc LEFT JOIN LATERAL"
        "       (SELECT grantee FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))"
        "         WHERE grantee = 0) acl ON true"
        " WHERE pronamespace = 'public'::regnamespace AND prosecdef"
    )
    assert "append_events" in {row["proname"] for row in rows}
    for row in rows:
        assert "search_path=pg_catalog, public, pg_temp" in row["config"]
        assert not row["for_everybody"]


@pytest.mark.parametrize(
    ("make_unfit", "reason"),
    [
        ("ALTER ROLE unfit SUPERUSER", "is (a member of) a superuser"),
        ("CREATE ROLE unfit_boss SUPERUSER; GRANT unfit_boss TO unfit", "is (a member of) a superuser"),
        ("GRANT pg_execute_server_program TO unfit", "is (a member of) a superuser"),
        (f"GRANT {OWNER} TO unfit", "is (a member of) an owner of the log"),
        (f"ALTER ROLE unfit NOINHERIT; GRANT {OWNER} TO unfit", "is (a member of) an owner of the log"),
        (
            "DO $$BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO unfit', current_database()); END$$",
            "is (a member of) the owner of the database",
        ),
        ("ALTER SCHEMA public OWNER TO unfit", "is (a member of) the owner of the database or of its schema"),
        ("ALTER ROLE unfit CREATEROLE", "may grant itself other roles"),
        ("GRANT INSERT ON report_builder_audit TO unfit", "may write to the log's table"),
        ("GRANT TRIGGER ON report_builder_audit TO unfit", "may write to the log's table"),
        ("GRANT pg_write_all_data TO unfit", "may write to the log's table"),
        ("GRANT CREATE ON SCHEMA public TO PUBLIC", "may create objects in the schema public"),
    ],
)
async def test_the_service_refuses_a_role_that_could_alter_the_log(
    recorded: Database, make_unfit: str, reason: str
) -> None:
    admin = await asyncpg.connect(recorded.admin_url)
    transaction = admin.transaction()
    await transaction.start()
    await admin.execute(f"CREATE ROLE unfit LOGIN; GRANT {SERVICE} TO unfit; SET SESSION AUTHORIZATION unfit")
    await refuse_unfit_role(admin)
    await admin.execute(f"RESET SESSION AUTHORIZATION; {make_unfit}; SET SESSION AUTHORIZATION unfit")
    with pytest.raises(DatabaseRefused) as refused:
        await refuse_unfit_role(admin)
    assert str(refused.value).startswith(f"The role 'unfit' of REPORT_BUILDER_DATABASE_URL {reason}")
    assert "Name a plain login role there" in str(refused.value)
    await transaction.rollback()
    await admin.close()


async def test_the_program_does_not_start_as_superuser(recorded: Database, tmp_path: Path) -> None:
    settings = Settings(database_url=recorded.admin_url, data_dir=tmp_path, port=0)
    with pytest.raises(DatabaseRefused, match=r"The role 'postgres' .* is \(a member of\) a superuser"):
        async with running(settings, roles=PROJECTOR):
            pass


async def test_the_program_does_not_start_on_a_database_without_migrations(
    postgres_server: Server, tmp_path: Path
) -> None:
    async with postgres_server.fresh_database(migrated=False) as bare:
        settings = Settings(database_url=bare.service_url, data_dir=tmp_path, port=0)
        with pytest.raises(DatabaseRefused, match=r"lacks the migrations event_log, .* `report-builder migrate up`"):
            async with running(settings, roles=PROJECTOR):
                pass
