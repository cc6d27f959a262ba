"""After a restore of the database to an earlier state: what of the log is still what was signed, and a new epoch.

The log is read from its first event and the tree grown anew, so that what is compared with the signed heads is what
the table has now. Nothing here is in one transaction with anything: each step may be done again.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from db.pool import Connection
from events.append import AppendRequest, EncodedRequest, Write, append_batch
from events.envelope import SYSTEM, NewEvent
from events.epochs import EPOCHS_STREAM, Epochs, begun_by, read_epochs
from events.reader import read_head
from events.tree.notes import NoteError, VerifierKey
from events.tree.store import forget_tiles, grow, load_edge, roots_of, wait_for_lock
from events.types.log import EpochBegun
from service.results.store import ResultDamaged, ResultMissing, ResultStore
from service.tree.folder import FolderUnfit, Leave, SignedHead, TreeFolder, signed_head
from service.tree.heads import read_newest_head

BATCH = 5000
NAMES = """
SELECT position, configuration ->> 'checksum' AS checksum FROM report_builder_audit
 WHERE position > $1 AND position <= $2 AND event_type = 'segment.completed' ORDER BY position
"""
PAGE = 50_000

Progress = Callable[[int, int], None]


class Finding(msgspec.Struct, frozen=True):
    """How the log stands to what was signed of it.

    It ends at `end`; `last` is the last signed head of all, and `proven` the largest one that the log agrees with,
    null where there is none. Where a head within the log does not agree, `differs_by` is the smallest such size that
    was found: somewhere from `proven`'s end up to there the log is not what was signed.
    """

    end: int
    last: SignedHead
    proven: SignedHead | None
    differs_by: int | None
    epochs: Epochs

    @property
    def proven_size(self) -> int:
        """How many events are what was signed."""
        return 0 if self.proven is None else self.proven.head.size

    @property
    def whole(self) -> bool:
        """Whether the log has all that was signed, so that no epoch need begin."""
        return self.proven == self.last


class Heads:
    """All signed heads that can be had: of the folder, of the table, and those that were kept elsewhere."""

    def __init__(self, connection: Connection, keys: list[VerifierKey], others: Sequence[SignedHead]) -> None:
        self._connection = connection
        self._keys = keys
        self._others = others

    async def newest(self) -> SignedHead | None:
        """The last one that was signed, as far as is known."""
        note = await read_newest_head(self._connection)
        return max([*self._of_table(note), *self._others], key=lambda each: each.order, default=None)

    async def at_most(self, epoch: int, size: int) -> SignedHead | None:
        """The largest one of the epoch of at most so many events."""
        row = await self._connection.fetchval(
            "SELECT note FROM tree_heads WHERE epoch = $1 AND size <= $2 ORDER BY size DESC LIMIT 1", epoch, size
        )
        others = [each for each in self._others if each.epoch == epoch and each.head.size <= size]
        return max([*self._of_table(row), *others], key=lambda each: each.head.size, default=None)

    def _of_table(self, note: str | None) -> list[SignedHead]:
        """None where it is no head of ours: whoever owns the table may have put it there."""
        try:
            return [] if note is None else [signed_head(note, self._keys)]
        except NoteError:
            return []


def known_heads(folder: TreeFolder, texts: Sequence[str], tell: Callable[[str], None]) -> list[SignedHead]:
    """The folder's last head, and those of files in which heads lie one behind the other. What is no head of this log
    there is told, and passed over: the machine may have stopped while one was written. Raises FolderUnfit where a file
    has no other."""
    keys = folder.verifier_keys()
    kept = folder.last_head()
    heads = [] if kept is None else [kept]
    for text in texts:
        found, reasons = heads_in(text, keys)
        if not found:
            raise FolderUnfit(
                f"a file that was given has no head of the log with the key in {folder}: {'; '.join(reasons[:1])}"
            )
        for reason in reasons:
            tell(reason)
        heads += found
    return heads


def heads_in(text: str, keys: list[VerifierKey]) -> tuple[list[SignedHead], list[str]]:
    """The heads of a file, and why what else is there is none."""
    heads, reasons, line = [], [], 1
    # A blank line within a note has its signatures behind it, which begin with a dash.
    for part in re.split("(\n\n+(?!—))", text):
        if note := part.strip("\n"):
            try:
                heads.append(signed_head(f"{note}\n", keys))
            except NoteError as error:
                reasons.append(f"what begins at line {line} is no head of this log, and is passed over: {error}")
        line += part.count("\n")
    return heads, reasons


async def rebuild_tree(connection: Connection, progress: Progress) -> int:
    """Grows the tree anew from the log alone; answers its size. A signer on another machine, with a copy of the folder,
    may grow it meanwhile: so each step begins where the tree is then."""
    async with connection.transaction():
        await wait_for_lock(connection)
        await forget_tiles(connection)
    end = await read_head(connection)
    while True:
        async with connection.transaction():
            await wait_for_lock(connection)
            edge = await load_edge(connection)
            taken = await grow(connection, edge, BATCH)
        progress(edge.size, max(end, edge.size))
        if not taken:
            return edge.size


async def examine(connection: Connection, folder: TreeFolder, others: Sequence[SignedHead], end: int) -> Finding:
    """Compares the tree of `end` events with the signed heads. Raises FolderUnfit where nothing was ever signed."""
    heads = Heads(connection, folder.verifier_keys(), others)
    last = await heads.newest()
    if last is None:
        raise FolderUnfit(
            f"no signed head is known: neither in {folder} nor in the database. Name a file of them with --heads, or"
            " the folder with REPORT_BUILDER_TREE_FOLDER; a log that was never signed needs no epoch"
        )
    proven, differs_by = None, None
    for epoch in range(last.epoch, 0, -1):
        proven, smallest = await _largest_agreeing(connection, heads, epoch, end)
        if epoch == last.epoch:
            differs_by = smallest
        if proven is not None:
            break
    return Finding(end, last, proven, differs_by, await read_epochs(connection))


async def _largest_agreeing(
    connection: Connection, heads: Heads, epoch: int, end: int
) -> tuple[SignedHead | None, int | None]:
    """Of one epoch, the largest head that the tree agrees with, and the size of the smallest found that it does not.

    Heads of one epoch are consistent with each other: who agrees with one agrees with all smaller ones.
    """
    agreeing, differing = None, None
    low, high = 1, end
    while low <= high:
        # From the end: as a rule the largest one agrees.
        middle = high if differing is None and agreeing is None else (low + high + 1) // 2
        candidate = await heads.at_most(epoch, middle)
        if candidate is None or candidate.head.size < low:
            low = middle + 1
            continue
        (root,) = await roots_of(connection, [(0, candidate.head.size)])
        if root == candidate.head.root:
            agreeing, low = candidate, middle + 1
        else:
            differing, high = candidate.head.size, candidate.head.size - 1
    return agreeing, differing


async def begin_epoch(connection: Connection, folder: TreeFolder, finding: Finding) -> EpochBegun:
    """Appends the event that begins the next epoch, and lets the signer go on in it. Where the last epoch was begun by
    an event that says just what was found, it lets the signer go on; any other one may be somebody else's."""
    begun = finding.epochs.begun
    # It may be known from elsewhere alone; from here on it is what the signer remembers.
    folder.keep_head(finding.last.note)
    proven_at = await _recorded_at(connection, finding.proven_size)
    if begun and begun_by(begun[-1]) == (said := _said(finding, Epochs(begun[:-1]), proven_at)):
        folder.give_leave(Leave(begun[-1].id, said))
        return said
    said = _said(finding, finding.epochs, proven_at)
    following = NewEvent(data=said, team_id=SYSTEM)
    # First the leave: the signer looks for the event that it names, and without that it is nothing.
    folder.give_leave(Leave(following.id, said))
    write = Write(EPOCHS_STREAM, len(begun) or "none", (following,))
    (verdict,) = await append_batch(connection, [EncodedRequest(AppendRequest((write,)))])
    if isinstance(verdict, Exception):
        raise verdict
    return said


