"""Heads, tiles and proofs over HTTP, as an auditor's programs and a witness use them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pymerkle
import pytest
import pytest_asyncio

from events.reader import read_after
from events.tree.heads import head_of
from events.tree.leaf import leaf_of
from events.tree.merkle import leaf_hash, verify_consistency, verify_inclusion
from events.tree.notes import COSIGNATURE, Note, SigningKey, parse_note, parse_verifier_key
from events.tree.proofs import parse_proof
from events.tree.tiles import TILE_BYTES, root_of, tile_path
from tests.integration.http.test_schedules_cli import typed
from tests.postgres import Database, Server
from tests.service import Service, serving, settings_for
from tests.tree import append_notes, fill, forge, sign_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 1300
WITNESS = SigningKey.generate("witness.example/w1", COSIGNATURE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(postgres_server: Server) -> AsyncIterator[Database]:
    async with postgres_server.fresh_database() as database:
        yield database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A log of SIZE signed events, and of one more for each test that appends."""
    await fill(database, 1, 300)
    settings = settings_for(database, tmp_path_factory.mktemp("data"))
    settings = msgspec.structs.replace(
        settings, tree_name="log.example", tree_interval=0.05, tree_witnesses=(WITNESS.verifier.text,),
        tree_heads_file=settings.data_dir / "heads",
    )  # fmt: skip
    async with serving(settings, ("api", "projector", "tree")) as service:
        await sign_until(service.program.pool, 300)
        await fill(database, 301, SIZE)
        await sign_until(service.program.pool, SIZE)
        yield service


def decoded(texts: list[str]) -> list[bytes]:
    return [base64.b64decode(text) for text in texts]


async def trusted(service: Service) -> Any:
    log = await service.read("/api/audit/log")
    (key,) = log["keys"]
    return parse_verifier_key(key["key"])


async def test_every_event_is_proven_by_what_the_service_answers_and_the_key_alone(service: Service) -> None:
    key = await trusted(service)
    events = await read_after(service.program.pool, 0, SIZE)
    for position in (1, 2, 256, 257, 700, SIZE):
        answer = await service.read(f"/api/audit/proof/{position}?all_teams=true")
        head = head_of(parse_note(answer["head"]))
        assert parse_note(answer["head"]).verified([key]) == [key]
        assert answer["leaf"].encode() == leaf_of(events[position - 1], 1)
        leaf = leaf_hash(answer["leaf"].encode())
        assert (answer["index"], answer["size"], decoded([answer["leaf_hash"]])) == (position - 1, head.size, [leaf])
        assert verify_inclusion(position - 1, head.size, leaf, decoded(answer["hashes"]), head.root)


async def test_another_implementation_takes_the_proofs_that_are_answered(service: Service) -> None:
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    for event in await read_after(service.program.pool, 0, SIZE):
        theirs.append_entry(leaf_of(event, 1))
    for position in range(1, SIZE + 1, 97):
        answer = await service.read(f"/api/audit/proof/{position}?size={SIZE}")
        root = head_of(parse_note(answer["head"])).root
        assert theirs.get_root(SIZE) == root
        proof = theirs.prove_inclusion(position, SIZE)
        proof.path = decoded([answer["leaf_hash"], *answer["hashes"]])
        pymerkle.verify_inclusion(proof.path[0], root, proof, index=position, size=SIZE)


async def test_a_proof_comes_as_a_file_by_its_suffix_or_for_who_asks_for_text(service: Service) -> None:
    key = await trusted(service)
    answers = [
        await service.get(f"/api/audit/proof/42.tlog-proof?size={SIZE}&all_teams=true"),
        await service.get(f"/api/audit/proof/42?size={SIZE}&all_teams=true", Accept="text/plain"),
    ]
    assert answers[0].body == answers[1].body
    assert answers[0].headers["Content-Disposition"] == 'attachment; filename="42.tlog-proof"'
    proof = parse_proof(answers[0].body.decode())
    head = head_of(proof.head)
    assert proof.head.verified([key])
    assert proof.extra is not None
    assert verify_inclusion(proof.index, head.size, leaf_hash(proof.extra), proof.hashes, head.root)


