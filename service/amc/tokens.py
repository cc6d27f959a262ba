"""Access tokens of one account: kept while they live, renewed ahead of their end, by one caller at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from time import perf_counter

import aiohttp
import msgspec

from service.amc.errors import AmcError, classify_exception, classify_token_answer
from service.amc.models import Account
from service.operations import metrics

MARGIN = 60.0
"""Seconds before its end at which a token counts as expired."""


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: float = 3600


class TokenSource:
    """The account's current access token. `timeout` in seconds for one refresh; `clock` in seconds."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        account: Account,
        *,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._account = account
        self._timeout = timeout
        self._clock = clock
        self._token = ""
        self._expires_at = 0.0
        self._refresh: asyncio.Task[str] | None = None

    async def token(self, *, refused: str | None = None) -> str:
        """A token that is good for at least a minute (or half its life, if that is shorter).

        `refused`: the token that AMC just answered 401 to; it is not given out again. However many
        callers wait, one refresh runs and all share its end. Raises AmcError; `account_revoked` where
        Amazon no longer accepts the refresh token.
        """
        if self._token and self._token != refused and self._clock() < self._expires_at:
            return self._token
        if self._refresh is None:
            self._refresh = asyncio.create_task(self._renew())
            self._refresh.add_done_callback(self._renewed)
        # Shielded: a caller that gives up must not take the refresh away from the others.
        return await asyncio.shield(self._refresh)

    def _renewed(self, task: asyncio.Task[str]) -> None:
        self._refresh = None
        if not task.cancelled():
            task.exception()  # seen, also where every caller has gone

    async def _renew(self) -> str:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._account.refresh_token,
            "client_id": self._account.client_id,
            "client_secret": self._account.client_secret,
        }
        sent = perf_counter()
        try:
            async with self._session.post(
                self._account.token_url,
                data=form,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._timeout),
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failed = classify_exception("refresh_token", error)
            metrics.amc_answered("refresh_token", perf_counter() - sent, None, failed.code)
            raise failed from None
        seconds = perf_counter() - sent
        if answer.status != 200:
            refused = classify_token_answer(answer.status, body, answer.headers, self._account.secrets())
            metrics.amc_answered("refresh_token", seconds, answer.status, refused.code)
            raise refused
        metrics.amc_answered("refresh_token", seconds, answer.status, "ok")
        try:
            grant = msgspec.json.decode(body, type=_Grant, strict=False)
        except msgspec.DecodeError:
            raise AmcError(
                "the token answer cannot be read", kind="unknown", code="unreadable", status=answer.status
            ) from None
        self._token = grant.access_token
        self._expires_at = self._clock() + grant.expires_in - min(MARGIN, grant.expires_in / 2)
        return self._token
