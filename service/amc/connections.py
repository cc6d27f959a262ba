"""Clients of AMC by account, made when they are needed: secrets are read then, and again after a reconnection.

What the log says of an account decides. An account that Amazon refuses is recorded as such once, by whoever
finds it out, and from then on no process calls Amazon with it until it is connected again.
"""

from __future__ import annotations

from uuid import UUID

import aiohttp
import msgspec
import structlog

from db.pool import DATABASE_ERRORS, Pool, end_if_cancelled
from events.append import AppendRequest, Conflict, Write
from events.envelope import Metadata, NewEvent, stream_of
from events.types.account import AccountReconnected, AccountRevoked, RevocationCause
from events.writer import AppendWriter, LogUnavailable, Overloaded
from service.amc.accounts import DEFAULT, AccountState, load_account
from service.amc.client import AmcClient
from service.amc.errors import AmcError
from service.amc.models import Account
from service.amc.pace import PaceSettings, SharedPace, burst_of
from service.amc.vault import SecretUnreadable, Vault
from service.settings import PREFIX, Settings

log = structlog.get_logger()

MAX_ERROR = 2000
OF_DEFAULT = ("amc_client_id", "amc_client_secret", "amc_refresh_token")


# Probes of an account whose call was refused: a token may expire once, and even twice, in the middle of a call.
PROBES = 3


class AccountHeld(Exception):
    """The account could not be used as it stood. Its `hold` says how to go on; null where that has happened."""

    def __init__(self, account: AccountState) -> None:
        super().__init__(f"the account {account.account_id} must be connected again")
        self.account = account


class UnreadableAccount(Exception):
    """The account's secrets cannot be read in this process; the message says why."""

    def __init__(self, account: AccountState, message: str) -> None:
        super().__init__(message)
        self.account = account


class Connection(msgspec.Struct, frozen=True):
    """A client, and the account as it stood when the client was made."""

    account: AccountState
    client: AmcClient


class Connections:
    """The accounts of one process. The session is the caller's and stays open."""

    def __init__(
        self, pool: Pool, writer: AppendWriter, session: aiohttp.ClientSession, vault: Vault, settings: Settings
    ) -> None:
        self._pool = pool
        self._writer = writer
        self._session = session
        self._vault = vault
        self._settings = settings
        self._known: dict[str, Connection] = {}

    async def of(self, account_id: str) -> Connection:
        """The account's client. Raises AccountHeld, LookupError where there is no such account, and
        UnreadableAccount where its secrets cannot be read here."""
        return await self.as_it_stands(await load_account(self._pool, account_id))

    async def as_it_stands(self, account: AccountState) -> Connection:
        """The same for an account that has just been read."""
        account_id = account.account_id
        if not account.exists:
            raise LookupError(f"the log has no account {account_id}")
        if account.hold is not None:
            raise AccountHeld(account)
        known = self._known.get(account_id)
        if known is not None and known.account.version == account.version:
            return known
        connection = Connection(account, self.client(await self.login(account), account))
        self._known[account_id] = connection
        return connection

    def client(self, login: Account, account: AccountState | None = None) -> AmcClient:
        """A client of its own for this login, at the pace of the account; None where it is not connected yet."""
        settings = self._settings
        rate = (account and account.requests_per_second) or settings.amc_requests_per_second
        pace = PaceSettings(
            rate=rate,
            burst=(account and account.burst) or burst_of(rate),
            failures=settings.amc_breaker_failures,
            pause=settings.amc_breaker_pause,
            longest_pause=settings.retry_cap,
            call_timeout=settings.amc_timeout,
        )
        shared = SharedPace(self._pool, login.account_id, pace)
        return AmcClient(self._session, login, timeout=settings.amc_timeout, pace=shared)

    async def login(self, account: AccountState) -> Account:
        """What Amazon is called with, secrets resolved now. Raises UnreadableAccount."""
        if account.account_id == DEFAULT:
            return self._default_login(account)
        assert account.credential_id is not None
        try:
            credentials = await self._vault.load(account.account_id, account.credential_id)
            return Account(
                account_id=account.account_id,
                client_id=account.client_id,
                client_secret=credentials.client_secret.resolve(),
                refresh_token=credentials.refresh_token.resolve(),
                base_url=account.base_url,
                token_url=account.token_url,
            )
        except SecretUnreadable as error:
            raise UnreadableAccount(account, str(error)) from None

    def _default_login(self, account: AccountState) -> Account:
        settings = self._settings
        if missing := [PREFIX + name.upper() for name in OF_DEFAULT if not getattr(settings, name)]:
            raise UnreadableAccount(account, f"{' and '.join(missing)} not set in this process")
        return Account(
            account_id=DEFAULT,
            client_id=settings.amc_client_id,
            client_secret=settings.amc_client_secret,
            refresh_token=settings.amc_refresh_token,
            base_url=settings.amc_base_url,
            token_url=settings.amc_token_url,
        )

    async def raise_if_revoked(self, connection: Connection) -> None:
        """To be awaited where a call was answered `account_revoked`. Raises AccountHeld, and records it, where
        Amazon refuses the account whatever is asked; returns where it was that call alone."""
        account = await load_account(self._pool, connection.account.account_id)
        if account.version != connection.account.version:
            raise AccountHeld(account)
        for _ in range(PROBES):
            try:
                await connection.client.list_advertisers()
                return
            except AmcError as error:
                if error.code != "account_revoked":
                    return
                refused = error.message
        await self.revoke(account, "refused", refused)
        raise AccountHeld(await load_account(self._pool, account.account_id))

    async def revoke(self, account: AccountState, cause: RevocationCause, error: str) -> None:
        """Records that the account cannot be used as it stood; nothing where it has been connected again since,
        or another process was first."""
        data = AccountRevoked(cause, error.replace("\0", "\ufffd")[:MAX_ERROR])
        try:
            await self._writer.append(AppendRequest((account_write(account, data),)))
        except Conflict:
            return
        log.warning("account_held", account_id=account.account_id, cause=cause, error=data.error)

    async def try_held(self) -> None:
        """Tries every account that is to be connected again: its secrets may have been put right outside of the
        log, in settings, files or keys. What Amazon accepts goes on. To be called when workers start."""
        try:
            rows = await self._pool.fetch("SELECT account_id FROM amc_account_states WHERE status = 'reconnect'")
            for row in rows:
                await self._try(await load_account(self._pool, row["account_id"]))
        except (*DATABASE_ERRORS, LogUnavailable, Overloaded) as error:
            end_if_cancelled(error)
            log.warning("held_accounts_not_tried", error=type(error).__name__)

    async def _try(self, account: AccountState) -> None:
        if account.status != "reconnect":
            return
        try:
            login = await self.login(account)
            await self.client(login, account).list_advertisers()
        except (UnreadableAccount, AmcError) as error:
            log.warning("account_still_held", account_id=account.account_id, error=str(error))
            return
        client_id = None if account.account_id == DEFAULT else account.client_id
        data = AccountReconnected(client_id=client_id, credential_id=account.credential_id)
        try:
            await self._writer.append(AppendRequest((account_write(account, data),)))
        except Conflict:
            return
        log.info("account_reconnected", account_id=account.account_id)


def account_write(account: AccountState, data: msgspec.Struct, user_id: UUID | None = None) -> Write:
    """An event of the account, at the version that was seen."""
    event = NewEvent(
        data=data,
        team_id=account.team_id,
        user_id=user_id,
        metadata=Metadata(correlation_id=account.account_id),
    )
    return Write(stream_of("account", account.account_id), account.version, (event,))
