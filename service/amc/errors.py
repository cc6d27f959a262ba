"""What can go wrong between us and AMC, as one error type and pure functions that classify.

| answer | kind | may a create have landed? |
| --- | --- | --- |
| 429 | transient | no |
| nothing was sent: the account is `slowed`, or the instance `resting` (`service.amc.pace`) | transient | no |
| connection could not be made | transient | no |
| 5xx, broken connection, time-out | transient | yes |
| 400, 403, 404, 422, other definite refusals | permanent | no |
| 401 that stays after a refresh, a refused refresh | transient, `account_revoked`: work waits for a person | no |
| anything else | unknown | yes |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import quote

import aiohttp
import msgspec

Kind = Literal["transient", "permanent", "unknown"]
Code = Literal[
    "account_revoked",
    "unauthorized",
    "slowed",
    "resting",
    "throttled",
    "server_error",
    "not_connected",
    "connection_lost",
    "timeout",
    "refused",
    "not_found",
    "url_expired",
    "not_downloadable",
    "unreadable",
    "unexpected",
]

CREATE_EXECUTION = "create_execution"
"""The one operation that is not safe to repeat blindly."""

MESSAGE_LIMIT = 2000
_MARKUP_LIMIT = 200
_SHORTEST_SECRET = 6
_MESSAGE_FIELDS = ("message", "statusReason", "details", "messageSubject", "error_description", "error")
_REFUSALS = frozenset({400, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422, 431})
_UNAVAILABLE = "is unavailable for download"


class AmcError(Exception):
    """A call that did not succeed; `message` is Amazon's own text wherever there is one.

    `retry_after`: seconds that Amazon asked us to wait. `may_have_landed`: only for a create; the
    execution may exist although no answer says so, look it up before sending it again.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: Kind,
        code: Code,
        status: int | None = None,
        retry_after: float | None = None,
        may_have_landed: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind: Kind = kind
        self.code: Code = code
        self.status = status
        self.retry_after = retry_after
        self.may_have_landed = may_have_landed
        self.of_probe = False

    @property
    def counts(self) -> bool:
        """Whether it is a failure of what was asked: not where nothing was sent, as now is not the time for it, nor
        where the call was to try whether AMC is well again, and AMC was not."""
        return not (self.unsent or (self.of_probe and self.kind == "transient"))

    @property
    def unsent(self) -> bool:
        """Whether nothing was asked of AMC."""
        return self.code in ("slowed", "resting")

    def __str__(self) -> str:
        return f"{self.message} ({self.code}, HTTP {self.status})" if self.status else self.message


def classify_answer(
    operation: str,
    status: int,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    secrets: Iterable[str] = (),
) -> AmcError:
    """The error that an HTTP answer of AMC other than success stands for.

    `headers` are looked up as `Retry-After` and `Date`; `secrets` never appear in the message.
    """
    message = redact(message_of(body) or f"HTTP {status} without a text", secrets)
    creating = operation == CREATE_EXECUTION
    wait = retry_after(headers or {})
    if _UNAVAILABLE in message:
        return AmcError(message, kind="transient", code="not_downloadable", status=status, retry_after=wait)
    if status == 429:
        return AmcError(message, kind="transient", code="throttled", status=status, retry_after=wait)
    if status == 401:
        return AmcError(message, kind="permanent", code="unauthorized", status=status)
    if status >= 500:
        return AmcError(
            message,
            kind="transient",
            code="server_error",
            status=status,
            retry_after=wait,
            may_have_landed=creating,
        )
    if status == 404:
        return AmcError(message, kind="permanent", code="not_found", status=status)
    if status in _REFUSALS:
        # 402, 405 … are as definite as 400: asking again unchanged gives the same answer.
        known = status in {400, 403, 422}
        return AmcError(message, kind="permanent" if known else "unknown", code="refused", status=status)
    return AmcError(message, kind="unknown", code="unexpected", status=status, may_have_landed=creating)


def classify_token_answer(
    status: int, body: bytes, headers: Mapping[str, str] | None = None, secrets: Iterable[str] = ()
) -> AmcError:
    """The error that a failed token refresh stands for; no AMC request was sent, so nothing landed.

    A definite refusal (`invalid_grant`, `invalid_client` …) is about the account, whatever was to be asked.
    """
    message = redact(message_of(body) or f"HTTP {status} without a text", secrets)
    if status in (400, 401, 403):
        return AmcError(message, kind="transient", code="account_revoked", status=status)
    answer = classify_answer("refresh_token", status, body, headers, secrets)
    return AmcError(
        f"token refresh: {message}",
        kind=answer.kind,
        code=answer.code,
        status=status,
        retry_after=answer.retry_after,
    )


def classify_exception(operation: str, error: BaseException) -> AmcError:
    """The error that a network exception stands for: always transient.

    The text names the exception alone: its own text may hold a signed address.
    """
    creating = operation == CREATE_EXECUTION
    reason = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        reason = f"{reason}: {error.strerror}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return AmcError(f"no connection to Amazon ({reason})", kind="transient", code="not_connected")
    if isinstance(error, TimeoutError):
        return AmcError("Amazon did not answer in time", kind="transient", code="timeout", may_have_landed=creating)
    return AmcError(
        f"the connection to Amazon broke ({reason})",
        kind="transient",
        code="connection_lost",
        may_have_landed=creating,
    )


def message_of(body: bytes) -> str:
    """Amazon's own text in an error body: of the usual fields the first that is filled, else the body.

    Pages of markup that gateways send are cut down to their visible words.
    """
    fields = _fields(body)
    for name in _MESSAGE_FIELDS:
        if fields.get(name):
            return fields[name][:MESSAGE_LIMIT]
    text = body[: 10 * MESSAGE_LIMIT].decode("utf-8", "replace").strip()
    if re.match(r"<(!doctype|html|head|body)\b", text, re.IGNORECASE):
        text = re.sub(r"<(style|script)\b.*?</\1>", " ", text, flags=re.IGNORECASE | re.DOTALL)
        return " ".join(re.sub(r"<[^>]*>", " ", text).split())[:_MARKUP_LIMIT]
    return "" if text == "{}" else text[:MESSAGE_LIMIT]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header, a number or a date (measured against the answer's `Date`)."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return float(value)
    try:
        until, sent = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (until - sent).total_seconds())
    except (TypeError, ValueError):
        return None


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of the `secrets`, and without anything that looks like an Amazon token."""
    for secret in secrets:
        # Amazon's are long; a letter out of a test's account would blot out every word.
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "[hidden]").replace(quote(secret, safe=""), "[hidden]")
    return re.sub(r"Atz[ar]\|[\w\-+/=|]+", "[hidden]", text)


def _fields(body: bytes) -> dict[str, str]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    if not isinstance(decoded, dict):
        return {}
    return {name: value for name, value in decoded.items() if isinstance(value, str)}
