"""Errors as callers see them: `application/problem+json` (RFC 9457), each with a code of the catalogue.

`docs/errors.md` explains every code; a test holds the two lists against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from db.pool import DATABASE_AWAY
from events.append import Conflict, HalfKnown, KeyReused
from events.codec import UnstorableText
from events.validation import Invalid, Problem
from events.writer import LogUnavailable, Overloaded
from service.amc.keys import NoSecretKey
from service.persons.keys import PersonUnknown
from service.persons.texts import ErasedValues

log = structlog.get_logger()

NOTE_REFUSAL = "report_builder.note_refusal"
"""Where a request's scope keeps the function that counts its refusal by code, once its caller is known."""

UNREACHABLE = (*DATABASE_AWAY, LogUnavailable)

CATALOGUE: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request cannot be read"),
    "unauthenticated": (401, "Nobody is signed in"),
    "cross_origin": (403, "A page of another site may not do this"),
    "csrf_token_wrong": (403, "The page did not show the session's token"),
    "forbidden": (403, "The caller may not do this"),
    "not_found": (404, "There is nothing here"),
    "method_not_allowed": (405, "The address does not take this method"),
    "version_conflict": (409, "It was changed in the meantime"),
    "already_exists": (409, "It is there already"),
    "already_submitted": (409, "The report was submitted already"),
    "archived": (409, "The workflow is archived"),
    "not_archived": (409, "The workflow is not archived"),
    "not_reviewed": (409, "What was reviewed is not what stands now"),
    "step_missing": (409, "An earlier step is missing"),
    "collection_state": (409, "The collection's state does not allow it"),
    "schedule_state": (409, "The schedule's state does not allow it"),
    "out_of_reach": (409, "AMC does not have the window's days"),
    "log_rewound": (409, "The log does not have that position"),
    "legal_hold": (409, "A legal hold forbids it"),
    "hold_state": (409, "The person's hold does not allow it"),
    "person_erased": (409, "You were erased while you were at work"),
    "personal_values_erased": (409, "The values were erased with the person who gave them"),
    "account_held": (409, "The account must be connected again first"),
    "no_secret_key": (409, "There is no key to encrypt secrets with"),
    "half_known": (409, "The request was changed since it was first sent"),
    "too_many_backfills": (409, "As many backfills run as are allowed"),
    "too_many_schedules": (409, "As many schedules are active as are allowed"),
    "duplicate_schedule": (409, "The same schedule is active already"),
    "table_too_large": (409, "The format does not hold so large a table"),
    "stale": (412, "It has another version than If-Match names"),
    "body_too_large": (413, "The body is too large"),
    "unknown_host": (421, "The service is not known by this name"),
    "invalid": (422, "Some fields do not fit"),
    "idempotency_key_reused": (422, "The idempotency key came before with another content"),
    "cosignature_refused": (422, "The co-signature cannot be taken"),
    "rate_limited": (429, "More requests than your rate allows"),
    "too_many_streams": (429, "As many live streams are open as are allowed"),
    "internal": (500, "The service failed"),
    "result_missing": (500, "A stored result is not where it was put"),
    "result_damaged": (500, "A stored result is not what was put there"),
    "event_altered": (500, "An event is not what was signed"),
    "amazon_refused": (502, "Amazon refused the call"),
    "amazon_unavailable": (503, "Amazon does not answer"),
    "broker_unavailable": (503, "The broker does not answer"),
    "issuer_unavailable": (503, "The issuer of credentials does not answer"),
    "store_unavailable": (503, "The store of results does not answer"),
    "overloaded": (503, "Too many requests wait to be recorded"),
    "database_unavailable": (503, "The database does not answer"),
    "projection_behind": (503, "The read models have not come so far yet"),
    "tree_behind": (503, "The transparency log has not come so far yet"),
}


