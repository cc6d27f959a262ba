"""Connecting accounts, again, and taking them out of use: what HTTP and the command line have in common.

Amazon is asked before anything is recorded, so that an account that shows as connected was accepted. Secrets are
stored before the event that puts them in force: killed in between, there are only secrets that nobody uses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from db.pool import Pool
from events.append import Write
from events.envelope import new_id
from events.types.account import AccountConnected, AccountDisconnected, AccountReconnected, Region
from events.validation import Problem
from service.amc.accounts import DEFAULT, REGIONS, AccountState, Addresses, load_account
from service.amc.client import AmcClient
from service.amc.connections import AccountHeld, Connections, UnreadableAccount, account_write
from service.amc.errors import AmcError
from service.amc.keys import NoSecretKey
from service.amc.models import Account, Instance
from service.amc.vault import FIELDS, Credentials, Secret, SecretUnreadable, Vault
from service.problems import Refused
from service.settings import Settings

RETRY_AFTER = 30

Found = TypeVar("Found")


class AccountDesk:
    """Decides what is recorded of accounts; each answer is an append still to be made."""

    def __init__(self, pool: Pool, accounts: Connections, vault: Vault, settings: Settings) -> None:
        self._pool = pool
        self._accounts = accounts
        self._vault = vault
        self.settings = settings

    @property
    def own_addresses(self) -> Addresses:
        """Where calls go that no region is named for."""
        return Addresses(self.settings.amc_base_url, self.settings.amc_token_url)

    async def account(self, account_id: str, team_id: str | None) -> AccountState:
        """The account as it stands, if it is the team's (null: any team's). Refuses `not_found`."""
        account = await load_account(self._pool, account_id)
        if not account.exists or (team_id is not None and account_id != DEFAULT and account.team_id != team_id):
            raise Refused("not_found", f"there is no account {account_id}")
        return account

    async def connect(
        self,
        *,
        name: str,
        region: Region | None,
        client_id: str,
        credentials: Credentials,
        team_id: str,
        user_id: UUID | None,
        addresses: Addresses | None = None,
    ) -> Write:
        """A new account that Amazon has accepted. `addresses` are in place of the region's.

        Refuses `invalid`, `amazon_refused`, `amazon_unavailable` and `no_secret_key`.
        """
        account_id, credential_id = str(new_id()), new_id()
        addresses = addresses or (REGIONS[region] if region else self.own_addresses)
        await self._try(account_id, addresses, client_id, credentials)
        await self._store(account_id, credential_id, credentials)
        data = AccountConnected(
            name=name,
            region=region,
            base_url=addresses.base_url,
            token_url=addresses.token_url,
            client_id=client_id,
            credential_id=credential_id,
        )
        return account_write(AccountState(account_id=account_id, team_id=team_id), data, user_id)

    async def reconnect(
        self,
        account: AccountState,
        *,
        client_id: str | None = None,
        client_secret: Secret | None = None,
        refresh_token: Secret | None = None,
        user_id: UUID | None,
    ) -> Write:
        """The account as Amazon accepts it again; a secret that is not given stays the one in force."""
        given = {"client_secret": client_secret, "refresh_token": refresh_token}
        if account.account_id == DEFAULT:
            return await self._reconnect_default(account, client_id, given, user_id)
        client_id = client_id or account.client_id
        credentials = await self._overlaid(account, given)
        addresses = Addresses(account.base_url, account.token_url)
        await self._try(account.account_id, addresses, client_id, credentials)
        credential_id = account.credential_id
        if credential_id is None or any(given.values()):
            credential_id = new_id()
            await self._store(account.account_id, credential_id, credentials)
        return account_write(account, AccountReconnected(client_id=client_id, credential_id=credential_id), user_id)

    async def _reconnect_default(
        self, account: AccountState, client_id: str | None, given: dict[str, Secret | None], user_id: UUID | None
    ) -> Write:
        if client_id or any(given.values()):
            raise Refused(
                "bad_request", "the account `default` has its credentials in the settings; set them there, send none"
            )
        try:
            login = await self._accounts.login(account)
        except UnreadableAccount as error:
            raise Refused("account_held", str(error)) from None
        await self._try_login(login)
        return account_write(account, AccountReconnected(client_id=None, credential_id=None), user_id)

    async def disconnect(self, account: AccountState, user_id: UUID | None) -> Write:
        """The account out of use. Its secrets are to be deleted once that is recorded: see `forget`."""
        if account.account_id == DEFAULT:
            raise Refused("bad_request", "the account `default` is the settings'; take its credentials out there")
        if account.status == "disconnected":
            raise Refused("account_held", "it is disconnected already")
        return account_write(account, AccountDisconnected(), user_id)

    async def forget(self, before: AccountState) -> None:
        """To be awaited after a reconnection or disconnection was recorded: deletes the secrets that were in force
        until then, if they are not any more. What is left over by a crash the housekeeping deletes."""
        after = await load_account(self._pool, before.account_id)
        if before.credential_id is not None and after.credential_id != before.credential_id:
            await self._vault.delete(before.credential_id)

    async def instances(self, account: AccountState) -> list[Instance]:
        """The account's instances, as Amazon lists them now, by id."""
        found = await self.ask(account.account_id, lambda client: client.list_instances())
        return sorted(found, key=lambda instance: instance.instance_id)

    async def ask(self, account_id: str, question: Callable[[AmcClient], Awaitable[Found]]) -> Found:
        """What Amazon answers with the account. Refuses `account_held`, `amazon_refused` and `amazon_unavailable`."""
        try:
            connection = await self._accounts.of(account_id)
            try:
                return await question(connection.client)
            except AmcError as error:
                if error.code == "account_revoked":
                    await self._accounts.raise_if_revoked(connection)
                raise _refusal(error) from None
        except AccountHeld as error:
            hold = error.account.hold
            detail = f"{hold.reason}: {hold.remedy}" if hold else "it was connected again just now; ask again"
            raise Refused("account_held", detail) from None
        except UnreadableAccount as error:
            raise Refused("account_held", f"its secrets cannot be read: {error}") from None

    async def _overlaid(self, account: AccountState, given: dict[str, Secret | None]) -> Credentials:
        """The secrets in force, with those that were given in their place."""
        missing = [field for field in FIELDS if given[field] is None]
        secrets = dict(given)
        if missing:
            try:
                if account.credential_id is None:
                    raise SecretUnreadable("it is disconnected, and its secrets were deleted")
                kept = await self._vault.load(account.account_id, account.credential_id)
            except SecretUnreadable as error:
                problems = [Problem(f"/{field}", "is missing; give it") for field in missing]
                raise Refused("invalid", f"the account's secrets are not known: {error}", problems=problems) from None
            secrets |= {field: getattr(kept, field) for field in missing}
        return Credentials(**secrets)  # type: ignore[arg-type]

    async def _try(self, account_id: str, addresses: Addresses, client_id: str, credentials: Credentials) -> None:
        resolved = {}
        for field in FIELDS:
            try:
                resolved[field] = getattr(credentials, field).resolve()
            except SecretUnreadable as error:
                raise Refused("invalid", str(error), problems=[Problem(f"/{field}", str(error))]) from None
        await self._try_login(
            Account(
                account_id=account_id,
                client_id=client_id,
                **resolved,
                base_url=addresses.base_url,
                token_url=addresses.token_url,
            )
        )

    async def _try_login(self, login: Account) -> None:
        """Asks Amazon with it. Refuses what Amazon refuses, with Amazon's own text."""
        try:
            await self._accounts.client(login).list_advertisers()
        except AmcError as error:
            if error.code == "account_revoked" or error.status == 403:
                problem = Problem("/refresh_token", f"Amazon does not accept it with this client: {error.message}")
                detail = f"Amazon does not accept these credentials: {error.message}"
                raise Refused("invalid", detail, problems=[problem]) from None
            raise _refusal(error) from None

    async def _store(self, account_id: str, credential_id: UUID, credentials: Credentials) -> None:
        try:
            await self._vault.store(account_id, credential_id, credentials)
        except NoSecretKey as error:
            raise Refused("no_secret_key", str(error)) from None


def _refusal(error: AmcError) -> Refused:
    """What the caller is told of a call to Amazon that failed."""
    if error.kind == "transient":
        return Refused("amazon_unavailable", str(error), retry_after=round(error.retry_after or RETRY_AFTER))
    return Refused("amazon_refused", str(error))