async def test_a_leaf_is_shown_to_its_team_and_to_who_reads_all_teams(service: Service) -> None:
    assert (await service.read("/api/audit/proof/42"))["leaf"] is None
    assert (await service.read("/api/audit/proof/42?all_teams=true"))["leaf"] is not None
    assert parse_proof((await service.get("/api/audit/proof/42.tlog-proof")).body.decode()).extra is None
    created = await service.done("/api/reports", {"name": "Values"})
    own = await service.read(f"/api/audit/proof/{created['position']}")
    assert '"event_type":"report.created"' in own["leaf"]


async def test_a_reader_waits_for_what_was_just_recorded(service: Service) -> None:
    for _ in range(3):
        created = await service.done("/api/reports", {"name": "Values"})
        assert (await service.read(f"/api/audit/proof/{created['position']}"))["size"] >= created["position"]
    end = (await service.read("/api/audit/log"))["log_end"]
    refused = await service.get(f"/api/audit/proof/{end + 10}")
    assert (refused.status, refused.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("position", ["0", "-1", "x", "1.5", "٣", "9" * 30, "1.tlog-proof.tlog-proof"])
async def test_what_is_no_position_is_not_found(service: Service, position: str) -> None:
    assert (await service.get(f"/api/audit/proof/{position}")).status == 404


async def test_the_tiles_give_every_head_that_was_signed(service: Service) -> None:
    note = parse_note((await service.get(f"/api/audit/log/checkpoint?size={SIZE}")).body.decode())
    head = head_of(note)
    assert (head.origin, head.size) == ("log.example", SIZE)
    tiles = {}
    for level, index, width in ((0, 0, 256), (0, 1, 256), (0, 2, 256), (0, 3, 256), (0, 4, 256), (0, 5, 20), (1, 0, 5)):
        answer = await service.get(f"/api/audit/log/tile/{tile_path(level, index, width)}")
        assert answer.headers["Content-Type"] == "application/octet-stream"
        tiles[level, index] = answer.body
    assert len(tiles[0, 0]) == TILE_BYTES
    assert root_of((0, SIZE), tiles) == head.root
    for path in (
        "0/005",
        "0/006.p/1",
        "1/000",
        "0/5.p/20",
        "7/000",
        "63/000",
        "0/x999/x999/x999/x999/x999/x999/x999/999",
    ):
        assert (await service.get(f"/api/audit/log/tile/{path}")).status == 404, path
    unknown = await service.get("/api/audit/log/checkpoint?size=299")
    assert (unknown.status, unknown.json["code"]) == (404, "not_found")


async def test_one_head_is_proven_to_be_the_beginning_of_another(service: Service) -> None:
    before = head_of(parse_note((await service.get("/api/audit/log/checkpoint?size=300")).body.decode()))
    answer = await service.read(f"/api/audit/log/consistency?first=300&second={SIZE}")
    after = head_of(parse_note(answer["head"]))
    assert verify_consistency(300, SIZE, decoded(answer["hashes"]), before.root, after.root)
    newest = await service.read("/api/audit/log/consistency?first=300")
    after = head_of(parse_note(newest["head"]))
    assert verify_consistency(300, newest["second"], decoded(newest["hashes"]), before.root, after.root)
    assert (await service.get("/api/audit/log/consistency?first=1300&second=300")).status == 400


async def test_a_witness_signs_a_head_and_its_signature_is_shown_with_it(service: Service) -> None:
    path = f"/api/audit/log/checkpoint?size={SIZE}"
    assert (await service.get("/api/audit/log/checkpoint?cosigned=true")).status == 404
    note = parse_note((await service.get(path)).body.decode())
    stranger = SigningKey.generate("stranger.example", COSIGNATURE)
    other = head_of(note).text.replace(str(SIZE), "300")
    for wrong in (
        Note(note.text, (stranger.cosign(note.text, 1_700_000_000),)),
        Note(note.text, (WITNESS.cosign(other, 1_700_000_000),)),
        Note(other, (WITNESS.cosign(other, 1_700_000_000),)),
    ):
        refused = await service.post("/api/audit/log/cosignatures", {"note": str(wrong)})
        assert (refused.status, refused.json["code"]) == (422, "cosignature_refused")
    assert (await service.post("/api/audit/log/cosignatures", {"note": "no note"})).status == 422
    cosigned = Note(note.text, (*note.signatures, WITNESS.cosign(note.text, 1_700_000_000)))
    for _ in range(2):
        answer = await service.done("/api/audit/log/cosignatures", {"note": str(cosigned)})
        assert answer == {"size": SIZE, "keys": [WITNESS.verifier.text]}
    assert (await service.get(path)).body.decode() == str(cosigned)
    assert (await service.get("/api/audit/log/checkpoint?cosigned=true")).body.decode() == str(cosigned)
    proof = await service.read("/api/audit/proof/7?cosigned=true")
    assert proof["head"] == str(cosigned)


async def test_the_command_line_proves_and_shows_keys(service: Service, tmp_path: Path) -> None:
    key = (await trusted(service)).text
    url = str(service.http._base_url)
    listed = await typed("audit", "key", "list", API_URL=url)
    assert listed.output.startswith(key)
    file = tmp_path / "42.tlog-proof"
    proven = await typed("audit", "prove", "42", "--size", str(SIZE), "--key", key, "--output", str(file), API_URL=url)
    assert proven.exit_code == 0, proven.output
    assert f"position 42 is in the log of {SIZE} events" in proven.output
    assert parse_proof(file.read_text()).index == 41
    stranger = SigningKey.generate("log.example").verifier.text
    refused = await typed("audit", "prove", "42", "--key", stranger, API_URL=url)
    assert "none of the keys" in str(refused.exception)


async def test_heads_lie_in_the_file_one_behind_the_other(service: Service) -> None:
    file = service.settings.tree_heads_file
    assert file is not None
    key = await trusted(service)
    async with asyncio.timeout(20):
        while not file.exists() or f"\n{SIZE}\n" not in file.read_text():
            await asyncio.sleep(0.05)
    blocks = file.read_text().strip("\n").split("\n\n")
    heads = [parse_note(f"{body}\n\n{lines}\n") for body, lines in zip(blocks[::2], blocks[1::2], strict=True)]
    assert all(note.verified([key]) for note in heads)
    sizes = [head_of(note).size for note in heads]
    assert sizes == sorted(set(sizes))


async def test_an_event_that_was_altered_is_told_from_what_was_signed(service: Service, database: Database) -> None:
    """The last one: it spoils what the others look at."""
    await forge(database, "UPDATE report_builder_audit SET metadata = '{\"a\":1}' WHERE position = 77")
    refused = await service.get("/api/audit/proof/77")
    assert (refused.status, refused.json["code"]) == (500, "event_altered")
    assert (await service.get("/api/audit/proof/78")).status == 200
    await forge(database, "UPDATE tree_tiles SET hashes = set_byte(hashes, 64, 1) WHERE level = 0 AND index = 0")
    assert (await service.get("/api/audit/proof/3")).json["code"] == "event_altered"
    await append_notes(service.program.pool, 1)
    ready = (await service.get("/readyz")).json
    async with asyncio.timeout(20):
        await forge(database, "UPDATE tree_tiles SET hashes = set_byte(hashes, 0, 1) WHERE level = 1 AND index = 0")
        while "tree" not in (ready := (await service.get("/readyz")).json)["problems"]:
            await asyncio.sleep(0.05)
    assert "are not those of the head that was signed" in ready["problems"]["tree"]
