"""`/api/audit/export` and the commands over it: what comes out of a running service, and what the verifier says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from events.tree.notes import COSIGNATURE, SigningKey
from report_builder_verify.bundle import Bundle
from report_builder_verify.checks import Findings, Wanted, verify
from report_builder_verify.notes import read_key
from service.api_client import ApiClient, ApiRefused
from service.tree.folder import TreeFolder
from service.tree.keys import rotate
from tests.bundles import Parts
from tests.integration.http.test_schedules_cli import typed
from tests.postgres import Database, Server
from tests.service import ONCE, Service, serving, settings_for
from tests.tree import append_notes, rewind, sign_all, sign_until, signer_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITNESS = SigningKey.generate("witness.example/w1", COSIGNATURE)
EXPORT = "/api/audit/export"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A service with reports of two teams in its log, signed to its end."""
    async with postgres_server.fresh_database() as database:
        settings = settings_for(database, tmp_path_factory.mktemp("data"))
        settings = msgspec.structs.replace(
            settings,
            auth_own_keys=True,
            tree_interval=0.05,
            tree_heads_log=False,
            tree_witnesses=(WITNESS.verifier.text,),
        )
        async with serving(settings, ("api", "projector", "tree")) as service:
            service.act_as("acme")
            await service.submitted(ONCE)
            service.act_as("zebra")
            await service.done("/api/reports", {"name": "Stripes"})
            service.act_as("acme", ["audit:read"])
            await sign_until(service.program.pool, await head(service))
            yield service


async def head(service: Service) -> int:
    return int(await service.program.pool.fetchval("SELECT max(position) FROM report_builder_audit"))


def key_of(service: Service) -> str:
    """The log's public key, as its operator gives it to an auditor."""
    key = TreeFolder(service.settings.data_dir / "tree").signing_key()
    assert key is not None
    return key.verifier.text


async def exported(service: Service, file: Path, query: str = "") -> Path:
    answer = await service.get(f"{EXPORT}{query}")
    assert answer.status == 200, answer.body
    file.write_bytes(answer.body)
    return file


def findings_of(service: Service, file: Path, *keys: str, wanted: Wanted | None = None) -> Findings:
    with Bundle(file) as bundle:
        return verify(bundle, [read_key(key) for key in (key_of(service), *keys)], (), wanted)


