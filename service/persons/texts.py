"""Personal text on its way: sealed before it is recorded, opened where an answer or a call to AMC needs it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog

from db.pool import Pool
from events.append import AppendRequest, Write
from events.configurations import ParameterValue, ParameterValues
from events.envelope import NewEvent, new_id, stream_of
from events.personal import ERASED, PREFIX, QUOTED, Token, is_token, read_token, unsealed_fields
from events.types.workflow import DeclaredParameter
from service.amc.keys import NoSecretKey, SecretKeys
from service.ciphers import NotSealedSo
from service.persons.keys import CurrentKey, PersonKeys, PersonUnknown

log = structlog.get_logger()

IN_ANSWERS = b'"' + PREFIX.encode()
_ERASED_JSON = msgspec.json.encode(ERASED)


class ErasedValues(Exception):
    """Values are needed whose key is gone; `names` are their parameters, sorted."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            f"personal_values_erased: the values of {', '.join(names)} were erased, with the person who gave them; set"
            " it to work again with values of your own"
        )
        self.names = tuple(names)


class PersonalTexts:
    """Seals and opens, over the keys in the database."""

    def __init__(self, pool: Pool, keys: SecretKeys) -> None:
        self._keys = PersonKeys(pool, keys)

    async def seal(self, request: AppendRequest) -> AppendRequest:
        """The request with every personal text sealed under the key of the person who acts. It depends then on that
        key's being theirs: an erasure meanwhile makes it a conflict. Raises NoSecretKey and PersonUnknown.

        One without personal text is answered as it is, and nothing is looked up.
        """
        authors = {_author(event) for write in request.writes for event in write.events if _is_personal(event)}
        if not authors:
            return request
        keys = {author: await self._keys.current(author) for author in authors}
        writes = [
            msgspec.structs.replace(write, events=tuple(_sealed(event, keys) for event in write.events))
            for write in request.writes
        ]
        named = {write.stream for write in writes}
        for author, current in keys.items():
            if (stream := stream_of("person", author)) not in named:
                writes.append(Write(stream, current.version or "none", ()))
        return msgspec.structs.replace(request, writes=tuple(writes))

    async def seal_values(
        self, declared: Iterable[DeclaredParameter], values: ParameterValues, author: UUID, event_id: UUID
    ) -> ParameterValues:
        """The values with those of personal parameters sealed, for the event that will have them at `/parameters`.
        Raises NoSecretKey and PersonUnknown."""
        personal = {parameter.name for parameter in declared if parameter.personal} & values.keys()
        if not personal:
            return values
        key = (await self._keys.current(author)).key
        return {
            name: key.seal(value, event_id, f"/parameters/{_escaped(name)}", marked=True) if name in personal else value
            for name, value in values.items()
        }

    async def open_values(self, values: ParameterValues) -> ParameterValues:
        """The values as people gave them. Raises ErasedValues, and NoSecretKey."""
        tokens = {name: read_token(value) for name, value in values.items() if is_token(value)}
        if not tokens:
            return values
        opened = await self._open(tokens)
        if gone := sorted(tokens.keys() - opened.keys()):
            raise ErasedValues(gone)
        return {name: msgspec.json.decode(opened[name]) if name in opened else value for name, value in values.items()}

    async def seal_beside(self, text: str, values: ParameterValues) -> str:
        """A text that was made with these values, sealed under the key that they are sealed with: an answer that is
        kept must not hold in the open what they do not. As it is where none of them is sealed. Raises NoSecretKey and
        PersonUnknown."""
        owners = [read_token(value).user_id for value in values.values() if is_token(value)]
        if not owners:
            return text
        key = (await self._keys.current(owners[0])).key
        return key.seal(text, new_id(), "/answer")

    async def open_answer(self, body: bytes) -> bytes:
        """The JSON with the text, or `(erased)`, in the place of each token."""
        tokens = {found[0]: read_token(found[0][1:-1].decode()) for found in QUOTED.finditer(body)}
        try:
            opened = await self._open(tokens)
        except NoSecretKey as error:
            log.error("personal_text_unreadable", error=str(error))
            return body
        return QUOTED.sub(lambda found: opened.get(found[0], _ERASED_JSON), body)

    async def _open(self, tokens: Mapping[Any, Token]) -> dict[Any, bytes]:
        """What each token holds, as JSON; without those whose key is gone."""
        keys = await self._keys.find({token.key_id for token in tokens.values()})
        opened = {}
        for name, token in tokens.items():
            if (key := keys.get(token.key_id)) is not None:
                try:
                    opened[name] = key.open(token)
                except NotSealedSo:
                    log.error("personal_text_damaged", event_id=str(token.event_id), pointer=token.pointer)
        return opened


def personal_values(recorded: ParameterValues, opened: ParameterValues) -> ParameterValues:
    """Of the opened values those that are recorded as tokens."""
    return {name: value for name, value in opened.items() if is_token(recorded.get(name))}


def hide(text: str, values: Mapping[str, ParameterValue]) -> str:
    """Somebody else's text, such as Amazon's reason for a refusal, without the values that it repeats: as they are, or
    escaped for JSON or SQL. A short one counts only as a word of its own."""
    spelled = {str(item) for value in values.values() for item in (value if isinstance(value, list) else (value,))}
    for_json = {msgspec.json.encode(each).decode()[1:-1] for each in spelled}
    spelled |= for_json | {each.replace("'", "''") for each in spelled}
    words = [
        re.escape(each) if len(each) > 3 else rf"(?<!\w){re.escape(each)}(?!\w)"
        for each in sorted(spelled - {""}, key=len, reverse=True)
    ]
    return re.sub("|".join(words), "(personal)", text, flags=re.IGNORECASE) if words else text


def _is_personal(event: NewEvent) -> bool:
    """Whether the event holds text to be sealed, or values that were sealed for it."""
    return bool(unsealed_fields(event.data)) or bool(_own_tokens(event))


def _own_tokens(event: NewEvent) -> list[Token]:
    """The parameter values that were sealed for this event, not copied from an earlier one."""
    values = getattr(event.data, "parameters", None)
    if not isinstance(values, dict):
        return []
    tokens = [read_token(value) for value in values.values() if is_token(value)]
    return [token for token in tokens if token.event_id == event.id]


def _author(event: NewEvent) -> UUID:
    if event.user_id is None:
        raise ValueError(f"{type(event.data).__name__} has personal text, and nobody who wrote it")
    return event.user_id


def _sealed(event: NewEvent, keys: Mapping[UUID, CurrentKey]) -> NewEvent:
    texts = {
        name: keys[_author(event)].key.seal(getattr(event.data, name), event.id, pointer)
        for name, pointer in unsealed_fields(event.data)
    }
    if any(token.key_id != keys[_author(event)].key.key_id for token in _own_tokens(event)):
        raise PersonUnknown("the values were sealed with a key that an erasure has taken since")
    return msgspec.structs.replace(event, data=msgspec.structs.replace(event.data, **texts)) if texts else event


def _escaped(name: str) -> str:
    """RFC 6901."""
    return name.replace("~", "~0").replace("/", "~1")
