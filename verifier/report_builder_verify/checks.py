"""What is held against what, in one pass over the events from the first position to the last.

Each event: its line is a leaf, its position the next one, its epoch and its time do not go back, its id is new, its
stream's version follows on the last one, its bodies have the hashes that the leaf names. The leaves make a tree: it has
the hashes that the tiles have, and at each tree head's size the root that was signed.
"""

from __future__ import annotations

import heapq
import json
import re
from binascii import unhexlify
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from report_builder_verify.bundle import Bundle, Damaged, Unfinished
from report_builder_verify.notes import WITNESS_KEY, PublicKey, TreeHead, key_ring, read_head, signed_by_log
from report_builder_verify.tree import TileMissing, Tree

# A JSON string, and the one form that a leaf has: these keys in this order, without a space.
_TEXT = rb'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"'
_UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NUMBER = rb"[1-9][0-9]*+"
_LEAF = re.compile(
    rb'\{"v":1,"epoch":(%(number)s),"position":(%(number)s),"id":"(%(uuid)s)","stream":(%(text)s),'
    rb'"stream_version":(%(number)s),"event_type":(%(text)s),"schema_version":%(number)s,"team_id":(%(text)s|null),'
    rb'"user_id":(?:"%(uuid)s"|null),"workflow_id":(?:%(text)s|null),"step_completed":(?:%(text)s|null),'
    rb'"recorded_at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)","configuration_sha256":"([0-9a-f]{64})",'
    rb'"metadata_sha256":"([0-9a-f]{64})"\}' % {b"text": _TEXT, b"uuid": _UUID, b"number": _NUMBER}
)
EPOCH_BEGUN, KEY_ROTATED = b'"log.epoch_begun"', b'"log.key_rotated"'

Outcome = Literal["sound", "tampered", "incomplete"]


class Tampered(Exception):
    """The log or the bundle was altered: at the position `first`, or somewhere from there to `last`; None where what
    was altered belongs to no position."""

    def __init__(self, first: int | None, reason: str, last: int | None = None) -> None:
        super().__init__(reason)
        self.first, self.last, self.reason = first, first if last is None else last, reason


class BadEvent(Tampered):
    """An event that cannot be right as it stands, whatever the tree says."""


@dataclass(frozen=True)
class Wanted:
    """The part that the auditor has asked for; None: all of it. What else is missing is no fault of the bundle."""

    first: int | None = None
    last: int | None = None
    team: str | None = None


@dataclass
class Verdict:
    """What was found: where it was altered or is not complete, `first` to `last`, and why."""

    outcome: Outcome = "sound"
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
    epochs: list[dict[str, Any]] = field(default_factory=list)
    rotations: list[dict[str, Any]] = field(default_factory=list)

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
) -> Verdict:
    """Checks all of it. `kept` are heads that the auditor has kept, of whose signatures one is by one of the keys.
    `progress` hears of positions now and then."""
    verdict = Verdict(checked_from=bundle.first, checked_to=bundle.last)
    try:
        _Pass(bundle, keys, kept, wanted or Wanted(), verdict).run(progress)
    except Tampered as found:
        verdict.outcome, verdict.reason, verdict.first, verdict.last = "tampered", found.reason, found.first, found.last
    except Damaged as found:
        verdict.outcome, verdict.reason = "tampered", f"the bundle is damaged: {found}"
    except Unfinished as found:
        verdict.lacks(str(found))
    return verdict


