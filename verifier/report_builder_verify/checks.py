"""What is held against what, in one pass from the first event to the last.

The events are held against each other (`events`), and their tree against the tiles and against each tree head: at its
size the tree must have the root that was signed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from report_builder_verify.bundle import Bundle, Damaged, Unfinished
from report_builder_verify.events import BadEvent, Events
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
    """What was found: where it was altered or is not complete, `first` to `last`, and why; and what that rests on."""

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
        newest = max(bundle.heads(), key=lambda head: (head.epoch, head.size), default=None)
        if newest is None:
            raise Unfinished("the bundle has no tree head: nothing in it is signed")
        self._newest = newest
        self._events = Events(from_start=bundle.first == 1)
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
        # Heads of an epoch before the newest one that do not hold: a restore must explain them.
        self._disputed: list[tuple[TreeHead, bool, Tampered]] = []

    def run(self, wanted: Wanted, progress: Callable[[int], None]) -> None:
        """Raises Tampered, Damaged and Unfinished; what else is missing stands in the findings."""
        bundle, findings, head = self._bundle, self._findings, self._newest
        findings.head = {"origin": head.origin, "size": head.size, "root": head.root.hex(), "note": head.note}
        found: Exception | None = None
        try:
            if bundle.last > head.size:
                raise Tampered(head.size + 1, f"the events go beyond the newest tree head, which is of {head.size}")
            self._skip_to(bundle.first - 1)
            self._read_events(progress)
            self._skip_to(head.size)
            self._hold_heads_beyond()
            if stray := bundle.stray_files():
                raise Tampered(None, f"{stray[0]} is not what the manifest names")
        except (Tampered, Damaged, Unfinished) as error:
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
        """Checks each event, and grows the tree by as many at once as there are up to the next tile or tree head."""
        last, tree, events = self._bundle.last, self._tree, self._events
        position, hashes, pause = tree.size, list[bytes](), self._next_pause()
        try:
            for leaf, configuration, metadata in self._bundle.events():
                position += 1
                if position > last:
                    raise BadEvent(f"there are more events than the {last} that the bundle names")
                events.add(position, leaf, configuration, metadata)
                hashes.append(sha256(b"\0" + leaf).digest())
                if position == pause:
                    tree.add_leaves(hashes)
                    hashes = []
                    self._hold_heads()
                    pause = self._next_pause()
                    progress(position)
            if position < last:
                raise BadEvent("it is not there, nor are those after it")
        except (BadEvent, Damaged) as error:
            tree.add_leaves(hashes)
            reason = str(error) if isinstance(error, BadEvent) else f"the bundle is damaged there: {error}"
            raise self._first_bad(tree.size + 1, reason) from None
        tree.add_leaves(hashes)

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
        while self._disputed and self._disputed[0][0].epoch < self._events.epoch:
            head, kept, found = self._disputed.pop(0)
            self._hold_overtaken(head, kept, found)

    def _hold(self, head: TreeHead, kept: bool) -> None:
        size, proven = head.size, self._proven
        whose = f"the tree head of {size} events" + (" that you kept" if kept else "")
        if head.name != self._newest.name:
            raise Tampered(proven + 1, f"{whose} is of another log, {head.name}", size)
        if head.epoch < self._events.epoch:
            self._hold_overtaken(head, kept, None)
            return
        if head.epoch > self._events.epoch and self._bundle.first <= size <= self._bundle.last:
            raise Tampered(proven + 1, f"{whose} is of epoch {head.epoch}, and its last event is not", size)
        good, false = head.signers(self._keys)
        if false:
            raise Tampered(proven + 1, f"{whose} was altered: the signature of {false[0]} does not hold", size)
        if self._tree.root() != head.root:
            found = self._root_differs(whose, size, self._kept_proven if kept else proven)
            if head.epoch == self._newest.epoch:
                raise found
            self._disputed.append((head, kept, found))
            return
        if mismatch := self._tree.mismatch:
            reason = f"{mismatch.tile} was altered: the events are those of {whose}, and the tile's hashes are not"
            raise Tampered(mismatch.first, reason, mismatch.last)
        self._count(head, good, kept, whose)

    def _count(self, head: TreeHead, signers: Sequence[PublicKey], kept: bool, whose: str) -> None:
        """A head that fits: it proves all events up to its size where one of the auditor's keys has signed it."""
        findings = self._findings
        if head == self._newest:
            findings.witnesses = [key.name for key in signers if key.kind == WITNESS_KEY]
        if signed_by_log(head, signers):
            self._proven = head.size
            if kept:
                self._kept_proven = head.size
            self._follow_rotations(head, signers)
            findings.heads_checked += not kept
            findings.kept_heads_checked += kept
        elif head == self._newest:
            reason = f"{whose}, the newest one, is not signed by a key that you named"
            for rotation in self._events.rotations[-1:]:
                reason += f" (the log says at position {rotation.position} that it has another: ask its operator)"
            raise Tampered(self._proven + 1, reason, head.size)
        else:
            findings.heads_of_unknown_signers += 1

    def _follow_rotations(self, head: TreeHead, signers: Sequence[PublicKey]) -> None:
        """Takes a key in that an event names, once a head over it is signed by the key before it. The event alone
        anybody can write who can write to the table; but no head over it is signed unless the signer has both keys."""
        for position, key, previous in self._events.rotations:
            if key and key.name == head.name and previous in signers and (key.name, key.hash) not in self._keys:
                self._keys |= key_ring([key])
                self._findings.keys_followed.append({"position": position, "key": str(key)})

    def _hold_overtaken(self, head: TreeHead, kept: bool, found: Tampered | None) -> None:
        """A head of an earlier epoch, of events that a restore took back or replaced; `found` is how it differs. The
        restore says up to where the log is what was signed, and names the last head that was signed before it."""
        restore = next((each for each in self._events.restores if each.epoch > head.epoch), None)
        if found and restore and restore.proven_size is not None and head.size <= restore.proven_size:
            raise found
        if not kept:
            return
        if restore is None or restore.last_head is None:
            self._findings.lacks(f"what the restore says is not there that took back events of the head of {head.size}")
        elif (last := restore.last_head).size > head.size:
            self._findings.lacks(
                f"a restore took back events of the head of {head.size}, which you kept", restore.position
            )
        elif (last.size, last.root) != (head.size, head.root):
            reason = f"the restore there names a last tree head of {last.size} events, and you kept one of {head.size}"
            raise Tampered(restore.position, reason)
        else:
            self._findings.kept_heads_checked += 1

    def _hold_heads_beyond(self) -> None:
        """Heads that are larger than the log is now; and those that no restore has explained."""
        size = self._tree.size
        while self._head is not None:
            head, kept = self._head
            if head.epoch < self._newest.epoch:
                self._hold_overtaken(head, kept, None)
            elif kept:
                reason = f"the log ends before it, and the head that you kept is of {head.size} events: it was cut off"
                raise Tampered(size + 1, reason, head.size)
            self._head = next(self._heads, None)
        for _, _, found in self._disputed:
            raise found

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