class Refused(Exception):
    """An answer from the catalogue; `detail` says what to do, `problems` name the fields."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        problems: Sequence[Problem] = (),
        extra: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.problems = problems
        self.extra = dict(extra or {})
        self.retry_after = retry_after
        self.headers = dict(headers or {})


def problem_response(refused: Refused) -> Response:
    """The answer's body: type, title, status, detail, code, and the fields as JSON pointers."""
    status, title = CATALOGUE[refused.code]
    headers = dict(refused.headers)
    if refused.retry_after is not None:
        headers["Retry-After"] = str(refused.retry_after)
    body = {
        "type": f"/docs/errors#{refused.code}",
        "title": title,
        "status": status,
        "detail": refused.detail,
        "code": refused.code,
        **({"errors": refused.problems} if refused.problems else {}),
        **refused.extra,
    }
    return Response(msgspec.json.encode(body), status, headers, media_type="application/problem+json")


def _invalid(error: Invalid) -> Refused:
    detail = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in error.problems)
    return Refused("invalid", detail, problems=error.problems)


def _conflict(error: Conflict) -> Refused:
    return Refused("version_conflict", "read it again, then repeat the change", extra={"actual_versions": error.actual})


def _unreachable(error: Exception) -> Refused:
    return Refused(
        "database_unavailable", "send it again with the same Idempotency-Key, in a few seconds", retry_after=5
    )


# What the inner layers raise, and what the caller is told of it.
_REFUSALS: dict[type[Exception], Callable[[Any], Refused]] = {
    Refused: lambda error: error,
    Invalid: _invalid,
    UnstorableText: lambda error: Refused("invalid", str(error), problems=[Problem("", str(error))]),
    Conflict: _conflict,
    HalfKnown: lambda error: Refused("half_known", str(error)),
    KeyReused: lambda error: Refused("idempotency_key_reused", "use a new key for a new request"),
    NoSecretKey: lambda error: Refused("no_secret_key", str(error)),
    PersonUnknown: lambda error: Refused("person_erased", "nothing was recorded; sign in again, as somebody new"),
    ErasedValues: lambda error: Refused(
        "personal_values_erased", str(error).partition(": ")[2], extra={"parameters": error.names}
    ),
    Overloaded: lambda error: Refused("overloaded", "nothing was recorded; send it again", retry_after=1),
    ClientDisconnect: lambda error: Refused("bad_request", "the connection closed before the whole body came"),
    **dict.fromkeys(UNREACHABLE, _unreachable),
}


def refusal_of(error: Exception) -> Refused | None:
    """What the caller is told about an error; None for one that is a fault of ours."""
    return next((make(error) for kind, make in _REFUSALS.items() if isinstance(error, kind)), None)


def is_refusal(error: Exception) -> bool:
    """Whether it is the caller, or the database, that an error tells of; else it is a fault of ours."""
    return isinstance(error, (HTTPException, *_REFUSALS))


_HTTP_CODES = {404: "not_found", 413: "body_too_large"}


async def answer_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for every exception: catalogue answers, and 500 without details for the rest."""
    refused = _of_routing(request, error) if isinstance(error, HTTPException) else refusal_of(error)
    if refused is None:
        log.error("request_failed", path=request.url.path, exc_info=error)
        refused = Refused("internal", "the fault is recorded; send the request again or tell the operator")
    if note := request.scope.get(NOTE_REFUSAL):
        note(refused.code)
    return problem_response(refused)


# Each kind by name: what is registered as Exception alone Starlette answers too, but raises again, and the
# server then logs a fault and closes the connection.
EXCEPTION_HANDLERS: dict[Any, Any] = dict.fromkeys((HTTPException, *_REFUSALS, Exception), answer_error)


def _of_routing(request: Request, error: HTTPException) -> Refused:
    """What Starlette and the limit of bodies refuse."""
    if error.status_code != 405:
        return Refused(_HTTP_CODES.get(error.status_code, "bad_request"), error.detail)
    allowed = ", ".join(_allowed_methods(request))
    return Refused("method_not_allowed", f"it takes {allowed}", headers={"Allow": allowed})


def _allowed_methods(request: Request) -> list[str]:
    """What the path takes, over all of its routes."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    return sorted(
        {
            method
            for route in routes
            if route.matches(request.scope)[0] is not Match.NONE
            for method in route.methods or ()
        }
    )
