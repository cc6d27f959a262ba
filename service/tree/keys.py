"""Which key signs: the one that the log says, as of the tree that is signed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from db.pool import Connection, Pool
from events.append import AppendRequest, EncodedRequest, Write, append_batch
from events.envelope import SYSTEM, NewEvent, RecordedEvent, stream_of
from events.reader import read_stream
from events.tree.notes import ED25519, SigningKey, VerifierKey
from events.types.log import KeyRotated
from service.tree.folder import FolderUnfit, SignedHead, TreeFolder

KEYS_STREAM = stream_of("log", "keys")


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
                " rotate --lost KEY`"
            )
        key = folder.create_key(name or f"report-builder-{secrets.token_hex(6)}")
    if name is not None and key.verifier.name != name:
        raise FolderUnfit(
            f"REPORT_BUILDER_TREE_NAME is {name!r}, and the key in {folder} signs as {key.verifier.name!r}:"
            " a log keeps its name for ever"
        )
    return key


def refuse_strange_keys(folder: TreeFolder, own: Iterable[VerifierKey], rotations: Iterable[RecordedEvent]) -> None:
    """Raises FolderUnfit where an event names a key that is none of the log's `own`. Whoever can write to the table can
    append one, and a head over it would vouch for that key."""
    known = {key.text for key in own}
    for event in rotations:
        if (named := rotation_of(event).key) not in known:
            raise FolderUnfit(
                f"the event at position {event.position} names the key {named}, which was not made in {folder}. Where"
                " it is one of this log's, bring the folder back that has it, or add a line with it to the file"
                " retired-keys there; else somebody has planted the event: restore the database to before it"
            )


def signers_of(
    folder: TreeFolder, key: SigningKey, rotations: list[RecordedEvent], size: int, last: SignedHead | None
) -> list[SigningKey]:
    """The keys that sign the head of `size` leaves: the one that the log names last up to there, and where no earlier
    head was signed with it also the one before. Raises FolderUnfit where a key is not here."""
    covered = [event for event in rotations if event.position <= size]
    refuse_strange_keys(folder, folder.verifier_keys(), covered)
    said = [rotation_of(event) for event in covered]
    if not said or said[-1].key == key.verifier.text:
        return [key]
    following = folder.next_key()
    if following is None or following.verifier.text != said[-1].key:
        raise FolderUnfit(f"the log is signed with {said[-1].key} now, and that key is not in {folder}")
    if last is not None and any(following.verifier.signed(signature) for signature in last.note.signatures):
        return [following]
    return [key, following]


async def rotate(connection: Connection, folder: TreeFolder, *, lost: VerifierKey | None) -> KeyRotated:
    """Has the log say that another key signs from here on; the signer does so with its next head. A second call
    before that changes nothing. `lost`: this key is gone, so that the new one vouches for itself alone. Which one it
    was, the database is not asked: it is one of the log's own from then on.

    Raises FolderUnfit.
    """
    rotations = await read_rotations(connection)
    previous = _lost_key(folder, lost) if lost is not None else _present_key(folder)
    refuse_strange_keys(folder, [*folder.verifier_keys(), previous], rotations)
    following = folder.create_next_key(previous.name)
    if lost is not None:
        folder.retire(previous)
    said = KeyRotated(following.verifier.text, previous.text, lost is not None)
    if not rotations or rotation_of(rotations[-1]).key != said.key:
        write = Write(KEYS_STREAM, len(rotations) or "none", (NewEvent(data=said, team_id=SYSTEM),))
        (verdict,) = await append_batch(connection, [EncodedRequest(AppendRequest((write,)))])
        if isinstance(verdict, Exception):
            raise verdict
    if lost is not None:
        folder.promote_next_key()
    return said


def _present_key(folder: TreeFolder) -> VerifierKey:
    current = folder.signing_key()
    if current is None:
        raise FolderUnfit(f"there is no key in {folder}; where it is lost, name it with --lost")
    return current.verifier


def _lost_key(folder: TreeFolder, lost: VerifierKey) -> VerifierKey:
    """The key that is gone, where nothing in the folder speaks against it."""
    if folder.signing_key() is not None:
        raise FolderUnfit(f"the key is in {folder} and not lost")
    if lost.kind != ED25519:
        raise FolderUnfit(f"{lost.text} is a witness's key, and none of a log")
    try:
        folder.last_head([lost])
    except FolderUnfit as error:
        raise FolderUnfit(f"{lost.text} is not the key that was lost: {error}") from None
    return lost
