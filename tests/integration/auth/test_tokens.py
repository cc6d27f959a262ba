"""Bearer tokens over HTTP: what is let in, what is refused, and that a refusal says nothing of its cause."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import jwt
import msgspec
import pytest

from service.auth import door
from service.auth.tokens import LEEWAY
from tests.provider import Provider, SigningKey
from tests.service import Answer, Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/workflows"


async def get(service: Service, token: str, path: str = PATH, **headers: str) -> Answer:
    return await service.get(path, Authorization=f"Bearer {token}", **headers)


def refused(answer: Answer) -> None:
    """It is the one answer to whoever is not known."""
    assert answer.status == 401, answer.body
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json == {
        "type": "/docs/errors#unauthenticated",
        "title": "Nobody is signed in",
        "status": 401,
        "detail": "sign in, or send a token that is valid here",
        "code": "unauthenticated",
    }


def part(value: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).rstrip(b"=").decode()


def unsigned(issuer: Provider) -> str:
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(issuer.claims())}."


def hmac_with_the_public_key(issuer: Provider) -> str:
    """Signed with what everybody has, for a verifier that lets the token choose how it is checked."""
    signed = f"{part({'alg': 'HS256', 'kid': issuer.key.kid})}.{part(issuer.claims())}"
    signature = hmac.digest(issuer.key.pem, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def own_key_in_header(issuer: Provider) -> str:
    """Brings its own key along, as RFC 7515 lets it."""
    stranger = SigningKey(kid=issuer.key.kid)
    return issuer.token(stranger, header={"jwk": stranger.jwk, "jku": f"{issuer.issuer}/keys"})


def broken(issuer: Provider) -> str:
    head, _, signature = issuer.token().rpartition(".")
    return f"{head}.{'A' * len(signature)}"


def other_claims(issuer: Provider) -> str:
    """Another person's claims under a true signature."""
    head, _, signature = issuer.token().split(".")
    return f"{head}.{part(issuer.claims(sub='root', scope='admin'))}.{signature}"


