"""One call to AMC over HTTP: login, headers, pace, one more try after a 401, errors as AmcError."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from service.amc import wire
from service.amc.errors import CREATE_EXECUTION, AmcError, classify_answer, classify_exception
from service.amc.models import Account
from service.amc.pace import Pace, Place
from service.amc.tokens import TokenSource
from service.operations import metrics

Model = TypeVar("Model")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request to AMC. `path`: its parts, not yet quoted; `ids`: the headers that say on whose data it works.
    `instance_id` is null where it is on no instance."""

    operation: str
    method: str
    path: tuple[str, ...]
    ids: Mapping[str, str] = {}
    query: Mapping[str, str] | None = None
    body: Mapping[str, object] | None = None
    instance_id: str | None = None


class Transport:
    """Sends requests as `account`. `timeout`: seconds for one request, connect to last byte."""

    def __init__(self, session: aiohttp.ClientSession, account: Account, *, timeout: float, pace: Pace) -> None:
        self._session = session
        self._account = account
        self._timeout = timeout
        self._pace = pace
        self._tokens = TokenSource(session, account, timeout=timeout)
        self._base = account.base_url.rstrip("/")

    async def send(
        self, call: Call, *, place: Place | None = None, before_send: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """The JSON object of one call, after one more try with a fresh token if AMC answers 401.

        `place` is the call's turn where the caller has taken it. `before_send` is called at the last moment, after
        all waits for tokens and rates; what it raises is raised, and nothing was sent.
        """
        token = await self._tokens.token()
        try:
            return await self._paced(call, token, place, before_send)
        except AmcError as error:
            if error.code != "unauthorized":
                raise
        renewed = await self._tokens.token(refused=token)
        try:
            return await self._paced(call, renewed, None, before_send)
        except AmcError as error:
            if error.code != "unauthorized":
                raise
            raise AmcError(error.message, kind="transient", code="account_revoked", status=error.status) from None

    async def _paced(
        self, call: Call, token: str, place: Place | None, before_send: Callable[[], None]
    ) -> dict[str, Any]:
        place = place or await self._pace.take(call.instance_id)
        before_send()
        try:
            answer = await self._exchange(call, token)
        except AmcError as error:
            error.of_probe = place.probe
            await self._pace.end(place, error)
            raise
        await self._pace.end(place, None)
        return answer

    async def _exchange(self, call: Call, token: str) -> dict[str, Any]:
        headers = {
            "Authorization": f"Bearer {token}",
            "Amazon-Advertising-API-ClientId": self._account.client_id,
            **call.ids,
        }
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        sent = perf_counter()
        try:
            async with self._session.request(
                call.method,
                URL("/".join([self._base, *(quote(part, safe="") for part in call.path)]), encoded=True),
                params=call.query or None,
                data=msgspec.json.encode(call.body) if call.body is not None else None,
                headers=headers,
                # A followed redirect would send a create twice and the token elsewhere.
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._timeout),
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failed = classify_exception(call.operation, error)
            metrics.amc_answered(call.operation, perf_counter() - sent, None, failed.code)
            raise failed from None
        seconds = perf_counter() - sent
        if not 200 <= answer.status < 300:
            secrets = (*self._account.secrets(), token)
            refused = classify_answer(call.operation, answer.status, content, answer.headers, secrets)
            metrics.amc_answered(call.operation, seconds, answer.status, refused.code)
            raise refused
        metrics.amc_answered(call.operation, seconds, answer.status, "ok")
        return read(call.operation, wire.read_object, content)


def read(operation: str, reader: Callable[[Any], Model], answer: Any) -> Model:
    """What `reader` makes of a success. Raises AmcError where it cannot: a create may have landed."""
    try:
        return reader(answer)
    except wire.Unreadable as error:
        raise AmcError(
            str(error),
            kind="unknown",
            code="unreadable",
            status=200,
            may_have_landed=operation == CREATE_EXECUTION,
        ) from None
