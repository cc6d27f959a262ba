"""Proofs for readers, made from the tiles and a signed head, and checked before anybody gets them."""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from db.pool import Pool
from events.epochs import read_epochs
from events.reader import read_after, read_head
from events.tree.leaf import leaf_of
from events.tree.merkle import consistency_ranges, inclusion_ranges, leaf_hash, verify_consistency, verify_inclusion
from events.tree.proofs import InclusionProof
from events.tree.store import roots_of
from events.tree.tiles import TilesIncomplete
from service.problems import Refused
from service.tree.heads import KnownHead, read_head_of

log = structlog.get_logger()

PATIENCE = 5.0
"""Seconds that a reader waits for the tree to come to what was just recorded."""
PAUSE = 0.1


class Proven(msgspec.Struct, frozen=True):
    """An event's proof, and what it needs of the event: the leaf, and the team that it belongs to."""

    proof: InclusionProof
    known: KnownHead
    leaf: bytes
    team_id: str


async def prove(pool: Pool, position: int, *, size: int | None, cosigned: bool) -> Proven:
    """That the event is in the tree of the newest head, of the one of `size` events, or of the newest that a witness
    has signed. Refuses with `not_found`, `tree_behind`, and `event_altered` where the event is not what the tree has.
    """
    known = await find_head(pool, size=size, least=position, cosigned=cosigned)
    events = await read_after(pool, position - 1, 1)
    if not events:
        raise Refused("not_found", f"the log has no position {position}")
    event, index = events[0], position - 1
    leaf = leaf_of(event, (await read_epochs(pool)).at(position))
    try:
        own, *hashes = await roots_of(pool, [(index, index + 1), *inclusion_ranges(index, known.head.size)])
    except TilesIncomplete as error:
        raise _rebuilding(error) from None
    if own != leaf_hash(leaf) or not verify_inclusion(index, known.head.size, own, hashes, known.head.root):
        log.critical("event_altered", position=position)
        raise Refused(
            "event_altered",
            f"the event at position {position} is not the one that was signed there; tell whoever audits the log,"
            " and keep the tree heads that you have",
        )
    return Proven(InclusionProof(index, tuple(hashes), known.note), known, leaf, event.team_id)


async def prove_consistency(pool: Pool, first: int, second: KnownHead) -> list[bytes]:
    """That the tree of the first events is the beginning of the head's. Refuses with `tree_behind`, and
    `event_altered` where the tiles do not give what was signed."""
    size = second.head.size
    try:
        before, *hashes = await roots_of(pool, [(0, first), *consistency_ranges(first, size)])
    except TilesIncomplete as error:
        raise _rebuilding(error) from None
    if not verify_consistency(first, size, hashes, before, second.head.root):
        log.critical("tiles_altered", first=first, second=size)
        raise Refused("event_altered", f"the tree's tiles are not those that the head of {size} events was signed of")
    return hashes


async def find_head(pool: Pool, *, size: int | None = None, least: int = 0, cosigned: bool = False) -> KnownHead:
    """The head that is asked for. One that covers what the log has already is waited for, `PATIENCE` seconds.

    Refuses with `not_found` what the log, or the heads, do not have, and with `tree_behind`.
    """
    if size is not None and size < least:
        raise Refused("bad_request", f"a head of {size} events does not cover position {least}")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        known = await read_head_of(pool, size=size, least=least, cosigned=cosigned)
        if known is not None:
            return known
        end = await read_head(pool)
        if least > end:
            raise Refused("not_found", f"the log ends at position {end}")
        if size is not None:
            raise Refused("not_found", f"no head of exactly {size} events was signed; leave size out for the newest")
        if cosigned:
            raise Refused("not_found", "no witness has signed such a head; leave cosigned out for the newest")
        if loop.time() >= deadline:
            raise Refused(
                "tree_behind", "it is signed about every second; ask again, or look at /readyz", retry_after=2
            )
        await asyncio.sleep(PAUSE)


def _rebuilding(error: TilesIncomplete) -> Refused:
    log.warning("tiles_missing", error=str(error))
    return Refused("tree_behind", "the tree is being built anew; ask again in a minute", retry_after=60)