def _said(finding: Finding, before: Epochs, proven_at: datetime | None) -> EpochBegun:
    """What the event says that begins another epoch after these."""
    return EpochBegun(
        epoch=max(before.current, finding.last.epoch) + 1,
        proven_size=finding.proven_size,
        proven_head=None if finding.proven is None else str(finding.proven.note),
        proven_at=proven_at,
        last_head=str(finding.last.note),
    )


async def _recorded_at(connection: Connection, position: int) -> datetime | None:
    return await connection.fetchval(  # type: ignore[no-any-return]
        "SELECT recorded_at FROM report_builder_audit WHERE position = $1", position
    )


class UnfitResult(msgspec.Struct, frozen=True):
    """A result that the log names at `position`, and what is wrong with it."""

    position: int
    checksum: str
    problem: str


async def unfit_results(
    connection: Connection, store: ResultStore, end: int, progress: Progress
) -> AsyncIterator[UnfitResult]:
    """Reads every result that the log names, and tells of each that is missing or is not what its name says."""
    seen: set[str] = set()
    for first in range(0, end, PAGE):
        for row in await connection.fetch(NAMES, first, first + PAGE):
            if row["checksum"] in seen:
                continue
            seen.add(row["checksum"])
            with store.scratch_folder() as scratch:
                try:
                    await store.fetch(row["checksum"], Path(scratch) / "result")
                except ResultMissing as error:
                    yield UnfitResult(row["position"], row["checksum"], f"missing: {error}")
                except ResultDamaged as error:
                    yield UnfitResult(row["position"], row["checksum"], f"damaged: {error}")
            progress(row["position"], end)
    progress(end, end)
