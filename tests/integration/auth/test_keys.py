"""An issuer's keys: which verify what, new ones, revoked ones, and an issuer that is away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from service.auth import door, keys
from tests.integration.auth.conftest import Start
from tests.integration.auth.test_tokens import get, refused
from tests.provider import AUDIENCE, Provider, SigningKey
from tests.service import Answer, Service


async def until(statuses: set[int], service: Service, token: str) -> Answer:
    """Asks with the token until it is answered so."""
    async with asyncio.timeout(60):
        while (answer := await get(service, token)).status not in statuses:
            await asyncio.sleep(0.02)
        return answer


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_each_asymmetric_algorithm_is_taken_with_a_key_of_its_kind(
    start: Start, provider: Provider, algorithm: str
) -> None:
    provider.key = SigningKey(algorithm)
    provider.published = [provider.key]
    async with start(auth_issuer=provider.issuer) as service:
        assert (await get(service, provider.token())).status == 200
        assert (await get(service, provider.token(header={"typ": "at+jwt"}, aud=["other", AUDIENCE]))).status == 200


async def test_a_revoked_key_is_refused_once_the_keys_are_fetched_again(start: Start, provider: Provider) -> None:
    async with start(auth_issuer=provider.issuer, auth_jwks_refresh=0.1) as service:
        token = provider.token()
        assert (await get(service, token)).status == 200
        old = provider.rotate()
        answer = await until({401, 503}, service, token)
        refused(answer)
        refused(await get(service, provider.token(old, jti="fresh")))
        assert (await get(service, provider.token())).status == 200


async def test_a_new_key_is_fetched_at_once_and_many_unknown_ones_do_not_trouble_the_issuer(
    start: Start, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "UNKNOWN_KEY_PAUSE", 3600.0)
    async with start(auth_issuer=provider.issuer) as service:
        assert provider.keys_fetched == 1
        provider.rotate()
        assert (await get(service, provider.token())).status == 200
        assert provider.keys_fetched == 2
        strangers = [provider.token(SigningKey()) for _ in range(30)]
        for answer in await asyncio.gather(*(get(service, token) for token in strangers)):
            refused(answer)
        assert provider.keys_fetched == 2


async def test_keys_hold_while_the_issuer_is_away(start: Start, provider: Provider) -> None:
    async with start(auth_issuer=provider.issuer, auth_jwks_refresh=0.05) as service:
        provider.down = True
        fetched = provider.keys_fetched
        async with asyncio.timeout(60):
            while provider.keys_fetched < fetched + 3:
                await asyncio.sleep(0.02)
        assert (await get(service, provider.token())).status == 200


async def test_keys_hold_no_longer_than_they_may(start: Start, provider: Provider) -> None:
    async with start(auth_issuer=provider.issuer, auth_jwks_refresh=0.1, auth_jwks_keep=1.0) as service:
        token = provider.token()
        await until({200}, service, token)
        provider.down = True
        answer = await until({401, 503}, service, token)
        assert (answer.status, answer.json["code"]) == (503, "issuer_unavailable")
        assert "door" in (await service.get("/readyz")).json["problems"]
        provider.down = False
        await until({200}, service, token)


async def test_the_service_starts_while_its_issuer_is_away(
    start: Start, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "RETRY_PAUSE", 0.1)
    provider.down = True
    async with start(auth_issuer=provider.issuer) as service:
        assert (await get(service, provider.token())).json["code"] == "issuer_unavailable"
        provider.down = False
        await until({200}, service, provider.token())


async def test_keys_may_come_from_a_file(start: Start, provider: Provider, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(msgspec.json.encode({"keys": [provider.key.jwk]}))
    async with start(auth_issuer="https://issuer.example", auth_jwks=str(file)) as service:
        assert (await get(service, provider.token(iss="https://issuer.example"))).status == 200
        refused(await get(service, provider.token()))


async def test_a_live_stream_ends_when_its_key_is_revoked(
    start: Start, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "STREAM_RECHECK", 0.05)
    async with start(auth_issuer=provider.issuer, auth_jwks_refresh=0.1) as service:
        headers = {"Authorization": f"Bearer {provider.token()}"}
        async with service.http.get("/api/events/stream", headers=headers) as response:
            assert await response.content.readuntil(b"caught-up")
            provider.rotate()
            await response.content.read()


async def test_an_rsa_key_verifies_what_it_is_published_for_alone(start: Start, provider: Provider) -> None:
    provider.published = [SigningKey("RS256", "rsa")]
    async with start(auth_issuer=provider.issuer) as service:
        assert (await get(service, provider.token(SigningKey("RS256", "rsa")))).status == 200
        refused(await get(service, provider.token(SigningKey("PS256", "rsa"))))