async def test_the_log_is_exported_and_verified_by_its_own_commands(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "log.zip"
    settings = {"API_URL": str(service.http._base_url), "API_TOKEN": service.token(team="acme").removeprefix("Bearer ")}
    done = await typed("audit", "export", str(file), **settings)
    assert (done.exit_code, f"{file}: {file.stat().st_size:,} bytes\n" in done.output) == (0, True)
    assert [other.name for other in tmp_path.iterdir()] == [file.name]
    verify = ("audit", "verify", str(file), "--key", key_of(service))
    done = await typed(*verify)
    assert done.exit_code == 0
    assert f"SOUND: the events of positions 1 to {await head(service)} are the ones that were rec" in done.output
    done = await typed("audit", "export", str(file), "--from", "2", "--to", "5", "--team", "acme", **settings)
    assert done.exit_code == 0
    done = await typed(*verify)
    assert (done.exit_code, "INCOMPLETE, position 1: the events before position 2 are not" in done.output) == (3, True)
    done = await typed(*verify, "--from", "2", "--to", "5", "--team", "acme")
    assert done.exit_code == 0
    refused = await typed("audit", "export", str(tmp_path / "none.zip"), "--to", "100000", **settings)
    assert isinstance(refused.exception, ApiRefused)
    assert "(404 not_found)" in str(refused.exception)
    assert [other.name for other in tmp_path.iterdir()] == [file.name]


async def test_two_exports_at_one_tree_head_are_the_same_bytes(service: Service, tmp_path: Path) -> None:
    first, second = [await exported(service, tmp_path / name) for name in ("first", "second")]
    assert first.read_bytes() == second.read_bytes()


async def test_every_event_fits_the_schema_that_comes_with_it(service: Service, tmp_path: Path) -> None:
    parts = Parts.of(await exported(service, tmp_path / "log.zip"))
    assert {"README.txt", "keys.txt", "manifest.json"} <= parts.keys()
    types = set()
    for leaf, configuration, metadata in parts.events:
        event = msgspec.json.decode(leaf)
        types.add(event["event_type"])
        schema = msgspec.json.decode(parts[f"schemas/{event['event_type']}/{event['schema_version']}.json"])
        jsonschema_rs.validate(schema, msgspec.json.decode(configuration))
        assert isinstance(msgspec.json.decode(metadata), dict)
    assert {"report.submitted", "collection.created", "workflow.created", "instance.added"} <= types
    assert {name.split("/")[1] for name in parts if name.startswith("schemas/")} == types


async def test_a_teams_export_has_the_leaves_of_all_and_the_bodies_of_its_own(service: Service, tmp_path: Path) -> None:
    file = await exported(service, tmp_path / "team.zip", "?team=acme")
    parts = Parts.of(file)
    for leaf, configuration, metadata in parts.events:
        own = msgspec.json.decode(leaf)["team_id"] == "acme"
        assert ((configuration, metadata) == (b"null", b"null")) is not own
    assert b"Stripes" not in b"".join(body for _, *bodies in parts.events for body in bodies)
    assert findings_of(service, file).outcome == "incomplete"
    findings = findings_of(service, file, wanted=Wanted(team="acme"))
    assert (findings.outcome, findings.bodies_not_there > 0) == ("sound", True)


async def test_an_export_is_of_one_tree_head_while_the_log_goes_on(service: Service, tmp_path: Path) -> None:
    pool = service.program.pool
    for _ in range(3):
        writing = asyncio.create_task(append_notes(pool, 300))
        file = await exported(service, tmp_path / "log.zip")
        findings = findings_of(service, file)
        assert findings.outcome == "sound", findings.reason
        await writing
    await sign_until(pool, await head(service))
    findings = findings_of(service, await exported(service, tmp_path / "log.zip"))
    assert (findings.outcome, findings.checked_to) == ("sound", await head(service))


async def test_parts_of_any_extent_are_tied_to_the_head(service: Service, tmp_path: Path) -> None:
    last = await head(service)
    for start, end in ((1, 1), (last, last), (2, 300), (257, last), (256, 256)):
        file = await exported(service, tmp_path / "part.zip", f"?from={start}&to={end}")
        findings = findings_of(service, file, wanted=Wanted(start, end))
        assert (findings.outcome, findings.checked_from, findings.checked_to) == ("sound", start, end), findings.reason


async def test_what_a_witness_has_signed_is_in_the_export(service: Service, tmp_path: Path) -> None:
    note = (await service.get("/api/audit/log/checkpoint")).body.decode()
    text = note.partition("\n\n")[0] + "\n"
    line = WITNESS.cosign(text, 1_760_000_000).line
    assert (await service.post("/api/audit/log/cosignatures", {"note": note + line})).status in (200, 201)
    findings = findings_of(service, await exported(service, tmp_path / "log.zip"), WITNESS.verifier.text)
    assert (findings.outcome, findings.witnesses) == ("sound", [WITNESS.verifier.name])


async def test_an_export_takes_the_scope_and_positions_that_there_are(service: Service) -> None:
    service.authorization = service.token(team="acme", scopes=["events:read"])
    assert (await service.get(EXPORT)).status == 403
    service.act_as("acme", ["audit:read"])
    for query, code in (
        ("from=0", "bad_request"),
        ("from=3&to=2", "bad_request"),
        ("team=", "bad_request"),
        ("to=1000000", "not_found"),
        ("from=1000000", "not_found"),
    ):
        answer = await service.get(f"{EXPORT}?{query}")
        assert answer.json["code"] == code
    asked = await service.send("HEAD", f"{EXPORT}?from=2&to=3")
    assert (asked.status, asked.headers["Content-Type"], asked.body) == (200, "application/zip", b"")
    assert "-2-to-3.zip" in asked.headers["Content-Disposition"]


async def test_a_log_that_was_restored_is_exported_with_its_break(database: Database, tmp_path: Path) -> None:
    settings = settings_for(database, tmp_path / "data")
    async with serving(settings, ("api", "projector")) as service:
        pool, folder = service.program.pool, settings.data_dir / "tree"
        signer = signer_of(pool, folder, None)
        await append_notes(pool, 200)
        await sign_all(signer)
        key = key_of(service)
        async with pool.acquire() as connection:
            await rotate(connection, TreeFolder(folder), lost=None)
        await sign_all(signer)
        for _ in range(2):
            await append_notes(pool, 200)
            await sign_all(signer)
        before = (folder / "last-head").read_text()
        following = key_of(service)
    await rewind(database, 500)
    environment = {"DATABASE_URL": database.service_url, "DATA_DIR": str(settings.data_dir)}
    done = await typed("restore", "--skip-results", **environment)
    assert done.exit_code == 0, done.output
    async with serving(settings, ("api", "projector")) as service:
        await append_notes(service.program.pool, 50)
        await sign_all(signer_of(service.program.pool, folder, None))
        file = await exported(service, tmp_path / "log.zip")
    kept = tmp_path / "kept"
    kept.write_text(before)
    said = await typed("audit", "verify", str(file), "--key", key, "--json")
    findings = msgspec.json.decode(said.output)
    assert (said.exit_code, findings["keys_followed"]) == (0, [{"position": 201, "key": following}]), findings
    assert findings["epochs"] == [{"epoch": 2, "position": 501, "proven_size": 401}]
    keys = ("--key", key, "--key", following)
    said = await typed("audit", "verify", str(file), *keys, "--head", str(kept), "--json")
    assert (said.exit_code, msgspec.json.decode(said.output)["kept_heads_checked"]) == (0, 1), said.output


async def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"PK\3\4" + bytes(100_000))
        assert request.transport is not None
        request.transport.abort()
        return response

    app = web.Application()
    app.router.add_get("/api/audit/export", broken)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server: Any = site._server
    port = server.sockets[0].getsockname()[1]
    settings = msgspec.structs.replace(settings_for(Database("", "", ""), tmp_path), api_url=f"http://127.0.0.1:{port}")
    file = tmp_path / "log.zip"
    file.write_bytes(b"an earlier one")
    with pytest.raises(ApiRefused, match="did not send it to its end"):
        await ApiClient(settings).download("/api/audit/export", file)
    assert [(other.name, other.read_bytes()) for other in tmp_path.iterdir()] == [("log.zip", b"an earlier one")]
    await runner.cleanup()
