"""What can be said of an event without the tree: that it has its form, and follows on the events in front of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from report_builder_verify.ids import Ids
from report_builder_verify.notes import PublicKey, TreeHead, read_head, read_key

# A JSON string, and the one form that a leaf has: these keys in this order, without a space.
_TEXT = rb'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"'
_NUMBER = rb"[1-9][0-9]{0,18}+"
_UUID = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_MOMENT = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
_SHA256 = rb"[0-9a-f]{64}"
_FORM = (
    rb'\{"v":1,"epoch":(%(number)s),"position":(%(number)s),"id":"(%(uuid)s)","stream":(%(text)s),'
    rb'"stream_version":(%(number)s),"event_type":(%(text)s),"schema_version":%(number)s,"team_id":(%(text)s|null),'
    rb'"user_id":(?:"(%(uuid)s)"|null),"workflow_id":(?:%(text)s|null),"step_completed":(?:%(text)s|null),'
    rb'"recorded_at":"(%(moment)s)","configuration_sha256":"(%(sha256)s)","metadata_sha256":"(%(sha256)s)"\}'
)
_OF_ANY = {b"number": _NUMBER, b"text": _TEXT}
_LEAF = re.compile(_FORM % {**_OF_ANY, b"uuid": _UUID, b"moment": _MOMENT, b"sha256": _SHA256})
# The same of each of many lines, but for what is faster looked at in a whole column: there its length has to do.
_LEAVES = re.compile(
    rb"^%s$" % (_FORM % {**_OF_ANY, b"uuid": b".{36}", b"moment": b".{27}", b"sha256": b".{64}"}), re.MULTILINE
)
_HEX_AS_0 = bytes.maketrans(b"123456789abcdef", b"000000000000000")
_DIGITS_AS_0 = bytes.maketrans(b"123456789", b"000000000")
# Events about the log itself, by type, and the one stream of each: in another the signer looks for none.
_STREAM_OF = {b'"log.epoch_begun"': b'"log-epochs"', b'"log.key_rotated"': b'"log-keys"'}
NOT_THERE = b"null"


class BadEvent(Exception):
    """An event that cannot be right as it stands, whatever the tree says."""


class Restore(NamedTuple):
    """What the event says that begins an epoch: up to which size the log was shown to be what was signed, and the last
    head that was signed before. Both are None where its body is not there."""

    position: int
    epoch: int
    proven_size: int | None
    last_head: TreeHead | None


class Rotation(NamedTuple):
    """An event that names another key of the log, and the one before it; both None where its body is not there, or the
    key before was lost and vouches for nothing."""

    position: int
    key: PublicKey | None
    previous: PublicKey | None


class Events:
    """What the events so far have come to. `before` is the position in front of the first one.

    `position` is that of the last one, `epoch` its epoch, `epoch_before` that of the log in front of the first one: as
    far as is known. `without_body` counts bodies that are not there; the first position of one is known for each team.
    Where bodies are said to be those of one `team` alone, `first_of_others` is the position of the first other one.
    """

    def __init__(self, before: int, team: str | None = None) -> None:
        self.position = before
        self.epoch = 0
        self.epoch_before = 0 if before else 1
        self.restores: list[Restore] = []
        self.rotations: list[Rotation] = []
        self.without_body = 0
        self.first_without_body: dict[str | None, int] = {}
        self.first_of_others: int | None = None
        self._before = before
        self._team = team
        self._recorded_at = b""
        self._versions: dict[bytes, int] = {}
        # What a stream's version was before the first event: none, or in a part of the log not known.
        self._unknown = -1 if before else 0
        self._ids = Ids()

    def add(self, leaves: Sequence[bytes], configurations: Sequence[bytes], metadata: Sequence[bytes]) -> None:
        """The next events, of which each must be the one of its position. Raises BadEvent: it is the one behind
        `position`."""
        added = self._add_ordinary(leaves, configurations, metadata)
        for event in zip(leaves[added:], configurations[added:], metadata[added:], strict=True):
            self._add_one(*event)

    def _add_ordinary(self, leaves: Sequence[bytes], configurations: Sequence[bytes], metadata: Sequence[bytes]) -> int:
        """Adds them by columns, which takes half the time, where each is like most: `_add_one` would find nothing wrong
        but with a version, and note nothing but what is noted here. Answers how many were added: none, where one is
        not like most; else those in front of the first wrong version."""
        if self._team is not None or NOT_THERE in configurations or NOT_THERE in metadata:
            return 0
        rows = _LEAVES.findall(b"\n".join(leaves))
        if len(rows) != len(leaves) or not rows:
            return 0
        epochs, places, ids, streams, versions, types, _, users, moments, *of_bodies = zip(*rows, strict=True)
        first = self.position + 1
        ordinary = (
            _are_uuids(ids)
            and _are_uuids([user for user in users if user])
            and _are_moments(moments)
            and set(epochs) == {b"%d" % self.epoch}
            and _STREAM_OF.keys().isdisjoint(types)
            and list(map(int, places)) == list(range(first, first + len(rows)))
            and [self._recorded_at, *moments] == sorted([self._recorded_at, *moments])
            and [_hashes(configurations), _hashes(metadata)] == [b"".join(hashes) for hashes in of_bodies]
        )
        if not ordinary:
            return 0
        added, version_of, unknown = 0, self._versions, self._unknown
        for stream, version in zip(streams, map(int, versions), strict=True):
            known = version_of.get(stream, unknown)
            if version != known + 1 and known >= 0:
                break
            version_of[stream] = version
            added += 1
        self._ids.add(ids[:added])
        self._recorded_at = moments[added - 1] if added else self._recorded_at
        self.position += added
        return added

    def _add_one(self, leaf: bytes, configuration: bytes, metadata: bytes) -> None:
        position = self.position + 1
        match = _LEAF.fullmatch(leaf)
        if match is None:
            raise BadEvent("its leaf does not have the form that leaves have")
        epoch, place, id, stream, version, event_type, team, _, recorded_at, *of_bodies = match.groups()
        if int(place) != position:
            raise BadEvent(f"it is not there: the event of position {int(place)} stands in its place")
        if recorded_at < self._recorded_at:
            raise BadEvent(f"it was recorded at {recorded_at.decode()}, before the event in front of it")
        self._recorded_at = recorded_at
        number, known = int(version), self._versions.get(stream, self._unknown)
        if number != known + 1 and known >= 0:
            raise BadEvent(f"it is version {number} of the stream {_json(stream)}, whose last one was {known}")
        self._versions[stream] = number
        if _hashes([configuration]) != of_bodies[0]:
            self._body_differs("configuration", configuration, position, team)
        if _hashes([metadata]) != of_bodies[1]:
            self._body_differs("metadata", metadata, position, team)
        if self._team is not None and not configuration == metadata == NOT_THERE and _json(team) != self._team:
            self.first_of_others = self.first_of_others or position
        if event_type in _STREAM_OF or int(epoch) != self.epoch:
            about_log = event_type if _STREAM_OF.get(event_type) == stream else b""
            self._note(position, int(epoch), about_log, configuration)
        self._ids.add([id])
        self.position = position

    def first_id_twice(self) -> tuple[int, int] | None:
        """The positions of the first event whose id was there before, and of the one in front of it that has it."""
        if found := self._ids.first_twice():
            return self._before + 1 + found[0], self._before + 1 + found[1]
        return None

    def _body_differs(self, name: str, body: bytes, position: int, team: bytes) -> None:
        if body != NOT_THERE:
            raise BadEvent(f"its {name} is not the one whose hash its leaf has")
        self.without_body += 1
        self.first_without_body.setdefault(_json(team), position)

    def _note(self, position: int, epoch: int, about_log: bytes, configuration: bytes) -> None:
        """An event about the log itself, or the first one of an epoch, which must be such an event."""
        before = self.epoch or self.epoch_before
        if epoch < before:
            raise BadEvent(f"it is of epoch {epoch}, and the event in front of it of {before}")
        if about_log == b'"log.epoch_begun"':
            if epoch == before:
                raise BadEvent(f"it begins epoch {epoch}, and that had begun before it")
            self.restores.append(_restore(position, epoch, configuration))
        elif before not in (0, epoch):
            raise BadEvent(f"epoch {epoch} begins here, and no event says so")
        if about_log == b'"log.key_rotated"':
            self.rotations.append(_rotation(position, configuration))
        self.epoch = epoch
        self.epoch_before = self.epoch_before or epoch - (about_log == b'"log.epoch_begun"')


def _are_uuids(column: Sequence[bytes]) -> bool:
    return b"".join(column).translate(_HEX_AS_0) == b"00000000-0000-0000-0000-000000000000" * len(column)


def _are_moments(column: Sequence[bytes]) -> bool:
    return b"".join(column).translate(_DIGITS_AS_0) == b"0000-00-00T00:00:00.000000Z" * len(column)


def _hashes(bodies: Sequence[bytes]) -> bytes:
    """Their hashes as leaves have them, one behind the other."""
    return "".join([sha256(body).hexdigest() for body in bodies]).encode()


def _restore(position: int, epoch: int, configuration: bytes) -> Restore:
    body = _json(configuration)
    if body is None:
        return Restore(position, epoch, None, None)
    try:
        proven, last = body["proven_size"], read_head(body["last_head"])
        if body["epoch"] == epoch and type(proven) is int and 0 <= proven < position:
            return Restore(position, epoch, proven, last)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise BadEvent(f"it begins an epoch, and does not say that this is epoch {epoch}, and of what it is the restore")


def _rotation(position: int, configuration: bytes) -> Rotation:
    body = _json(configuration)
    try:
        if body is None or body["lost"]:
            return Rotation(position, None, None)
        return Rotation(position, read_key(body["key"]), read_key(body["previous"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadEvent("it names another key of the log, and there is none in it") from None


def _json(text: bytes) -> Any:
    """Raises BadEvent: what looks like JSON need not be any, and may be nested deeper than can be read."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadEvent("it has JSON in it that cannot be read") from None
