"""Persons for tests: tokens with a name and an e-mail address, and where a text of theirs can be."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import asyncpg
import msgspec

from events.personal import is_token
from projections.runner import TABLES
from service.amc.keys import SecretKeys
from service.auth.own_key import OwnKey, own_claims, own_key_file
from service.persons.texts import PersonalTexts
from tests.postgres import Database
from tests.service import Service


def act_as_person(service: Service, name: str, *scopes: str, team: str = "local") -> None:
    """From here on requests are those of somebody of this name, whom the service knows by name and e-mail address."""
    now = int(time.time())
    claims = own_claims(
        subject=f"subject-of-{name}",
        teams=(team,),
        team_claim=service.settings.auth_team_claim,
        scopes=list(scopes or ("admin",)),
        audience=service.settings.auth_audience,
        issued_at=now,
        expires_at=now + 3600,
    )
    claims |= {"name": f"{name.title()} Canary", "email": f"{name}@canary.example"}
    service.authorization = f"Bearer {OwnKey(own_key_file(service.settings.data_dir)).sign(claims)}"


async def user_id_of(service: Service) -> str:
    """The id of whoever the service now takes requests from."""
    return str((await service.read("/auth/session"))["user_id"])


async def opened(service: Service, data: msgspec.Struct) -> str:
    """The reason of a recorded event, which has it sealed."""
    reason = msgspec.to_builtins(data)["reason"]
    assert is_token(reason)
    texts = PersonalTexts(service.program.pool, SecretKeys(service.settings))
    return str(msgspec.json.decode(await texts.open_answer(f'"{reason}"'.encode())))


async def tables_with(database: Database, text: str) -> list[str]:
    """The columns of tables and views that hold the text, as it is or in hex."""
    found, plain = set(), text.encode()
    admin = await asyncpg.connect(database.admin_url)
    try:
        names = await admin.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm')"
        )
        for (name,) in names:
            for row in await admin.fetch(f"SELECT * FROM public.{name}"):
                for column, value in row.items():
                    content = value if isinstance(value, bytes) else str(value).encode()
                    if plain in content or plain.hex().encode() in content:
                        found.add(f"{name}.{column}")
    finally:
        await admin.close()
    return sorted(found)


async def log_digest(database: Database, up_to: int) -> str:
    """SHA-256 over all that is recorded of the events up to a position."""
    return await _digest(
        database,
        f"SELECT a::text FROM report_builder_audit a WHERE position <= {up_to} ORDER BY position",
    )


async def read_model_digest(database: Database) -> str:
    """SHA-256 over every row of every read model."""
    return await _digest(database, *(f"SELECT t::text FROM {table.name} t ORDER BY t.{table.key}" for table in TABLES))


async def _digest(database: Database, *queries: str) -> str:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(database.admin_url)
    try:
        digest = hashlib.sha256()
        for query in queries:
            for (row,) in await connection.fetch(query):
                digest.update(row.encode() + b"\n")
        return digest.hexdigest()
    finally:
        await connection.close()
