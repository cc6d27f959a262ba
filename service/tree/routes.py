"""The transparency log over HTTP: heads, tiles and proofs (c2sp.org/tlog-tiles), and what witnesses sign.

Hashes and heads say nothing of any team. A leaf, which names streams and persons, is shown as events are: to the
event's own team, and to whoever reads all teams'.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.epochs import begun_by, read_epochs
from events.reader import read_head
from events.tree.heads import head_of
from events.tree.merkle import HASH_BYTES, leaf_hash
from events.tree.notes import NoteError, VerifierKey, parse_note
from events.tree.store import read_tiles
from events.tree.tiles import parse_tile_path
from events.validation import Body, decode
from service.auth.caller import caller_of
from service.endpoints import LAST_POSITION, Answer, Endpoint, Query, read_query
from service.http import json_response
from service.problems import Refused
from service.tree.heads import add_cosignatures, read_head_of, read_keys
from service.tree.proofs import Proven, find_head, prove, prove_consistency

NOTE = "text/plain; charset=utf-8"
TILE = "application/octet-stream"
PROOF_FILE = ".tlog-proof"
# After a restore a tile's place may have another content, so it is not said to stay the same for ever.
TILE_CACHE = "private, max-age=300"

Size = Annotated[int, Meta(ge=1, le=LAST_POSITION)]


class ChooseHead(Query, frozen=True, kw_only=True):
    """Which head: the newest, the one of exactly `size` events, or the newest that a witness has signed."""

    size: Size | None = None
    cosigned: bool = False


class ReadProof(ChooseHead, frozen=True, kw_only=True):
    """The head that the proof leads to; `all_teams` shows the leaves of other teams' events too."""

    all_teams: bool = False


class ReadConsistency(Query, frozen=True, kw_only=True):
    """From the first so many events to those of a head, the newest where `second` is left out."""

    first: Size
    second: Size | None = None


class Cosign(Body, frozen=True, kw_only=True):
    """A head with the signature lines of a witness: `note`, as /api/audit/log/checkpoint gives it and with them."""

    note: Annotated[str, Meta(min_length=1, max_length=20_000)]


class CosignAnswer(Answer, frozen=True, kw_only=True):
    """The keys whose co-signatures are kept now, and the head's size."""

    size: int
    keys: list[str]


class EpochAnswer(Answer, frozen=True, kw_only=True):
    """An epoch that a restore began with the event at `position`: it goes on from the `proven_size` first events, of
    which `proven_head` was signed; `last_head` is the last one of the epoch before."""

    epoch: int
    position: int
    begun_at: datetime
    proven_size: int
    proven_head: str | None
    last_head: str


class KeyAnswer(Answer, frozen=True, kw_only=True):
    """A public key, as a vkey, that heads are or were signed with."""

    key: str
    first_used: datetime


class LogAnswer(Answer, frozen=True, kw_only=True):
    """Where the transparency log stands: the newest head's note, how far the log is, its epochs and keys."""

    epoch: int
    size: int
    head: str | None
    signed_at: datetime | None
    log_end: int
    epochs: list[EpochAnswer]
    keys: list[KeyAnswer]
    witnesses: list[str]


class ConsistencyAnswer(Answer, frozen=True, kw_only=True):
    """Hashes in base64, in the order of RFC 6962, section 2.1.2, and the head that they lead to."""

    first: int
    second: int
    hashes: list[str]
    head: str


class ProofAnswer(Answer, frozen=True, kw_only=True):
    """That the event at `position` is leaf `index` of the tree of `size` events. Hashes are base64: the leaf's own,
    and those from its sibling up. `leaf` is its text, whose SHA-256 behind a zero byte `leaf_hash` is; null where the
    event is another team's. `head` is the signed note."""

    position: int
    index: int
    size: int
    epoch: int
    leaf_hash: str
    leaf: str | None
    hashes: list[str]
    head: str