class _Restore(NamedTuple):
    """What the event that begins an epoch says: up to where the log was shown to be what was signed, and the last head
    that was signed before. Both null where the event's body is not there."""

    epoch: int
    position: int
    proven_size: int | None = None
    last_head: TreeHead | None = None

    @classmethod
    def read(cls, position: int, epoch: int, configuration: bytes) -> _Restore:
        try:
            body = json.loads(configuration)
            if body is None:
                return cls(epoch, position)
            if body["epoch"] == epoch:
                return cls(epoch, position, int(body["proven_size"]), read_head(body["last_head"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise BadEvent(position, f"epoch {epoch} begins here, and the event does not say so")


class _Pass:
    """One pass over a bundle."""

    def __init__(
        self, bundle: Bundle, keys: Iterable[PublicKey], kept: Sequence[TreeHead], wanted: Wanted, verdict: Verdict
    ) -> None:
        self._bundle, self._wanted, self._verdict = bundle, wanted, verdict
        self._keys = key_ring(keys)
        self._final = _last(bundle.heads())
        self._tree = Tree(bundle.tile, self._final.size)
        self._heads = heapq.merge(
            ((head, False) for head in bundle.heads()),
            ((head, True) for head in sorted(kept, key=lambda head: head.size)),
            key=lambda each: each[0].size,
        )
        self._head = next(self._heads, None)
        # The sizes of the last head that holds and is signed by a key of the auditor's; and of the last one that the
        # auditor has kept: whoever has the key can make the others fit.
        self._proven = self._kept_proven = 0
        self._epoch, self._recorded_at = 0, b""
        self._versions: dict[bytes, int] = {}
        # What a stream's last version was before the first event: none, or where a part begins not known.
        self._unknown = 0 if bundle.first == 1 else -1
        # 24 bytes for each event, its id and its position, roughly sorted: a set of all ids would take five times that.
        self._ids = [bytearray() for _ in range(256)]
        self._first_without_body: int | None = None
        self._restores: list[_Restore] = []
        # Heads of an epoch before the last one that do not hold: a restore must explain them.
        self._disputed: list[tuple[TreeHead, bool, Tampered]] = []

    def run(self, progress: Callable[[int], None]) -> None:
        bundle, verdict = self._bundle, self._verdict
        head = self._final
        verdict.head = {"origin": head.origin, "size": head.size, "root": head.root.hex(), "note": head.note}
        found: Exception | None = None
        try:
            if bundle.last > head.size:
                raise Tampered(head.size + 1, f"the events go beyond the last tree head, which is of {head.size}")
            self._skip_to(bundle.first - 1)
            self._read_events(progress)
            self._skip_to(head.size)
            self._hold_kept_heads_beyond()
            if self._disputed:
                raise self._disputed[0][2]
            if stray := bundle.stray_files():
                raise Tampered(None, f"{stray[0]} is not what the manifest names")
        except (Tampered, Damaged, Unfinished) as error:
            found = error
        if earlier := self._earlier_than(getattr(found, "first", None)):
            raise earlier
        if found:
            raise found
        self._name_what_is_missing()

    def _read_events(self, progress: Callable[[int], None]) -> None:
        """Checks each event, and grows the tree by as many at once as there are up to the next tile or tree head."""
        bundle, tree = self._bundle, self._tree
        position, hashes = tree.size, list[bytes]()
        pause = self._next_pause()
        try:
            for leaf, configuration, metadata in bundle.events():
                position += 1
                if position > bundle.last:
                    raise BadEvent(position, f"there are more events than the {bundle.last} that the bundle names")
                self._check(position, leaf, configuration, metadata)
                hashes.append(sha256(b"\0" + leaf).digest())
                if position == pause:
                    tree.add_leaves(hashes)
                    hashes = []
                    self._hold_heads()
                    pause = self._next_pause()
                    progress(position)
            if position < bundle.last:
                raise BadEvent(position + 1, "this event is not there, nor are those after it")
        except (BadEvent, Damaged) as error:
            tree.add_leaves(hashes)
            reason = str(error) if isinstance(error, BadEvent) else f"the bundle is damaged there: {error}"
            raise self._first_bad(tree.size + 1, reason) from None
        tree.add_leaves(hashes)

    def _first_bad(self, position: int, reason: str) -> Tampered:
        """Where the first altered event is, when this one is seen to be: here, if by the next tree head all before it
        is what was recorded. Else it is one of those since the last tree head."""
        tree = self._tree
        while self._head is not None:
            head, _ = self._head
            good, false = head.signers(self._keys)
            if head.size >= tree.size and head.epoch == self._epoch and signed_by_log(head, good) and not false:
                try:
                    tree.skip_to(head.size)
                except TileMissing:
                    break
                if tree.root() != head.root:
                    return self._root_differs(f"the tree head of {head.size} events", position)
                break
            self._head = next(self._heads, None)
        return Tampered(position, reason)

    def _next_pause(self) -> int:
        pause = self._tree.size + self._tree.room()
        return min(pause, self._head[0].size) if self._head else pause

    def _check(self, position: int, leaf: bytes, configuration: bytes, metadata: bytes) -> None:
        """All that can be said of an event without the tree."""
        match = _LEAF.fullmatch(leaf)
        if match is None:
            raise BadEvent(position, "its leaf does not have the form that leaves have")
        epoch, its_position, id, stream, version, event_type, team, recorded_at, of_configuration, of_metadata = (
            match.groups()
        )
        if int(its_position) != position:
            raise BadEvent(position, f"it is not there: the event of position {int(its_position)} stands in its place")
        if recorded_at < self._recorded_at:
            raise BadEvent(position, f"it was recorded at {recorded_at.decode()}, before the event in front of it")
        self._recorded_at = recorded_at
        number, known = int(version), self._versions.get(stream, self._unknown)
        if number != known + 1 and known >= 0:
            name = json.loads(stream)
            raise BadEvent(position, f"it is version {number} of the stream {name}, whose last one was {known}")
        self._versions[stream] = number
        id = unhexlify(id.replace(b"-", b""))
        self._ids[id[-1]] += id + position.to_bytes(8, "big")
        if sha256(configuration).hexdigest().encode() != of_configuration:
            self._body_differs(position, "configuration", configuration, team)
        if sha256(metadata).hexdigest().encode() != of_metadata:
            self._body_differs(position, "metadata", metadata, team)
        if int(epoch) != self._epoch:
            self._begin_epoch(position, int(epoch), event_type, configuration)
        if event_type == KEY_ROTATED and configuration != b"null":
            self._verdict.rotations.append({"position": position, "event": json.loads(configuration)})

    def _body_differs(self, position: int, name: str, body: bytes, team: bytes) -> None:
        if body != b"null":
            raise BadEvent(position, f"its {name} is not the one whose hash its leaf has")
        self._verdict.bodies_not_there += 1
        if self._first_without_body is None and self._wanted.team in (None, json.loads(team)):
            self._first_without_body = position

    def _begin_epoch(self, position: int, epoch: int, event_type: bytes, configuration: bytes) -> None:
        """The first event of an epoch. But for the very first epoch that is one which says so: after a restore."""
        if epoch < self._epoch:
            raise BadEvent(position, f"it is of epoch {epoch}, and the event in front of it of {self._epoch}")
        if self._epoch or (epoch > 1 and position == 1):
            if event_type != EPOCH_BEGUN:
                raise BadEvent(position, f"epoch {epoch} begins here, and no event says so")
            begun = _Restore.read(position, epoch, configuration)
            self._restores.append(begun)
            self._verdict.epochs.append({"epoch": epoch, "position": position, "event": json.loads(configuration)})
            disputed, self._disputed = self._disputed, []
            for head, kept, found in disputed:
                if begun.proven_size is not None and head.size <= begun.proven_size:
                    raise found
                self._hold_overtaken(head, kept)
        self._epoch = epoch

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
                self._verdict.lacks(f"the head of {head.size} events that you kept lies outside of the bundle's part")
            self._head = next(self._heads, None)

    def _hold(self, head: TreeHead, kept: bool) -> None:
        verdict, size = self._verdict, head.size
        whose = f"the tree head of {size} events" + (" that you kept" if kept else "")
        if head.name != self._final.name:
            raise Tampered(self._proven + 1, f"{whose} is of another log, {head.name}", size)
        if head.epoch < self._epoch:
            self._hold_overtaken(head, kept)
            return
        if head.epoch > self._epoch and self._bundle.first <= size <= self._bundle.last:
            raise Tampered(self._proven + 1, f"{whose} is of epoch {head.epoch}, its last event is not", size)
        good, false = head.signers(self._keys)
        if false:
            raise Tampered(self._proven + 1, f"{whose} was altered: the signature of {false[0]} does not hold", size)
        if self._tree.root() != head.root:
            if head.epoch < self._final.epoch:
                # A restore that comes yet may say that from here on the log is not what was signed.
                self._disputed.append((head, kept, self._root_differs(whose, size, kept)))
                return
            raise self._root_differs(whose, size, kept)
        if mismatch := self._tree.mismatch:
            reason = f"{mismatch.tile} was altered: the events are those of {whose}, and the tile's hashes are not"
            raise Tampered(mismatch.first, reason, mismatch.last)
        if signed_by_log(head, good):
            self._proven = size
            self._kept_proven = size if kept else self._kept_proven
            verdict.heads_checked += not kept
            verdict.kept_heads_checked += kept
        elif head is self._final or head == self._final:
            reason = f"{whose}, the last one, is not signed by a key that you named"
            for rotation in verdict.rotations[-1:]:
                reason += f" (position {rotation['position']} says that the log took another one: ask its operator)"
            raise Tampered(self._proven + 1, reason, size)
        else:
            verdict.heads_of_unknown_signers += 1
        if head == self._final:
            verdict.witnesses = [key.name for key in good if key.kind == WITNESS_KEY]

    def _root_differs(self, whose: str, size: int, kept: bool = False) -> Tampered:
        """Where: after the last head that held; and where a tile differs too, there."""
        first, last = (self._kept_proven if kept else self._proven) + 1, size
        if mismatch := self._tree.mismatch:
            first, last = max(first, mismatch.first), min(last, mismatch.last)
            made = f"neither {mismatch.tile} nor {whose} was made from it"
            return Tampered(first, f"what is there is not what was recorded: {made}", last)
        return Tampered(first, f"what is there is not what was recorded: {whose} was made from something else", last)

    def _hold_overtaken(self, head: TreeHead, kept: bool) -> None:
        """A head of an earlier epoch, of events that a restore took back. The restore names the last such head."""
        restore = next((each for each in self._restores if each.epoch > head.epoch), None)
        if not kept:
            return
        if restore is None or restore.last_head is None:
            self._verdict.lacks(
                f"the restore that took back events of the head of {head.size} that you kept is not there"
            )
        elif (last := restore.last_head).size > head.size:
            self._verdict.lacks(
                f"a restore took back events of the head of {head.size} that you kept", restore.position
            )
        elif (last.size, last.root) != (head.size, head.root):
            reason = f"the restore there names a last tree head of {last.size} events, and you kept one of {head.size}"
            raise Tampered(restore.position, reason)
        else:
            self._verdict.kept_heads_checked += 1

    def _hold_kept_heads_beyond(self) -> None:
        """Heads that are larger than the log is now."""
        size = self._tree.size
        while self._head is not None:
            head, kept = self._head
            if head.epoch < self._final.epoch:
                self._hold_overtaken(head, kept)
            elif kept:
                reason = f"the log ends before it, and the head that you kept is of {head.size} events: it was cut off"
                raise Tampered(size + 1, reason, head.size)
            self._head = next(self._heads, None)

    def _earlier_than(self, position: int | None) -> Tampered | None:
        """What was found and not told yet, as it may have been explained further on, or shows in the end alone."""
        found = []
        if mismatch := self._tree.mismatch:
            reason = f"what is there is not what was recorded: {mismatch.tile} was made from something else"
            found.append(Tampered(mismatch.first, reason, mismatch.last))
        if twice := self._first_id_twice():
            found.append(Tampered(twice[1], f"it has the id of the event of position {twice[0]}"))
        return min(
            (each for each in found if each.last and (position is None or each.last < position)),
            key=lambda each: each.last or 0,
            default=None,
        )

    def _first_id_twice(self) -> tuple[int, int] | None:
        """The positions of the first event whose id was there before, and of that one before it, which comes first."""
        first: tuple[int, int] | None = None
        for ids in map(bytes, self._ids):
            if len({ids[at : at + 16] for at in range(0, len(ids), 24)}) * 24 == len(ids):
                continue
            seen: dict[bytes, int] = {}
            for at in range(0, len(ids), 24):
                position = int.from_bytes(ids[at + 16 : at + 24], "big")
                other = seen.setdefault(ids[at : at + 16], position)
                if other != position and (first is None or position < first[1]):
                    first = other, position
        return first

    def _name_what_is_missing(self) -> None:
        bundle, wanted, verdict = self._bundle, self._wanted, self._verdict
        first, last = wanted.first or 1, wanted.last or self._final.size
        if bundle.first > first:
            verdict.lacks(f"the events before position {bundle.first} are not in the bundle", first, bundle.first - 1)
        if bundle.last < last:
            verdict.lacks(f"the events after position {bundle.last} are not in the bundle", bundle.last + 1, last)
        if without := self._first_without_body:
            verdict.lacks("the bodies of some events are not in the bundle, from there on", without)
        if missing := self._tree.missing:
            verdict.lacks(f"{len(missing)} tiles are not in the bundle, the first of them {missing[0]}")


def _last(heads: Iterator[TreeHead]) -> TreeHead:
    """The newest head."""
    found = max(heads, key=lambda head: (head.epoch, head.size), default=None)
    if found is None:
        raise Unfinished("the bundle has no tree head: nothing in it is signed")
    return found
