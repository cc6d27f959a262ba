"""Which key signs: the one that the log says, as of the tree that is signed."""

from __future__ import annotations

import secrets

from db.pool import Connection, Pool
from events.append import AppendRequest, EncodedRequest, Write, append_batch
from events.envelope import NewEvent, RecordedEvent, stream_of
from events.reader import read_stream
from events.tree.notes import SigningKey, parse_verifier_key
from events.types.log import KeyRotated
from service.tree.folder import FolderUnfit, SignedHead, TreeFolder

KEYS_STREAM = stream_of("log", "keys")
TEAM = "system"


async def read_rotations(connection: Connection | Pool) -> list[RecordedEvent]:
    """The events that changed the key, in order."""
    return await read_stream(connection, KEYS_STREAM)


def rotation_of(event: RecordedEvent) -> KeyRotated:
    """What the event of the keys' stream says."""
    assert isinstance(event.data, KeyRotated)
    return event.data


def first_key(folder: TreeFolder, name: str | None, *, log_is_signed: bool) -> SigningKey:
    """The key that signs, which is made for a log that has no signed head yet. `name` is the log's, null for one of
    our own making. Raises FolderUnfit."""
    key = folder.signing_key()
    if key is None:
        if log_is_signed:
            raise FolderUnfit(
                f"the key that the log's heads are signed with is not in {folder}: bring the folder back from its"
                " copy, or name it with REPORT_BUILDER_TREE_FOLDER; where the key is lost, `report-builder audit key"
                " rotate --lost`"
            )
        key = folder.create_key(name or f"report-builder-{secrets.token_hex(6)}")
    if name is not None and key.verifier.name != name:
        raise FolderUnfit(
            f"REPORT_BUILDER_TREE_NAME is {name!r}, and the key in {folder} signs as {key.verifier.name!r}:"
            " a log keeps its name for ever"
        )
    return key


def signers_of(
    folder: TreeFolder, key: SigningKey, rotations: list[RecordedEvent], size: int, last: SignedHead | None
) -> list[SigningKey]:
    """The keys that sign the head of `size` leaves: the one that the log names last up to there, and where no earlier
    head was signed with it also the one before. Raises FolderUnfit where a key is not here."""
    said = [rotation_of(event) for event in rotations if event.position <= size]
    if not said or said[-1].key == key.verifier.text:
        return [key]
    following = folder.next_key()
    if following is None or following.verifier.text != said[-1].key:
        raise FolderUnfit(f"the log is signed with {said[-1].key} now, and that key is not in {folder}")
    if last is not None and any(following.verifier.signed(signature) for signature in last.note.signatures):
        return [following]
    return [key, following]


async def rotate(connection: Connection, folder: TreeFolder, *, lost: bool) -> KeyRotated:
    """Has the log say that another key signs from here on; the signer does so with its next head. A second call
    before that changes nothing. `lost`: the present key is gone, so that the new one vouches for itself alone.

    Raises FolderUnfit.
    """
    rotations = await read_rotations(connection)
    current = folder.signing_key()
    if current is None and not lost:
        raise FolderUnfit(f"there is no key in {folder}; where it is lost, say so with --lost")
    if current is not None and lost:
        raise FolderUnfit(f"the key is in {folder} and not lost")
    if lost:
        known = await connection.fetchval("SELECT key FROM tree_keys ORDER BY first_used DESC LIMIT 1")
        if known is None:
            raise FolderUnfit("no head was ever signed: a key is made with the first")
        previous = parse_verifier_key(known)
        following = folder.create_next_key(previous.name)
        folder.retire(previous)
    else:
        assert current is not None
        previous = current.verifier
        following = folder.create_next_key(previous.name)
    said = KeyRotated(following.verifier.text, previous.text, lost)
    if not rotations or rotation_of(rotations[-1]).key != said.key:
        write = Write(KEYS_STREAM, len(rotations) or "none", (NewEvent(data=said, team_id=TEAM),))
        (verdict,) = await append_batch(connection, [EncodedRequest(AppendRequest((write,)))])
        if isinstance(verdict, Exception):
            raise verdict
    if lost:
        folder.promote_next_key()
    return said
