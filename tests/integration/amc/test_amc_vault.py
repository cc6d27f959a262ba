"""Account secrets in the table: encrypted, bound to their place, re-encrypted by a rotation that may die anywhere."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from db.pool import Pool
from events.append import AppendRequest
from events.types.account import AccountConnected, AccountDisconnected, AccountReconnected
from events.writer import AppendWriter
from service.amc.accounts import AccountState, load_account
from service.amc.connections import account_write
from service.amc.keys import SecretKey, SecretKeys
from service.amc.vault import Credentials, Secret, SecretUnreadable, Vault
from service.settings import Settings

CLIENT_SECRET, TOKEN = "amzn-secret-6f1d", "Atzr|refresh-token-93ab"
GIVEN = Credentials(client_secret=Secret(CLIENT_SECRET), refresh_token=Secret(TOKEN))
OLD, NEW = b"1" * 32, b"2" * 32


def keys(*given: bytes) -> SecretKeys:
    text = ",".join(base64.b64encode(key).decode() for key in given)
    return SecretKeys(Settings(secret_key=text, database_url="postgresql://x"))


@pytest.fixture
def vault(pool: Pool) -> Vault:
    return Vault(pool, keys(OLD))


@pytest.fixture
async def stored(vault: Vault) -> UUID:
    credential_id = uuid4()
    await vault.store("a", credential_id, GIVEN)
    return credential_id


async def row_of(pool: Pool, credential_id: UUID) -> asyncpg.Record:
    row = await pool.fetchrow("SELECT * FROM amc_accounts WHERE credential_id = $1", credential_id)
    assert row is not None
    return row


async def test_what_is_stored_is_loaded_and_the_table_has_no_plain_text(pool: Pool, vault: Vault, stored: UUID) -> None:
    assert await vault.load("a", stored) == GIVEN
    row = await row_of(pool, stored)
    whole = b"".join(value for value in row.values() if isinstance(value, bytes)) + repr(row).encode()
    assert CLIENT_SECRET.encode() not in whole
    assert TOKEN.encode() not in whole
    assert (row["key_id"], row["client_secret_reference"]) == (SecretKey(OLD).id, None)


async def test_the_same_secret_is_never_encrypted_the_same(pool: Pool, vault: Vault, stored: UUID) -> None:
    again = uuid4()
    await vault.store("a", again, GIVEN)
    assert (await row_of(pool, again))["refresh_token"] != (await row_of(pool, stored))["refresh_token"]


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE amc_accounts SET refresh_token = client_secret",  # another field
        "UPDATE amc_accounts SET credential_id = '00000000-0000-7000-8000-00000000000c'",  # another credential
        "UPDATE amc_accounts SET refresh_token = set_byte(refresh_token, 20, get_byte(refresh_token, 20) # 1)",
        "UPDATE amc_accounts SET refresh_token = substr(refresh_token, 1, 20)",
    ],
)
async def test_a_ciphertext_is_bound_to_its_place(pool: Pool, vault: Vault, stored: UUID, tampering: str) -> None:
    await pool.execute(tampering)
    credential_id = await pool.fetchval("SELECT credential_id FROM amc_accounts")
    with pytest.raises(SecretUnreadable, match="changed in the database"):
        await vault.load("a", credential_id)


async def test_another_account_cannot_use_it(vault: Vault, stored: UUID) -> None:
    with pytest.raises(SecretUnreadable, match="changed in the database"):
        await vault.load("b", stored)


async def test_without_its_key_or_its_row_a_secret_is_unreadable_and_says_why(
    pool: Pool, vault: Vault, stored: UUID
) -> None:
    with pytest.raises(SecretUnreadable, match=f"the key {SecretKey(OLD).id}, which REPORT_BUILDER_SECRET_KEY"):
        await Vault(pool, keys(NEW)).load("a", stored)
    await vault.delete(stored)
    with pytest.raises(SecretUnreadable, match="not in the database any more"):
        await vault.load("a", stored)


async def test_references_are_kept_as_they_are_and_need_no_key(pool: Pool) -> None:
    vault = Vault(pool, SecretKeys(Settings(database_url="postgresql://x")))
    credential_id = uuid4()
    references = Credentials(
        client_secret=Secret("env:CLIENT_SECRET", reference=True), refresh_token=Secret("file:/t", reference=True)
    )
    await vault.store("a", credential_id, references)
    assert await vault.load("a", credential_id) == references
    assert (await row_of(pool, credential_id))["key_id"] is None


async def test_a_reference_beside_a_secret_is_not_touched_by_a_rotation(pool: Pool, vault: Vault) -> None:
    credential_id = uuid4()
    mixed = Credentials(client_secret=Secret("env:CLIENT_SECRET", reference=True), refresh_token=Secret(TOKEN))
    await vault.store("a", credential_id, mixed)
    assert await Vault(pool, keys(NEW, OLD)).rotate() == 1
    assert await Vault(pool, keys(NEW)).load("a", credential_id) == mixed


async def test_a_rotation_encrypts_everything_with_the_first_key_once(pool: Pool, vault: Vault, stored: UUID) -> None:
    rotating = Vault(pool, keys(NEW, OLD))
    await rotating.store("b", other := uuid4(), GIVEN)
    assert await rotating.rotate() == 1
    assert await rotating.rotate() == 0
    for account_id, credential_id in (("a", stored), ("b", other)):
        assert await Vault(pool, keys(NEW)).load(account_id, credential_id) == GIVEN


async def test_a_rotation_without_the_old_key_changes_nothing(pool: Pool, vault: Vault, stored: UUID) -> None:
    with pytest.raises(SecretUnreadable):
        await Vault(pool, keys(NEW)).rotate()
    assert await vault.load("a", stored) == GIVEN


async def test_the_embedded_services_rotation_makes_a_key_and_survives_its_death(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path)
    vault = Vault(pool, SecretKeys(settings))
    await vault.store("a", first := uuid4(), GIVEN)
    before = SecretKeys(settings).current()

    class Died(Exception):
        pass

    async def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:  # the rows are not committed, the new key is there already
        patch.setattr(Vault, "_encrypt_again", die)
        with pytest.raises(Died):
            await vault.rotate()
    assert await vault.load("a", first) == GIVEN
    await vault.store("b", second := uuid4(), GIVEN)  # with the new one

    with monkeypatch.context() as patch:  # committed, and the old key is still there
        patch.setattr(SecretKeys, "end_rotation", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await vault.rotate()
    for account_id, credential_id in (("a", first), ("b", second)):
        assert await vault.load(account_id, credential_id) == GIVEN

    await vault.rotate()
    assert len(SecretKeys(settings).all()) == 1
    assert SecretKeys(settings).current() != before
    for account_id, credential_id in (("a", first), ("b", second)):
        assert await Vault(pool, SecretKeys(settings)).load(account_id, credential_id) == GIVEN


async def test_rotations_and_connections_at_once_lose_nothing(pool: Pool, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    ids = [uuid4() for _ in range(20)]

    async def store(credential_id: UUID) -> None:
        await Vault(pool, SecretKeys(settings)).store("a", credential_id, GIVEN)

    async def rotate() -> None:
        await Vault(pool, SecretKeys(settings)).rotate()

    await store(ids[0])
    await asyncio.gather(*(store(each) for each in ids[1:]), *(rotate() for _ in range(4)))
    await rotate()
    assert len(SecretKeys(settings).all()) == 1
    for each in ids:
        assert await Vault(pool, SecretKeys(settings)).load("a", each) == GIVEN


@pytest.fixture
async def writer(pool: Pool) -> AsyncIterator[AppendWriter]:
    writer = AppendWriter(pool)
    yield writer
    await writer.close()


async def test_housekeeping_forgets_what_no_account_uses_after_an_hour(
    pool: Pool, vault: Vault, writer: AppendWriter
) -> None:
    first, second, orphan, gone, recent = (uuid4() for _ in range(5))
    for account_id, credential_id in (("a", first), ("a", second), ("a", orphan), ("b", gone), ("c", recent)):
        await vault.store(account_id, credential_id, GIVEN)

    async def happened(account_id: str, *data: object) -> None:
        for each in data:
            account = await load_account(pool, account_id)
            if not account.exists:
                account = AccountState(account_id=account_id, team_id="t")
            await writer.append(AppendRequest((account_write(account, each),)))  # type: ignore[arg-type]

    def connected(credential_id: UUID) -> AccountConnected:
        return AccountConnected(
            name="n", region=None, base_url="b", token_url="t", client_id="c", credential_id=credential_id
        )

    await happened("a", connected(first), AccountReconnected(client_id="c", credential_id=second))
    await happened("b", connected(gone), AccountDisconnected())
    await pool.execute("SELECT forget_credentials()")
    assert await pool.fetchval("SELECT count(*) FROM amc_accounts") == 5
    await pool.execute("UPDATE amc_accounts SET created_at = now() - interval '61 minutes' WHERE account_id <> 'c'")
    await pool.execute("SELECT forget_credentials()")
    rows = await pool.fetch("SELECT credential_id FROM amc_accounts")
    assert {row["credential_id"] for row in rows} == {second, recent}
