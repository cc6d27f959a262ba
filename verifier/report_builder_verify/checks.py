"""What is held against what, in one pass from the first event to the last.

The events are held against each other (`events`), and their tree against the tiles and against each tree head: at its
size the tree must have the root that was signed. What a head is to the log says `standing_of`. That the log is sound
rests on one of them, the newest, which must hold and be signed by the log (`_require_newest`): all others can only show
that it is not.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from report_builder_verify.bundle import Bundle, Damaged, Unfinished
from report_builder_verify.events import BadEvent, Events, Restore
from report_builder_verify.notes import WITNESS_KEY, PublicKey, TreeHead, key_ring, signed_by_log
from report_builder_verify.tree import TileMissing, Tree


class Tampered(Exception):
    """The log or the bundle was altered: at the position `first`, or somewhere from there to `last`; None where what
    was altered belongs to no position."""

    def __init__(self, first: int | None, reason: str, last: int | None = None) -> None:
        super().__init__(reason)
        self.first, self.last, self.reason = first, first if last is None else last, reason


@dataclass(frozen=True)
class Wanted:
    """The part that the auditor has asked for; None: all of it. What else is missing is no fault of the bundle."""

    first: int | None = None
    last: int | None = None
    team: str | None = None


@dataclass
class Findings:
    """What was found: where it was altered or is not complete, `first` to `last`, and why; and what that rests on.

    `head` is the newest tree head, and is empty where it was not shown that the log is what it was signed of.
    """

    outcome: Literal["sound", "tampered", "incomplete"] = "sound"
    reason: str = ""
    first: int | None = None
    last: int | None = None
    checked_from: int = 0
    checked_to: int = 0
    head: dict[str, Any] = field(default_factory=dict)
    heads_checked: int = 0
    heads_of_unknown_signers: int = 0
    kept_heads_checked: int = 0
    witnesses: list[str] = field(default_factory=list)
    bodies_not_there: int = 0
    keys_followed: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)

    def lacks(self, reason: str, first: int | None = None, last: int | None = None) -> None:
        """Something that could not be checked; the first such thing gives the position."""
        if self.outcome == "sound":
            self.outcome, self.reason, self.first, self.last = "incomplete", reason, first, last
        else:
            self.reason += f"; {reason}"


class Standing(Enum):
    """What a tree head is to the log."""

    HOLDS = "it was made from the log's events"
    OVERTAKEN = "it is of an epoch that was over at its last event: a restore took back what it was made from"
    DISPUTED = "it was made from something else"
    FOREIGN = "it is of another log, or of an epoch that had not begun at its last event"


def standing_of(head: TreeHead, name: str, epochs: tuple[int, int], root: bytes) -> Standing:
    """What the head is to the log of this name, whose first `head.size` events have this root. The last of these events
    is of one of the epochs from the first to the second."""
    first, last = epochs
    if head.name != name or head.epoch > last:
        return Standing.FOREIGN
    if head.epoch < first:
        return Standing.OVERTAKEN
    return Standing.HOLDS if head.root == root else Standing.DISPUTED


class Unexplained(NamedTuple):
    """A head that does not hold, which may be for a restore that shows further on; `found` is what it is else."""

    head: TreeHead
    kept: bool
    found: Tampered | None


def verify(
    bundle: Bundle,
    keys: Iterable[PublicKey],
    kept: Sequence[TreeHead] = (),
    wanted: Wanted | None = None,
    progress: Callable[[int], None] = lambda position: None,
) -> Findings:
    """Checks all of it. `kept` are heads that the auditor has kept, each signed by one of the keys. `progress` hears of
    positions now and then."""
    findings = Findings(checked_from=bundle.first, checked_to=bundle.last)
    try:
        _Pass(bundle, keys, kept, findings).run(wanted or Wanted(), progress)
    except Tampered as found:
        findings.outcome, findings.reason = "tampered", found.reason
        findings.first, findings.last = found.first, found.last
    except Damaged as found:
        findings.outcome, findings.reason = "tampered", f"the bundle is damaged: {found}"
    except Unfinished as found:
        findings.lacks(str(found))
    return findings


class _Pass:
    """One pass over a bundle."""

    def __init__(self, bundle: Bundle, keys: Iterable[PublicKey], kept: Sequence[TreeHead], findings: Findings) -> None:
        self._bundle, self._findings, self._keys = bundle, findings, key_ring(keys)
        newest = bundle.newest_head()
        if newest is None:
            raise Unfinished("the bundle has no tree head: nothing in it is signed")
        self._newest = newest
        self._events = Events(bundle.first - 1, bundle.team)
        self._tree = Tree(bundle.tile, newest.size)
        self._heads = heapq.merge(
            ((head, False) for head in bundle.heads()),
            ((head, True) for head in sorted(kept, key=lambda head: head.size)),
            key=lambda each: each[0].size,
        )
        self._head = next(self._heads, None)
        # The sizes of the last head that holds and is signed by a key of the auditor's; and of the last one that the
        # auditor has kept: whoever has the key can make the others fit.
        self._proven = self._kept_proven = 0
        # Whether the newest head holds, and is signed by the log.
        self._newest_proven = False
        self._unexplained: list[Unexplained] = []

    def run(self, wanted: Wanted, progress: Callable[[int], None]) -> None:
        """Raises Tampered, Damaged and Unfinished; what else is missing stands in the findings."""
        bundle, findings, head = self._bundle, self._findings, self._newest
        found: Exception | None = None
        try:
            if bundle.last > head.size:
                raise Tampered(head.size + 1, f"the events go beyond the newest tree head, which is of {head.size}")
            self._skip_to(bundle.first - 1)
            self._read_events(progress)
            self._skip_to(head.size)
            self._tree.hold_edge()
            self._require_newest()
            self._hold_heads_beyond()
            for each in self._unexplained:
                self._explain(each)
            self._hold_manifest()
        except Unfinished as error:
            found = self._newest_unsigned(error)
        except (Tampered, Damaged) as error:
            found = error
        found = self._earlier_than(getattr(found, "first", None)) or found
        findings.bodies_not_there = self._events.without_body
        findings.epochs = [
            {"epoch": each.epoch, "position": each.position, "proven_size": each.proven_size}
            for each in self._events.restores
        ]
        if found:
            raise found
        self._name_what_is_missing(wanted)

    def _read_events(self, progress: Callable[[int], None]) -> None:
        """Checks the events, and grows the tree by as many at once as there are up to the next tile or tree head."""
        last, tree, events = self._bundle.last, self._tree, self._events
        pause, before, hashes = self._next_pause(), tree.size, list[bytes]()
        try:
            for leaves, configurations, metadata in self._bundle.events():
                begin = 0
                while begin < len(leaves):
                    if tree.size == last:
                        raise BadEvent(f"there are more events than the {last} that the bundle names")
                    before, end = tree.size, begin + min(pause, last) - tree.size
                    hashes = [sha256(b"\0" + leaf).digest() for leaf in leaves[begin:end]]
                    events.add(leaves[begin:end], configurations[begin:end], metadata[begin:end])
                    tree.add_leaves(hashes)
                    begin, hashes = end, []
                    if tree.size == pause:
                        self._hold_heads()
                        pause = self._next_pause()
                        progress(tree.size)
            if tree.size < last:
                raise BadEvent("it is not there, nor are those after it")
        except (BadEvent, Damaged) as error:
            tree.add_leaves(hashes[: events.position - before])
            reason = str(error) if isinstance(error, BadEvent) else f"the bundle is damaged there: {error}"
            raise self._first_bad(tree.size + 1, reason) from None

    def _next_pause(self) -> int:
        pause = self._tree.size + self._tree.room()
        return min(pause, self._head[0].size) if self._head else pause

    def _skip_to(self, size: int) -> None:
        """Passes over what the bundle does not have, by the tiles."""
        try:
            self._tree.skip_to(size)
        except TileMissing as error:
            raise Unfinished(f"the tile {error} is not there, which ties the events to the tree head") from None
        self._hold_heads()

    def _hold_heads(self) -> None:
        """Holds the heads of the tree's present size against it; smaller ones lie in what was passed over."""
        while self._head is not None and self._head[0].size <= self._tree.size:
            head, kept = self._head
            if head.size == self._tree.size:
                self._hold(head, kept)
            elif kept:
                self._findings.lacks(f"the head of {head.size} events that you kept lies outside of the bundle's part")
            self._head = next(self._heads, None)

    def _hold(self, head: TreeHead, kept: bool) -> None:
        """A head of the tree's present size."""
        standing = standing_of(head, self._newest.name, self._epochs(), self._tree.root())
        if standing is Standing.FOREIGN:
            raise self._wrong_by(head, f"{_named(head, kept)} is of {head.origin}, and the log there is not")
        good, false = head.signers(self._keys)
        if false:
            raise self._wrong_by(head, f"{_named(head, kept)} was altered: the signature of {false[0]} does not hold")
        if standing is Standing.HOLDS:
            self._count(head, good, kept)
        elif standing is Standing.OVERTAKEN:
            self._put_off(Unexplained(head, kept, None))
        else:
            proven = self._kept_proven if kept else self._proven
            found = self._root_differs(_named(head, kept), head.size, proven)
            if head.epoch == self._newest.epoch:
                raise found
            self._put_off(Unexplained(head, kept, found))

    def _epochs(self) -> tuple[int, int]:
        """The first and the last of which the event at the tree's present size can be: where it is in the bundle, one;
        else the log's next events may be of later ones, up to the newest head's."""
        read = self._bundle.first <= self._tree.size <= self._bundle.last
        return self._events.epoch, self._events.epoch if read else self._newest.epoch

    def _count(self, head: TreeHead, signers: Sequence[PublicKey], kept: bool) -> None:
        """A head that holds: it proves all events up to its size where one of the auditor's keys has signed it."""
        findings = self._findings
        if mismatch := self._tree.mismatch:
            of = _named(head, kept)
            reason = f"{mismatch.tile} was altered: the events are those of {of}, and the tile's hashes are not"
            raise Tampered(mismatch.first, reason, mismatch.last)
        if not signed_by_log(head, signers):
            findings.heads_of_unknown_signers += 1
            return
        self._proven = head.size
        if kept:
            self._kept_proven = head.size
        self._follow_rotation(head, signers)
        findings.heads_checked += not kept
        findings.kept_heads_checked += kept
        if head == self._newest and not kept:
            self._newest_proven = True
            findings.witnesses = [key.name for key in signers if key.kind == WITNESS_KEY]
            findings.head = {"origin": head.origin, "size": head.size, "root": head.root.hex(), "note": head.note}

    def _follow_rotation(self, head: TreeHead, signers: Sequence[PublicKey]) -> None:
        """Takes the key in that the last event about keys names, once a head over it is signed by the key before it.
        An event alone anybody can write who can write to the table. But the log's signer follows the last one too, and
        signs no head over it without having that key; of those in front of it, it has looked at none."""
        if head.size > self._bundle.last:
            return  # there may be later ones than were read
        for position, key, previous in self._events.rotations[-1:]:
            if key and key.name == head.name and previous in signers and (key.name, key.hash) not in self._keys:
                self._keys |= key_ring([key])
                self._findings.keys_followed.append({"position": position, "key": str(key)})

    def _require_newest(self) -> None:
        """The log is what the newest head was signed of, by the log: else nothing shows it."""
        head = self._newest
        if self._newest_proven:
            return
        if signed_by_log(head, head.signers(self._keys)[0]):
            reason = (
                f"the tree head of {head.size} events, the newest one, is of {head.origin}, and its last event is not"
            )
            raise self._wrong_by(head, reason)
        raise self._wrong_by(head, self._says_unsigned())

    def _newest_unsigned(self, error: Unfinished) -> Exception:
        """What is said of a bundle of which too little is there: that the newest head is false, or is not signed."""
        head = self._newest
        good, false = head.signers(self._keys)
        if false:
            reason = f"{_named(head, False)} was altered: the signature of {false[0]} does not hold"
            return self._wrong_by(head, reason)
        return error if signed_by_log(head, good) else Unfinished(f"{error}; and {self._says_unsigned()}")

    def _says_unsigned(self) -> str:
        reason = f"the tree head of {self._newest.size} events, the newest one, is not signed by a key that you named"
        for rotation in self._events.rotations[-1:]:
            reason += f" (the log says at position {rotation.position} that it has another: ask its operator)"
        return reason

    def _hold_heads_beyond(self) -> None:
        """Heads that are larger than the log is now: kept ones, as the bundle's own end with the newest."""
        while self._head is not None:
            head, kept = self._head
            if head.name != self._newest.name:
                raise Tampered(None, f"{_named(head, kept)} is of another log, {head.name}")
            if head.epoch >= self._newest.epoch:
                reason = f"the log ends before it, and {_named(head, kept)} says that it was longer: it was cut off"
                raise Tampered(self._tree.size + 1, reason, head.size)
            self._put_off(Unexplained(head, kept, None))
            self._head = next(self._heads, None)

    def _put_off(self, head: Unexplained) -> None:
        """Until all restores are known. Of the bundle's own heads of one epoch the first one says all."""
        known = any(not each.kept and each.head.epoch == head.head.epoch for each in self._unexplained)
        if head.kept or (head.found and not known):
            self._unexplained.append(head)

    def _restore_of(self, head: TreeHead) -> Restore | None:
        """The first restore that took events of the head back: it is of a later epoch, and says that the log is what
        was signed up to a smaller size, or its body is not there."""
        for restore in self._events.restores:
            if restore.epoch > head.epoch and (restore.proven_size is None or restore.proven_size < head.size):
                return restore
        return None

    def _knows_restores_after(self, epoch: int) -> bool:
        """Whether all restores that began a later epoch are in what was read."""
        return 0 < self._events.epoch_before <= epoch and self._events.epoch == self._newest.epoch

    def _explain(self, unexplained: Unexplained) -> None:
        """Holds a head that a restore took events of back against what the restore says: it names the last head that
        was signed before it."""
        head, kept, found = unexplained
        restore, lacks = self._restore_of(head), self._findings.lacks
        if restore is None and found and self._knows_restores_after(head.epoch):
            raise found
        if restore is None or (kept and restore.last_head is None):
            lacks(f"what the restore says is not there that took back events of the head of {head.size}")
            return
        if not kept or restore.last_head is None:
            return
        last = restore.last_head
        if head.order < last.order:
            lacks(f"a restore took back events of the head of {head.size}, which you kept", restore.position)
        elif (last.order, last.root) != (head.order, head.root):
            reason = f"the restore there names a last tree head of {last.size} events, and you kept one of {head.size}"
            raise Tampered(restore.position, reason)
        else:
            self._findings.kept_heads_checked += 1

    def _hold_manifest(self) -> None:
        """What the manifest says of the rest."""
        bundle, position = self._bundle, self._events.first_of_others
        if bundle.tree_size != self._newest.size:
            reason = f"the manifest names a tree of {bundle.tree_size} events, and the newest tree head another"
            raise Tampered(None, reason)
        if position is not None:
            reason = (
                f"the manifest names the bodies of the team {bundle.team} alone, and that of {position} is another's"
            )
            raise Tampered(None, reason)
        if stray := bundle.stray_files():
            raise Tampered(None, f"{stray[0]} does not belong into the bundle, or is not what the manifest names")

    def _wrong_by(self, head: TreeHead, reason: str) -> Tampered:
        """Something between the last head that holds and this one, or the head itself."""
        return Tampered(min(self._proven + 1, head.size), reason, head.size)

    def _first_bad(self, position: int, reason: str) -> Tampered:
        """Where the first altered event is, when this one is seen to be: here, if by the next tree head all before it
        is what was recorded. Else it is one of those since the last tree head."""
        tree = self._tree
        while self._head is not None:
            head, _ = self._head
            good, false = head.signers(self._keys)
            if head.size >= tree.size and head.epoch == self._events.epoch and signed_by_log(head, good) and not false:
                try:
                    tree.skip_to(head.size)
                except TileMissing:
                    break
                if tree.root() != head.root:
                    return self._root_differs(f"the tree head of {head.size} events", position, self._proven)
                break
            self._head = next(self._heads, None)
        return Tampered(position, reason)

    def _root_differs(self, whose: str, size: int, proven: int) -> Tampered:
        """Where: after the last head that held; and where a tile differs too, there."""
        first, last = proven + 1, size
        if mismatch := self._tree.mismatch:
            first, last = max(first, mismatch.first), min(last, mismatch.last)
            whose = f"neither {mismatch.tile} nor {whose} was made from it"
            return Tampered(first, f"what is there is not what was recorded: {whose}", last)
        return Tampered(first, f"what is there is not what was recorded: {whose} was made from something else", last)

    def _earlier_than(self, position: int | None) -> Tampered | None:
        """What was found and not told yet, as it may have been explained further on, or shows in the end alone."""
        found = []
        for head, _, wrong in self._unexplained:
            explained = self._restore_of(head) or not self._knows_restores_after(head.epoch)
            if wrong and wrong.first and wrong.last and not explained:
                found.append((wrong.last, wrong.first, wrong.reason))
        if mismatch := self._tree.mismatch:
            reason = f"what is there is not what was recorded: {mismatch.tile} was made from something else"
            found.append((mismatch.last, mismatch.first, reason))
        if twice := self._events.first_id_twice():
            found.append((twice[0], twice[0], f"it has the id of the event of position {twice[1]}"))
        last, first, reason = min(found, default=(0, 0, ""))
        return Tampered(first, reason, last) if reason and (position is None or last < position) else None

    def _name_what_is_missing(self, wanted: Wanted) -> None:
        bundle, lacks, without = self._bundle, self._findings.lacks, self._events.first_without_body
        first, last = wanted.first or 1, wanted.last or self._newest.size
        if bundle.first > first:
            lacks(f"the events before position {bundle.first} are not in the bundle", first, bundle.first - 1)
        if bundle.last < last:
            lacks(f"the events after position {bundle.last} are not in the bundle", bundle.last + 1, last)
        if positions := [at for team, at in without.items() if wanted.team in (None, team)]:
            lacks("bodies of events are not in the bundle, from there on", min(positions))
        if missing := self._tree.missing:
            lacks(f"{len(missing)} tiles are not in the bundle, the first of them {missing[0]}")


def _named(head: TreeHead, kept: bool) -> str:
    return f"the tree head of {head.size} events" + (" that you kept" if kept else "")
