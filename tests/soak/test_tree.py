"""The tree over a million events: how fast it is built, and that a round costs no more than over a few."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from db.pool import Pool
from events.tree.merkle import inclusion_ranges, leaf_hash, verify_inclusion
from events.tree.store import read_leaves, roots_of
from service.tree.signer import TreeSigner
from tests.postgres import Database
from tests.tree import append_notes, fill, sign_all, signer_of

EVENTS = 1_000_000
ROUNDS = 50


async def seconds_of_a_round(pool: Pool, signer: TreeSigner) -> float:
    """The median of rounds that find ten events each."""
    took = []
    for _ in range(ROUNDS):
        await append_notes(pool, 10)
        began = time.perf_counter()
        await signer.round()
        took.append(time.perf_counter() - began)
    return sorted(took)[ROUNDS // 2]


async def test_a_million_events_are_taken_into_the_tree(
    pool: Pool, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signer = signer_of(pool, tmp_path / "tree")
    few = await seconds_of_a_round(pool, signer)
    await fill(database, ROUNDS * 10 + 1, EVENTS)
    began = time.perf_counter()
    await sign_all(signer)
    built = time.perf_counter() - began
    assert signer.signed is not None
    head = signer.signed.head
    assert (signer.refused, head.size) == (None, EVENTS)
    async with pool.acquire() as connection:
        for index in random.Random(EVENTS).sample(range(EVENTS), 200):
            (leaf,) = await read_leaves(connection, index, 1)
            proof = await roots_of(connection, inclusion_ranges(index, EVENTS))
            assert verify_inclusion(index, EVENTS, leaf_hash(leaf), proof, head.root)
    many = await seconds_of_a_round(pool, signer)
    tiles = await pool.fetchval("SELECT pg_total_relation_size('tree_tiles') / 1048576")
    with capsys.disabled():
        print(
            f"\n{EVENTS:,} events in {built:.1f} s, {EVENTS / built:,.0f} leaves/s, {tiles} MiB of tiles;"
            f" a round of 10 events {few * 1000:.1f} ms over a few, {many * 1000:.1f} ms over all"
        )
