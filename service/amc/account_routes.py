"""`/api/accounts`: connect Amazon Ads logins, see how they stand, list what they may use. No answer has a secret."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from db.pool import Pool
from events.append import Write
from events.types.account import AccountLimitsSet, Region
from events.validation import Body
from service.amc.account_answers import SELECT_ACCOUNTS, AccountAnswer, default_account, shown
from service.amc.accounts import DEFAULT, AccountState, Status
from service.amc.connecting import AccountDesk
from service.amc.connections import account_write
from service.amc.vault import Credentials, Secret
from service.auth.caller import Caller, caller_of
from service.commands import Change, Commands, Decision
from service.endpoints import Answer, Endpoint, Position, Query, Recorded, path_id, read_query
from service.http import etag, json_response, name_cursor, page_of, read_name_cursor, refuse_stale, wait_position
from service.problems import Refused

Name = Annotated[str, Meta(min_length=1, max_length=200)]
# They go into headers and forms as they are; and `$` alone would let a line break pass.
VISIBLE = r"^[\x21-\x7e]+$(?!\n)"
ClientId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=VISIBLE,
        extra={"expected": "the client id of your Login with Amazon application, without spaces"},
    ),
]
SecretText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4096,
        pattern=VISIBLE,
        extra={"secret": True, "expected": "the secret as Amazon gave it, without spaces"},
    ),
]


class SecretBody(Body, frozen=True, kw_only=True):
    """A body that may end in a log line or traceback: none of its values may."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # what rich shows in place of __repr__
        return []


class ConnectAccount(SecretBody, frozen=True, kw_only=True):
    """An Amazon Ads login. Without a region the addresses of the settings are used."""

    name: Name
    client_id: ClientId
    client_secret: SecretText
    refresh_token: SecretText
    region: Region | None = None


class ReconnectAccount(SecretBody, frozen=True, kw_only=True):
    """What has changed of the login; what is left out stays. Nothing at all asks Amazon once more."""

    client_id: ClientId | None = None
    client_secret: SecretText | None = None
    refresh_token: SecretText | None = None


class ChangeAccount(Change, frozen=True, kw_only=True):
    """Limits towards Amazon; what is left out stays, 0 takes a limit of its own away. `max_concurrent`: executions at
    once over all its instances; `requests_per_second` and `burst`: calls per second, and at once."""

    max_concurrent: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    requests_per_second: Annotated[float, Meta(ge=0, le=10_000)] | None = None
    burst: Annotated[int, Meta(ge=0, le=10_000)] | None = None


class DisconnectAccount(Body, frozen=True, kw_only=True):
    """Takes the account out of use; it takes nothing."""


class AccountPage(Answer, frozen=True, kw_only=True):
    """Accounts by id, `default` first; `next_cursor` leads on, null on the last page."""

    items: list[AccountAnswer]
    next_cursor: str | None


class AccountChangedAnswer(Recorded, frozen=True, kw_only=True):
    """What the account is now."""

    account_id: str
    status: Status
    version: int


class AccountLimitsAnswer(Recorded, frozen=True, kw_only=True):
    """The account's own limits, as they stand now; null: as the service is set up."""

    account_id: str
    max_concurrent: int | None
    requests_per_second: float | None
    burst: int | None
    version: int


class AmazonInstance(Answer, frozen=True, kw_only=True):
    """An instance as Amazon lists it. `added`: it is an instance here; `usable`: and this team may run on it."""

    instance_id: str
    name: str
    kind: str
    advertiser_id: str
    marketplace_id: str
    added: bool
    usable: bool


class AmazonInstances(Answer, frozen=True, kw_only=True):
    """All instances that the account may use, by id."""

    items: list[AmazonInstance]