NOW = time.time
ATTACKS: dict[str, Any] = {
    "alg none": unsigned,
    "HMAC signed with the public key": hmac_with_the_public_key,
    "expired": lambda issuer: issuer.token(exp=int(NOW() - LEEWAY - 5)),
    "not yet valid": lambda issuer: issuer.token(nbf=int(NOW() + LEEWAY + 60)),
    "issued in the future": lambda issuer: issuer.token(iat=int(NOW() + LEEWAY + 60)),
    "wrong issuer": lambda issuer: issuer.token(iss="https://evil.example"),
    "an issuer that differs by a slash": lambda issuer: issuer.token(iss=issuer.issuer + "/"),
    "this service as the issuer": lambda issuer: issuer.token(iss="report-builder"),
    "no issuer": lambda issuer: issuer.token(iss=None),
    "wrong audience": lambda issuer: issuer.token(aud="another-service"),
    "no audience": lambda issuer: issuer.token(aud=None),
    "no end": lambda issuer: issuer.token(exp=None),
    "an endless end": lambda issuer: issuer.token(exp=10**300),
    "an end in words": lambda issuer: issuer.token(exp="9999999999"),
    "no subject": lambda issuer: issuer.token(sub=None),
    "an empty subject": lambda issuer: issuer.token(sub=""),
    "a subject that cannot be stored": lambda issuer: issuer.token(sub="a\0b"),
    "an unknown key": lambda issuer: issuer.token(SigningKey()),
    "a stranger's key by a known name": lambda issuer: issuer.token(SigningKey(kid=issuer.key.kid)),
    "another algorithm than the key's": lambda issuer: issuer.token(SigningKey("ES256", issuer.key.kid)),
    "a key in the header": own_key_in_header,
    "a critical extension": lambda issuer: issuer.token(header={"crit": ["exp"], "exp": 1}),
    "the extension that leaves the payload bare": lambda issuer: issuer.token(header={"crit": ["b64"], "b64": True}),
    "another type of token": lambda issuer: issuer.token(header={"typ": "logout+jwt"}),
    "no key named by number": lambda issuer: f"{part({'alg': 'EdDSA', 'kid': 7})}.{part(issuer.claims())}.AAAA",
    "a broken signature": broken,
    "other claims": other_claims,
    "no token at all": lambda issuer: "nonsense",
    "deeply nested": lambda issuer: f"{base64.urlsafe_b64encode(b'[' * 9000).decode()}.{part({})}.AAAA",
    "very long": lambda issuer: issuer.token(filler="x" * 20_000),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_is_refused_like_every_other(
    guarded: Service, issuer: Provider, attack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    token = ATTACKS[attack](issuer)
    refused(await get(guarded, token))
    refused(await guarded.post("/api/reports", {"name": "x"}, Authorization=f"Bearer {token}"))
    said = "".join(capsys.readouterr())
    assert "credential_refused" in said
    assert token not in said
    assert token.rpartition(".")[2] not in said or len(token.rpartition(".")[2]) < 10


@pytest.mark.parametrize("sent", ["Basic YTpi", "Bearer", "Bearer ", "Bearer a b", "bearertoken", "\xff"])
async def test_what_is_no_bearer_token_is_refused(guarded: Service, sent: str) -> None:
    refused(await guarded.get(PATH, Authorization=sent))


async def test_nobody_is_let_in_without_a_credential(guarded: Service) -> None:
    for path in (PATH, "/api/events", "/api/events/stream", "/auth/session", "/api/data-collections"):
        refused(await guarded.get(path))
    refused(await guarded.post("/api/reports", {"name": "x"}))
    for path in ("/healthz", "/readyz"):
        assert (await guarded.get(path)).status == 200


async def test_a_token_says_who_acts_and_for_which_team(guarded: Service, issuer: Provider) -> None:
    answer = await get(guarded, issuer.token(scp=["audit:read", "root"], nbf=int(NOW() + 5)), "/auth/session")
    session = answer.json
    assert (session["name"], session["email"]) == ("Ada", "ada@example.com")
    assert (session["team_id"], session["teams"]) == ("red", ["red", "blue"])
    assert session["scopes"] == ["audit:read", "events:read", "reports:write"]
    assert (session["credential"], session["csrf_token"]) == ("token", None)
    other = await get(guarded, issuer.token(), "/auth/session", Report_Builder_Team="blue")
    assert (other.json["team_id"], other.json["user_id"]) == ("blue", session["user_id"])


async def test_a_link_names_the_team_in_its_query(guarded: Service, issuer: Provider) -> None:
    token = issuer.token()
    for path in ("/auth/session", "/api/workflows?limit=1"):
        for wanted, sent in (("blue", {}), ("blue", {"Report_Builder_Team": "blue"})):
            link = f"{path}{'&' if '?' in path else '?'}for_team={wanted}"
            assert (await get(guarded, token, link, **sent)).status == 200
    assert (await get(guarded, token, "/auth/session?for_team=blue")).json["team_id"] == "blue"
    for query in ("for_team=green", "for_team="):
        answer = await get(guarded, token, f"/auth/session?{query}")
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
    for path, sent in (
        ("/auth/session?for_team=blue", {"Report_Builder_Team": "red"}),
        ("/auth/session?for_team=blue&for_team=red", {}),
    ):
        assert (await get(guarded, token, path, **sent)).json["code"] == "bad_request"
    answer = await guarded.post("/api/reports?for_team=blue", {"name": "x"}, Authorization=f"Bearer {token}")
    assert answer.json["code"] == "bad_request"
    assert (await guarded.get("/auth/sign-in?for_team=blue")).status >= 400


async def test_a_token_may_last_as_long_as_there_are_dates(guarded: Service, issuer: Provider) -> None:
    answer = await get(guarded, issuer.token(exp=253_402_214_400), "/auth/session")
    assert answer.json["expires_at"].startswith("9999-12-31T00:00:30")
    refused(await get(guarded, issuer.token(exp=253_402_214_401)))


async def test_a_missing_scope_is_403_that_names_it(guarded: Service, issuer: Provider) -> None:
    for path, token, scope in (
        ("/api/reports", issuer.token(scope="events:read"), "reports:write"),
        ("/api/instances", issuer.token(), "admin"),
        ("/api/reports", issuer.token(scope=None), "reports:write"),
    ):
        answer = await guarded.post(path, {"name": "x"}, Authorization=f"Bearer {token}")
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
        assert scope in answer.json["detail"]
    assert (await get(guarded, issuer.token(scope="reports:write"), "/api/events")).status == 403
    assert (await get(guarded, issuer.token(scope="admin"), "/api/events")).status == 200


@pytest.mark.parametrize("team", [None, "", [], 7, ["system"], "a\0b", {"red": True}])
async def test_who_is_in_no_team_is_told_so(guarded: Service, issuer: Provider, team: object) -> None:
    answer = await get(guarded, issuer.token(team=team))
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert "no team" in answer.json["detail"]


async def test_another_teams_things_are_not_there(guarded: Service, issuer: Provider) -> None:
    red = issuer.token(team="red")
    green = issuer.token(sub="eve", team="green", scope="reports:write events:read audit:read")
    created = (await guarded.post("/api/reports", {"name": "Secret"}, Authorization=f"Bearer {red}")).json
    path = f"/api/reports/{created['report_id']}"
    assert (await get(guarded, red, path)).status == 200
    assert (await get(guarded, green, path)).status == 404
    answer = await guarded.post(f"{path}/review", {}, Authorization=f"Bearer {green}")
    assert answer.status == 404
    assert (await get(guarded, green, "/api/events")).json["events"] == []
    mine = (await get(guarded, red, "/api/events")).json["events"]
    assert created["position"] in {int(event["sequence"]) for event in mine}
    answer = await get(guarded, green, path, Report_Builder_Team="red")
    assert (answer.status, answer.json["code"]) == (403, "forbidden")


async def test_events_know_a_person_by_our_own_id_and_nothing_else(guarded: Service, issuer: Provider) -> None:
    token = issuer.token(sub="auth0|4711")
    await guarded.post("/api/reports", {"name": "x"}, Authorization=f"Bearer {token}")
    row = await guarded.program.pool.fetchrow(
        "SELECT a::text AS whole, u.name FROM report_builder_audit a JOIN users u USING (user_id)"
        " WHERE u.subject = 'auth0|4711'"
    )
    assert row is not None
    assert row["name"] == "Ada"
    for secret in ("Ada", "ada@example.com", "4711"):
        assert secret not in row["whole"]


async def test_fifty_first_sights_at_once_are_one_user(guarded: Service, issuer: Provider) -> None:
    tokens = [issuer.token(sub="new", jti=str(number)) for number in range(50)]
    answers = await asyncio.gather(*(get(guarded, token, "/auth/session") for token in tokens))
    assert len({answer.json["user_id"] for answer in answers}) == 1
    assert await guarded.program.pool.fetchval("SELECT count(*) FROM users WHERE subject = 'new'") == 1


async def test_a_new_name_replaces_the_old_one_and_the_id_stays(guarded: Service, issuer: Provider) -> None:
    before = (await get(guarded, issuer.token(), "/auth/session")).json
    after = (await get(guarded, issuer.token(name="Ada Lovelace", email=None), "/auth/session")).json
    assert after["user_id"] == before["user_id"]
    assert (after["name"], after["email"]) == ("Ada Lovelace", "ada@example.com")


async def test_the_second_request_checks_no_signature_and_asks_no_database(
    guarded: Service, issuer: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token()
    assert (await get(guarded, token)).status == 200

    async def must_not(*_: Any, **__: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(door, "read_token", must_not)
    monkeypatch.setattr("service.auth.users.Users.find", must_not)
    assert (await get(guarded, token)).status == 200
    assert (await get(guarded, issuer.token(jti="another"))).status == 500


async def test_a_remembered_token_is_refused_once_it_is_over(
    guarded: Service, issuer: Provider, later: Callable[[float], None]
) -> None:
    token = issuer.token(exp=int(NOW() + 600))
    assert (await get(guarded, token)).status == 200
    later(600 + LEEWAY - 10)
    assert (await get(guarded, token)).status == 200
    later(600 + LEEWAY + 10)
    refused(await get(guarded, token))


async def test_a_live_stream_ends_with_its_token(
    guarded: Service, issuer: Provider, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "STREAM_RECHECK", 0.05)
    token = issuer.token(jti="live")
    headers = {"Authorization": f"Bearer {token}"}
    async with guarded.http.get("/api/events/stream", headers=headers) as response:
        assert response.status == 200
        assert await response.content.readuntil(b"caught-up")
        later(700)
        await response.content.read()
    refused(await get(guarded, token, "/api/events/stream"))


async def test_the_library_would_have_taken_what_we_refuse() -> None:
    """That the attacks above are real ones: without our checks an unsigned token reads well."""
    claims = jwt.decode(unsigned(Provider()), options={"verify_signature": False})
    assert claims["sub"] == "ada"