def tree_routes(pool: Pool, witnesses: Sequence[VerifierKey]) -> list[Endpoint]:
    """The routes over the tree behind `pool`; `witnesses` are those whose signatures are taken."""

    async def show(request: Request) -> Response:
        known, epochs = await read_head_of(pool), await read_epochs(pool)
        return json_response(
            LogAnswer(
                epoch=epochs.current,
                size=0 if known is None else known.head.size,
                head=None if known is None else str(known.note),
                signed_at=None if known is None else known.signed_at,
                log_end=await read_head(pool),
                epochs=[
                    EpochAnswer(
                        epoch=begun_by(event).epoch,
                        position=event.position,
                        begun_at=event.recorded_at,
                        proven_size=begun_by(event).proven_size,
                        proven_head=begun_by(event).proven_head,
                        last_head=begun_by(event).last_head,
                    )
                    for event in epochs.begun
                ],
                keys=[KeyAnswer(**row) for row in await read_keys(pool)],
                witnesses=[key.text for key in witnesses],
            )
        )

    async def checkpoint(request: Request) -> Response:
        query = read_query(request, ChooseHead)
        known = await find_head(pool, size=query.size, least=0 if query.size else 1, cosigned=query.cosigned)
        return Response(str(known.note), media_type=NOTE)

    async def tile(request: Request) -> Response:
        path = f"{request.path_params['level']}/{request.path_params['index']}"
        try:
            level, index, width = parse_tile_path(path)
        except ValueError as error:
            raise Refused("not_found", str(error)) from None
        # Larger ones no table has, and the database's integers would not take.
        found = await read_tiles(pool, [(level, index)]) if index < LAST_POSITION and level < 8 else {}
        hashes = found.get((level, index), b"")[: width * HASH_BYTES]
        if len(hashes) < width * HASH_BYTES:
            raise Refused("not_found", f"there is no tile {path}: a partial one has its width in its path")
        return Response(hashes, media_type=TILE, headers={"Cache-Control": TILE_CACHE})

    async def consistency(request: Request) -> Response:
        query = read_query(request, ReadConsistency)
        known = await find_head(pool, size=query.second, least=query.first)
        return json_response(
            ConsistencyAnswer(
                first=query.first,
                second=known.head.size,
                hashes=[_base64(each) for each in await prove_consistency(pool, query.first, known)],
                head=str(known.note),
            )
        )

    async def proof(request: Request) -> Response:
        query = read_query(request, ReadProof)
        text: str = request.path_params["position"]
        number = text.removesuffix(PROOF_FILE)
        if not number.isascii() or not number.isdigit() or not 0 < int(number[:20]) <= LAST_POSITION:
            raise Refused("not_found", f"{text!r} is no position")
        position = int(number)
        proven = await prove(pool, position, size=query.size, cosigned=query.cosigned)
        leaf = proven.leaf if query.all_teams or proven.team_id == caller_of(request).team_id else None
        if number != text or "text/plain" in request.headers.get("accept", ""):
            headers = {"Content-Disposition": f'attachment; filename="{position}{PROOF_FILE}"'}
            return Response(str(msgspec.structs.replace(proven.proof, extra=leaf)), media_type=NOTE, headers=headers)
        return json_response(_answer(position, proven, leaf))

    async def cosign(request: Request) -> Response:
        command = decode(Cosign, await request.body() or b"{}")
        try:
            note = parse_note(command.note)
            known = await read_head_of(pool, size=head_of(note).size)
            if known is None:
                raise Refused("not_found", "the log has signed no head of this size in its present epoch")
            keys = await add_cosignatures(pool, known, note, witnesses)
        except NoteError as error:
            raise Refused("cosignature_refused", str(error)) from None
        return json_response(CosignAnswer(size=known.head.size, keys=keys))

    return [
        Endpoint(
            "GET",
            "/api/audit/log",
            show,
            summary="See where the transparency log stands: head, keys, epochs",
            answer=LogAnswer,
            scope="audit:read",
        ),
        Endpoint(
            "GET",
            "/api/audit/log/checkpoint",
            checkpoint,
            summary="Read a signed tree head",
            query=ChooseHead,
            answer=(NOTE,),
            scope="audit:read",
            refusals=("not_found", "tree_behind"),
        ),
        Endpoint(
            "GET",
            "/api/audit/log/tile/{level}/{index:path}",
            tile,
            summary="Read a tile of the tree",
            answer=(TILE,),
            scope="audit:read",
        ),
        Endpoint(
            "GET",
            "/api/audit/log/consistency",
            consistency,
            summary="Prove that one tree is the beginning of another",
            query=ReadConsistency,
            answer=ConsistencyAnswer,
            scope="audit:read",
            refusals=("not_found", "tree_behind", "event_altered"),
        ),
        Endpoint(
            "POST",
            "/api/audit/log/cosignatures",
            cosign,
            summary="Add a witness's signature to a tree head",
            body=Cosign,
            answer=CosignAnswer,
            scope="audit:read",
            refusals=("not_found", "cosignature_refused"),
        ),
        Endpoint(
            "GET",
            "/api/audit/proof/{position}",
            proof,
            summary="Prove that an event is in the log",
            query=ReadProof,
            answer=ProofAnswer,
            scope="audit:read",
            media=(NOTE,),
            refusals=("tree_behind", "event_altered"),
        ),
    ]


def _answer(position: int, proven: Proven, leaf: bytes | None) -> ProofAnswer:
    return ProofAnswer(
        position=position,
        index=proven.proof.index,
        size=proven.known.head.size,
        epoch=proven.known.epoch,
        leaf_hash=_base64(leaf_hash(proven.leaf)),
        leaf=None if leaf is None else leaf.decode(),
        hashes=[_base64(each) for each in proven.proof.hashes],
        head=str(proven.known.note),
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