class ListAccounts(Query, frozen=True, kw_only=True):
    """Which accounts to list; `cursor` is a `next_cursor`."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None
    min_position: Position = 0


class ReadAccount(Query, frozen=True, kw_only=True):
    """A read that may wait for the read models to have applied `min_position`."""

    min_position: Position = 0


def account_routes(pool: Pool, commands: Commands, desk: AccountDesk) -> list[Endpoint]:
    """The routes over the log that `commands` appends to, the read models behind `pool`, and Amazon."""

    async def list_all(request: Request) -> Response:
        query = read_query(request, ListAccounts)
        await wait_position(pool, query.min_position)
        after = read_name_cursor(query.cursor) if query.cursor else ""
        rows = await pool.fetch(
            f"{SELECT_ACCOUNTS} WHERE team_id = $2 AND known.account_id <> $3 AND known.account_id > $4"
            " ORDER BY known.account_id LIMIT $5",
            desk.settings.amc_requests_per_second,
            caller_of(request).team_id,
            DEFAULT,
            after,
            query.limit + 1,
        )
        page = page_of(rows, query.limit, lambda row: name_cursor(row["id"]), lambda row: shown(row, desk.settings))
        if not after:
            page["items"].insert(0, await default_account(pool, desk.settings))
        return json_response(page)

    async def read(request: Request) -> Response:
        await wait_position(pool, read_query(request, ReadAccount).min_position)
        account_id = _account_id(request)
        if account_id == DEFAULT:
            answer = await default_account(pool, desk.settings)
        else:
            row = await pool.fetchrow(
                f"{SELECT_ACCOUNTS} WHERE known.account_id = $2 AND team_id = $3",
                desk.settings.amc_requests_per_second,
                account_id,
                caller_of(request).team_id,
            )
            if row is None:
                raise Refused("not_found", f"there is no account {account_id!r}")
            answer = shown(row, desk.settings)
        return json_response(answer, headers=etag(answer.version))

    async def connect(request: Request) -> Response:
        async def decide(body: ConnectAccount, caller: Caller) -> Decision:
            write = await desk.connect(
                name=body.name,
                region=body.region,
                client_id=body.client_id,
                credentials=Credentials(
                    client_secret=Secret(body.client_secret), refresh_token=Secret(body.refresh_token)
                ),
                team_id=caller.team_id,
                user_id=caller.user_id,
            )
            return _decision(write, 0, "connected", 201)

        return await commands.run(request, ConnectAccount, decide)

    async def changed(
        request: Request,
        kind: type[Any],
        status: Status,
        write_of: Callable[[Any, AccountState, Caller], Awaitable[Write]],
    ) -> Response:
        before: AccountState | None = None

        async def decide(body: Any, caller: Caller) -> Decision:
            nonlocal before
            before = await desk.account(_account_id(request), caller.team_id)
            refuse_stale(request, before.version, "account")
            return _decision(await write_of(body, before, caller), before.version, status, 200)

        response = await commands.run(request, kind, decide)
        if before is not None:
            await desk.forget(before)
        return response

    async def reconnect(request: Request) -> Response:
        async def write_of(body: ReconnectAccount, account: AccountState, caller: Caller) -> Write:
            return await desk.reconnect(
                account,
                client_id=body.client_id,
                client_secret=Secret(body.client_secret) if body.client_secret else None,
                refresh_token=Secret(body.refresh_token) if body.refresh_token else None,
                user_id=caller.user_id,
            )

        return await changed(request, ReconnectAccount, "connected", write_of)

    async def change(request: Request) -> Response:
        async def decide(body: ChangeAccount, caller: Caller) -> Decision:
            account = await desk.account(_account_id(request), caller.team_id)
            refuse_stale(request, account.version, "account")
            limits: dict[str, Any] = {
                name: getattr(account, name) if given is None else given or None
                for name, given in msgspec.structs.asdict(body).items()
            }
            write = account_write(account, AccountLimitsSet(**limits), caller.user_id)
            answer = AccountLimitsAnswer(account_id=account.account_id, version=account.version + 1, **limits)
            return Decision((write,), answer)

        return await commands.run(request, ChangeAccount, decide)

    async def disconnect(request: Request) -> Response:
        async def write_of(body: DisconnectAccount, account: AccountState, caller: Caller) -> Write:
            return await desk.disconnect(account, caller.user_id)

        return await changed(request, DisconnectAccount, "disconnected", write_of)

    async def list_instances(request: Request) -> Response:
        caller = caller_of(request)
        account = await desk.account(_account_id(request), caller.team_id)
        found = await desk.instances(account)
        rows = await pool.fetch(
            "SELECT i.instance_id, i.team_id = $2 OR EXISTS (SELECT FROM instance_grants g"
            "   WHERE g.instance_id = i.instance_id AND g.team_id = $2 AND g.revoked_at IS NULL) AS usable"
            "  FROM amc_instances i WHERE i.instance_id = ANY ($1)",
            [instance.instance_id for instance in found],
            caller.team_id,
        )
        usable = {row["instance_id"]: row["usable"] for row in rows}
        items = [
            AmazonInstance(
                **msgspec.structs.asdict(instance),
                added=instance.instance_id in usable,
                usable=usable.get(instance.instance_id, False),
            )
            for instance in found
        ]
        return json_response(AmazonInstances(items=items))

    one = "/api/accounts/{account_id}"
    of_amazon = ("account_held", "amazon_refused", "amazon_unavailable")
    return [
        Endpoint(
            "GET",
            "/api/accounts",
            list_all,
            summary="List the team's Amazon accounts",
            query=ListAccounts,
            answer=AccountPage,
            scope="admin",
            refusals=("projection_behind",),
        ),
        Endpoint(
            "POST",
            "/api/accounts",
            connect,
            summary="Connect an Amazon account",
            body=ConnectAccount,
            answer=AccountChangedAnswer,
            status=201,
            scope="admin",
            refusals=("no_secret_key", "amazon_refused", "amazon_unavailable"),
        ),
        Endpoint(
            "GET",
            one,
            read,
            summary="Read an account and how it stands",
            query=ReadAccount,
            answer=AccountAnswer,
            scope="admin",
            refusals=("not_found", "projection_behind"),
        ),
        Endpoint(
            "PATCH",
            one,
            change,
            summary="Change an account's limits towards Amazon",
            body=ChangeAccount,
            answer=AccountLimitsAnswer,
            scope="admin",
            refusals=("not_found", "stale", "version_conflict"),
        ),
        Endpoint(
            "POST",
            one + "/reconnect",
            reconnect,
            summary="Connect an account again; its held work goes on",
            body=ReconnectAccount,
            answer=AccountChangedAnswer,
            scope="admin",
            refusals=("not_found", "stale", "version_conflict", "no_secret_key", *of_amazon),
        ),
        Endpoint(
            "POST",
            one + "/disconnect",
            disconnect,
            summary="Take an account out of use and delete its secrets",
            body=DisconnectAccount,
            answer=AccountChangedAnswer,
            scope="admin",
            refusals=("not_found", "stale", "version_conflict", "account_held"),
        ),
        Endpoint(
            "GET",
            one + "/instances",
            list_instances,
            summary="List the account's AMC instances, as Amazon has them now",
            answer=AmazonInstances,
            scope="admin",
            refusals=("not_found", *of_amazon),
        ),
    ]


def _account_id(request: Request) -> str:
    text: str = request.path_params["account_id"]
    return text if text == DEFAULT else str(path_id(request, "account_id", "account"))


def _decision(write: Write, version: int, status: Status, code: int) -> Decision:
    account_id = write.stream.removeprefix("account-")
    return Decision((write,), AccountChangedAnswer(account_id=account_id, status=status, version=version + 1), code)
