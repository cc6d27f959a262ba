"""The role tree: it takes the log's events into the tree, and signs a head of it about every second.

A round is one transaction, under a lock of the database that one process has at a time, and under a lock of the
folder. It grows the tiles, shows that they are consistent with the last head that was signed, keeps the new head in
the folder, and then commits. A crash anywhere leaves either the head unsigned, and the next round signs the same one,
or kept and not in the table, and the next round puts it there: what a head says follows from the log alone.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from db.pool import DATABASE_ERRORS, Connection, Pool, end_if_cancelled
from events.epochs import Epochs, begun_by, read_epochs
from events.reader import LogDamaged
from events.rounds import Rounds
from events.tree.heads import TreeHead, head_of, origin_of
from events.tree.merkle import EMPTY_ROOT
from events.tree.notes import Note, NoteError, parse_note
from events.tree.store import TreeDiffers, grow, load_edge, roots_of, take_lock
from events.tree.tiles import Edge, TilesIncomplete
from service.tree.folder import FolderBusy, FolderUnfit, SignedHead, TreeFolder, signed_head
from service.tree.heads import insert_head, read_newest_head
from service.tree.keys import first_key, read_rotations, signers_of

log = structlog.get_logger()

BATCH = 5000
REFUSALS = (TreeDiffers, TilesIncomplete, FolderUnfit, LogDamaged, NoteError)

AFTER_RESTORE = "where the database was restored, run `report-builder restore`; else find out who has altered it"


class Base(TreeHead, frozen=True):
    """What the tree must be consistent with before a head is signed; `from_size` is the least that may be signed."""

    from_size: int = 0


class TreeSigner:
    """One process's part in the role. `name` is the log's in its heads; null for one of our own making."""

    def __init__(self, pool: Pool, folder: Path, *, name: str | None, interval: float) -> None:
        self._pool = pool
        self._folder = TreeFolder(folder)
        self._name = name
        self._interval = interval
        self.rounds = Rounds()
        self.refused: str | None = None
        """Why no head is signed, where that is so."""
        self.signed: SignedHead | None = None
        """The last head that this process has signed, or found signed."""

    async def run(self) -> None:
        """A round each interval, and at once where the log is ahead, until it is stopped."""
        loop = asyncio.get_running_loop()
        while not self.rounds.stopping:
            began = loop.time()
            self.rounds.begin()
            try:
                more = await self.round()
                self.rounds.end()
            except DATABASE_ERRORS as error:
                end_if_cancelled(error)
                log.warning("tree_waits_for_database", error=f"{type(error).__name__}: {error}")
                more = False
            if not more:
                await asyncio.sleep(max(self._interval - (loop.time() - began), 0.01))

    async def round(self) -> bool:
        """Takes the next events into the tree and signs; whether more wait. Where it must not sign, `refused` says
        why, and nothing has changed."""
        more = False
        try:
            with self._folder.locked():
                more, signed = await self._locked_round()
            self.signed = signed or self.signed  # only now is it committed
            self.refused = None
        except FolderBusy:
            self.refused = None  # whoever has it signs
        except REFUSALS as error:
            if self.refused != str(error):
                log.critical("tree_not_signed", reason=str(error))
            self.refused = str(error)
        return more

    async def _locked_round(self) -> tuple[bool, SignedHead | None]:
        async with self._pool.acquire() as connection, connection.transaction():
            if not await take_lock(connection):
                return False, None
            last = await self._last_head(connection)
            epochs = await read_epochs(connection)
            base = self._base(last, epochs)
            edge = await load_edge(connection)
            limit = BATCH
            if base.size <= edge.size:
                await _require(connection, base)
                taken = await grow(connection, edge, limit)
            else:
                # The tiles are behind what was signed, as when they were deleted: first up to there, then a look.
                limit = min(BATCH, base.size - edge.size)
                taken = await grow(connection, edge, limit)
                if edge.size < base.size and not taken:
                    raise TreeDiffers(
                        f"the log ends at position {edge.size}, and a head of {base.size} events was signed:"
                        f" {AFTER_RESTORE}"
                    )
                if edge.size < base.size:
                    return True, None
                await _require(connection, base)
            if (await read_epochs(connection)).current != epochs.current:
                return True, None  # another one has begun meanwhile: what a head must agree with is to be asked anew
            signed = None
            if edge.size and edge.size >= base.from_size:
                signed = await self._sign(connection, edge, epochs.at(edge.size), last)
            return taken == limit, signed

    async def _last_head(self, connection: Connection) -> SignedHead | None:
        """The last signed head: that of the folder, or a later one of the table, as another machine with a copy of
        the folder may have signed. Raises FolderUnfit where the table's was signed with a key that is not here."""
        kept, newest = self._folder.last_head(), await read_newest_head(connection)
        if newest is None or (kept is not None and newest == str(kept.note)):
            return kept
        try:
            known = signed_head(newest, self._folder.verifier_keys())
        except NoteError:
            signers = ", ".join(signature.name for signature in parse_note(newest).signatures)
            raise FolderUnfit(
                f"the log's heads are signed by {signers}, with a key that is not in {self._folder}: bring the folder"
                " back from its copy, or name it with REPORT_BUILDER_TREE_FOLDER; where the key is lost,"
                " `report-builder audit key rotate --lost KEY`"
            ) from None
        return known if kept is None or known.order > kept.order else kept

    def _base(self, last: SignedHead | None, epochs: Epochs) -> Base:
        """What a new head must agree with: the last one, or where a restore has begun another epoch, and was allowed
        to, the head from which that goes on. Raises TreeDiffers."""
        if last is None:
            return Base("", 0, EMPTY_ROOT, epochs.begun[-1].position if epochs.begun else 0)
        if last.epoch == epochs.current:
            return Base(last.head.origin, last.head.size, last.head.root, last.head.size)
        if last.epoch > epochs.current:
            raise TreeDiffers(
                f"the log is in epoch {epochs.current}, and heads of epoch {last.epoch} were signed: {AFTER_RESTORE}"
            )
        event = epochs.begun[-1]
        begun, leave = begun_by(event), self._folder.leave()
        if leave is None or (leave.event_id, leave.said) != (event.id, begun) or begun.last_head != str(last.note):
            raise TreeDiffers(
                f"an event at position {event.position} begins epoch {begun.epoch}, and `report-builder restore` has"
                f" not allowed that in {self._folder}: {AFTER_RESTORE}"
            )
        if begun.proven_head is None:
            return Base("", 0, EMPTY_ROOT, event.position)
        proven = head_of(parse_note(begun.proven_head))
        return Base(proven.origin, proven.size, proven.root, event.position)

    async def _sign(self, connection: Connection, edge: Edge, epoch: int, last: SignedHead | None) -> SignedHead:
        rotations = await read_rotations(connection)
        key = first_key(self._folder, self._name, log_is_signed=last is not None or bool(rotations))
        head = TreeHead(origin_of(key.verifier.name, epoch), edge.size, edge.root())
        if last is not None and last.note.text == head.text:
            signed = last
        else:
            if last is not None and last.epoch == epoch and last != self.signed:
                # Kept by a process that died before it could show it: somebody outside may have it, and after a
                # rotation it is the one that vouches for the new key.
                await insert_head(connection, last, self._folder.verifier_keys())
            signers = signers_of(self._folder, key, rotations, edge.size, last)
            note = Note(head.text, tuple(signer.sign(head.text) for signer in signers))
            await self._keep(note)
            signed = SignedHead(epoch, head, note)
        self._finish_rotation(signed)
        if self.signed != signed:
            await insert_head(connection, signed, self._folder.verifier_keys())
        return signed

    async def _keep(self, note: Note) -> None:
        """Keeps the head in the folder. Cancelled, it ends when that is done: the folder is not given back before, or
        another signer's later head would be replaced with this one."""
        keeping = asyncio.ensure_future(asyncio.to_thread(self._folder.keep_head, note))
        try:
            await asyncio.shield(keeping)
        except asyncio.CancelledError:
            await asyncio.wait((keeping,))
            raise

    def _finish_rotation(self, signed: SignedHead) -> None:
        following = self._folder.next_key()
        if following and any(following.verifier.signed(signature) for signature in signed.note.signatures):
            self._folder.promote_next_key()


async def _require(connection: Connection, base: Base) -> None:
    (root,) = await roots_of(connection, [(0, base.size)])
    if root != base.root:
        raise TreeDiffers(
            f"the first {base.size} events are not those of the head that was signed of them: {AFTER_RESTORE}."
            " Where only the tiles were damaged, `report-builder audit rebuild` makes them anew from the log"
        )
