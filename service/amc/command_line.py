"""`report-builder accounts`: connect Amazon accounts on the machine itself, and change the key of their secrets.

Secrets come from a prompt, from standard input or from the environment, never from the command line, which
other users of the machine can read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, get_args
from urllib.parse import urlsplit

import aiohttp
import click
import msgspec
from rich.console import Console
from rich.table import Table

from db.pool import Pool, open_pool, refuse_unfit_role
from events.append import AppendRequest, Conflict, Write
from events.types.account import Region
from events.validation import Invalid, decode
from events.writer import AppendWriter
from projections.runner import project_batch
from service.amc.account_answers import AccountAnswer, account_answers
from service.amc.account_routes import ConnectAccount, ReconnectAccount
from service.amc.accounts import Addresses
from service.amc.connecting import AccountDesk
from service.amc.connections import Connections
from service.amc.keys import SecretKeys
from service.amc.vault import FIELDS, REFERENCE, Credentials, Secret, SecretUnreadable, Vault
from service.bootstrap import database_url
from service.problems import Refused
from service.settings import read_settings

VARIABLES = {"client_secret": "AMC_CLIENT_SECRET", "refresh_token": "AMC_REFRESH_TOKEN"}
WORDS = {"client_secret": "Client secret", "refresh_token": "Refresh token"}
PLACEHOLDER = "x"


class Tools(msgspec.Struct, frozen=True):
    """What the commands work with."""

    pool: Pool
    writer: AppendWriter
    vault: Vault
    desk: AccountDesk

    async def append(self, write: Write) -> None:
        await self.writer.append(AppendRequest((write,)))


@click.group()
def accounts() -> None:
    """Amazon Ads accounts: the logins that reports run with."""


@contextlib.asynccontextmanager
async def _tools() -> AsyncIterator[Tools]:
    settings = read_settings()
    keys = SecretKeys(settings)
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(database_url(settings))
        pool = await stack.enter_async_context(await open_pool(url, size=2))
        async with pool.acquire() as connection:
            await refuse_unfit_role(connection)
        writer = AppendWriter(pool)
        stack.push_async_callback(writer.close)
        vault = Vault(pool, keys)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        desk = AccountDesk(pool, Connections(pool, writer, session, vault, settings), vault, settings)
        yield Tools(pool, writer, vault, desk)


def _run(work: Callable[[Tools], Any]) -> Any:
    """Runs a command; what it refuses is one sentence and exit code 1."""

    async def begin() -> Any:
        async with _tools() as tools:
            return await work(tools)

    try:
        return asyncio.run(begin())
    except Refused as error:
        raise click.ClickException(error.detail) from None
    except (Invalid, SecretUnreadable) as error:
        raise click.ClickException(str(error)) from None
    except Conflict:
        raise click.ClickException("somebody else changed the account just now; look at it, then try again") from None


def _reference(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not REFERENCE.fullmatch(value):
        raise click.BadParameter("give env:NAME or file:/path")
    return value


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
        raise click.BadParameter("give an address that begins with https:// or http://")
    return value


def _secret_options(command: Callable[..., None]) -> Callable[..., None]:
    """How a command is told the two secrets."""
    for field in reversed(FIELDS):
        command = click.option(
            f"--{field.replace('_', '-')}-reference",
            metavar="env:NAME|file:/path",
            callback=_reference,
            help=f"Keep no {WORDS[field].lower()}, but look there each time that it is needed.",
        )(command)
    return click.option(
        "--secrets-from",
        type=click.Choice(["prompt", "stdin", "env"]),
        default=None,
        help="Where the secrets are read from: prompt (hidden); stdin (one a line, the client secret first); env"
        f" ({' and '.join(VARIABLES.values())}). By default the prompt, and stdin where there is no terminal.",
    )(command)


@accounts.command("connect")
@click.argument("name")
@click.option("--client-id", required=True, help="The client id of your Login with Amazon application.")
@click.option("--region", type=click.Choice(get_args(Region)), help="The addresses of a region; else the settings'.")
@click.option("--base-url", callback=_address, help="The API's address, in place of the region's.")
@click.option("--token-url", callback=_address, help="Login with Amazon's address, in place of the region's.")
@click.option("--team", default="local", show_default=True, help="The team whose account it is.")
@_secret_options
def connect(
    name: str,
    client_id: str,
    region: Region | None,
    base_url: str | None,
    token_url: str | None,
    team: str,
    secrets_from: str | None,
    **references: str | None,
) -> None:
    """Connect an account: asks Amazon with it, and keeps its secrets encrypted."""
    if (base_url is None) != (token_url is None) or (base_url and region):
        raise click.UsageError("--base-url and --token-url go together, and in place of --region")
    secrets = _read_secrets(_referenced(references), FIELDS, secrets_from)

    async def work(tools: Tools) -> str:
        _checked(ConnectAccount, secrets, name=name, client_id=client_id)
        write = await tools.desk.connect(
            name=name,
            region=region,
            client_id=client_id,
            credentials=Credentials(**secrets),
            team_id=team,
            user_id=None,
            addresses=Addresses(base_url, token_url) if base_url and token_url else None,
        )
        await tools.append(write)
        return write.stream.removeprefix("account-")

    click.echo(f"connected {_run(work)}")


@accounts.command("reconnect")
@click.argument("account_id")
@click.option("--client-id", default=None, help="A new client id; the old one stays unless given.")
@click.option("--same", is_flag=True, help="Give no new secrets: ask Amazon with those that there are.")
@_secret_options
def reconnect(
    account_id: str, client_id: str | None, same: bool, secrets_from: str | None, **references: str | None
) -> None:
    """Connect an account again, with new secrets or (--same) the old ones; its held work goes on."""
    given = _referenced(references)
    if same and (given or secrets_from):
        raise click.UsageError("--same takes no secrets")
    secrets = {} if same else _read_secrets(given, FIELDS, secrets_from)

    async def work(tools: Tools) -> None:
        _checked(ReconnectAccount, secrets, client_id=client_id)
        before = await tools.desk.account(account_id, None)
        await tools.append(await tools.desk.reconnect(before, client_id=client_id, user_id=None, **secrets))
        await tools.desk.forget(before)

    _run(work)
    click.echo(f"connected {account_id} again")


@accounts.command("disconnect")
@click.argument("account_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
def disconnect(account_id: str, yes: bool) -> None:
    """Take an account out of use and delete its secrets; its work waits until it is connected again."""
    if not yes:
        click.confirm(f"Delete the secrets of {account_id} and hold its work?", abort=True)

    async def work(tools: Tools) -> None:
        before = await tools.desk.account(account_id, None)
        await tools.append(await tools.desk.disconnect(before, None))
        await tools.desk.forget(before)

    _run(work)
    click.echo(f"disconnected {account_id}")


@accounts.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one account a line.")
def list_accounts(as_json: bool) -> None:
    """List the accounts of all teams, and how each one stands."""

    async def work(tools: Tools) -> list[AccountAnswer]:
        while (await project_batch(tools.pool))[1]:
            pass  # no projector may be running
        return await account_answers(tools.pool, tools.desk.settings)

    found: list[AccountAnswer] = _run(work)
    if as_json:
        for each in found:
            click.echo(msgspec.json.encode(each).decode())
        return
    table = Table("account", "name", "region", "status", "what to do")
    for each in found:
        table.add_row(
            each.account_id,
            each.name,
            each.region or each.base_url,
            each.status,
            each.held_by.remedy if each.held_by else "",
        )
    Console().print(table)


@accounts.command("rotate-key")
def rotate_key() -> None:
    """Encrypt all secrets with the newest key.

    That is the first one of REPORT_BUILDER_SECRET_KEY: put a new one before the old one, start every process
    again, call this, then take the old one away. The embedded service has a key of its own: it gets a new one.
    """

    async def work(tools: Tools) -> int:
        return await tools.vault.rotate()

    click.echo(f"encrypted {_run(work)} accounts and persons' keys again; older keys are not needed any more")


def _referenced(references: dict[str, str | None]) -> dict[str, Secret]:
    return {name.removesuffix("_reference"): Secret(text, reference=True) for name, text in references.items() if text}


def _read_secrets(given: dict[str, Secret], fields: tuple[str, ...], source: str | None) -> dict[str, Secret]:
    """The secrets by field: those that were given as references, the others read from where they are."""
    source = source or ("prompt" if sys.stdin.isatty() else "stdin")
    secrets = dict(given)
    for field in fields:
        if field in secrets:
            continue
        match source:
            case "prompt":
                text = click.prompt(WORDS[field], hide_input=True)
            case "env":
                text = os.environ.get(VARIABLES[field], "")
            case _:
                text = sys.stdin.readline().strip()
        if not text:
            wanted = VARIABLES[field] if source == "env" else f"a line with the {WORDS[field].lower()}"
            raise click.ClickException(f"{wanted} is missing or empty")
        secrets[field] = Secret(text)
    return secrets


def _checked(kind: type[ConnectAccount | ReconnectAccount], secrets: dict[str, Secret], **fields: str | None) -> None:
    """Raises Invalid for what the API would not take either; a reference may be anything."""
    texts = {field: PLACEHOLDER if secret.reference else secret.text for field, secret in secrets.items()}
    decode(kind, texts | fields)
