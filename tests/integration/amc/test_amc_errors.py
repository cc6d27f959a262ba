"""Each class of error over real HTTP, and what the client makes of it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import msgspec
import pytest

from service.amc.client import AmcClient
from service.amc.errors import AmcError
from service.amc.models import Instance
from service.amc.sandbox import Faults, SandboxOptions, TableFile, running_sandbox

if TYPE_CHECKING:
    from tests.integration.amc.conftest import Bench, Connect


async def test_callers_at_once_share_one_token_refresh(connect: Connect, adwords: TableFile) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        await asyncio.gather(*(bench.client.list_advertisers() for _ in range(20)))
        assert (await bench.stats())["tokens_issued"] == 1
        assert bench.pace.ended == [None] * 20


async def test_a_token_is_renewed_before_it_ends(connect: Connect) -> None:
    # A life of one second, of which half is margin.
    async with running_sandbox(SandboxOptions(token_seconds=1)) as handle:
        bench = await connect(handle)
        await bench.client.list_advertisers()
        await asyncio.sleep(0.6)
        await bench.client.list_advertisers()
        stats = await bench.stats()
        assert (stats["tokens_issued"], stats["answers"]) == (2, {"200": 2})


async def test_an_expired_token_is_renewed_once_and_the_call_repeated(connect: Connect, adwords: TableFile) -> None:
    options = SandboxOptions(tables=(adwords,), faults=Faults(expire_tokens_every=3))
    async with running_sandbox(options) as handle:
        bench = await connect(handle)
        name = await bench.save()
        for _ in range(5):
            await bench.client.create_execution(bench.instance, bench.request(name))
        stats = await bench.stats()
        assert stats["created"] == 5
        assert isinstance(stats["answers"], dict)
        assert stats["answers"]["401"] >= 2


async def test_a_401_that_stays_after_a_refresh_means_a_revoked_account(connect: Connect) -> None:
    async with running_sandbox(SandboxOptions(faults=Faults(expire_tokens_every=1))) as handle:
        bench = await connect(handle)
        with pytest.raises(AmcError) as raised:
            await bench.client.list_advertisers()
        assert raised.value.code == "account_revoked"
        assert bench.pace.ended == ["unauthorized"] * 2


async def test_invalid_grant_means_a_revoked_account_and_names_no_secret(connect: Connect) -> None:
    async with running_sandbox(SandboxOptions(faults=Faults(revoked=True))) as handle:
        bench = await connect(handle)
        with pytest.raises(AmcError) as raised:
            await bench.client.create_execution(bench.instance, bench.request("rb-x"))
        assert raised.value.code == "account_revoked"
        assert not raised.value.may_have_landed
        assert "Atzr|" not in str(raised.value)


async def test_429_is_transient_and_did_not_land(connect: Connect, adwords: TableFile) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        name = await bench.save()
        await bench.faults(throttle_rate=1, retry_after=7)
        with pytest.raises(AmcError) as raised:
            await bench.client.create_execution(bench.instance, bench.request(name))
        error = raised.value
        assert (error.kind, error.status, error.retry_after, error.may_have_landed) == (
            "transient",
            429,
            7.0,
            False,
        )
        await bench.faults(throttle_rate=1)
        with pytest.raises(AmcError) as raised:
            await bench.client.create_execution(bench.instance, bench.request(name))
        assert raised.value.retry_after is None
        stats = await bench.stats()
        assert (stats["throttled"], stats["created"]) == (2, 0)


async def test_requests_above_the_rate_are_throttled(connect: Connect) -> None:
    async with running_sandbox(SandboxOptions(requests_per_second=5, burst=3)) as handle:
        bench = await connect(handle)
        ends = await asyncio.gather(*(bench.client.list_advertisers() for _ in range(10)), return_exceptions=True)
        refused = [end for end in ends if isinstance(end, AmcError) and end.code == "throttled"]
        assert len(refused) >= 6


async def test_500_is_transient_and_may_have_landed(connect: Connect, adwords: TableFile) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        name = await bench.save()
        await bench.faults(error_rate=1, errors_act=True)
        with pytest.raises(AmcError) as raised:
            await bench.client.create_execution(bench.instance, bench.request(name))
        assert (raised.value.kind, raised.value.status) == ("transient", 500)
        assert raised.value.may_have_landed
        assert (await bench.stats())["created"] == 1


async def test_a_refused_connection_did_not_land(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with running_sandbox() as handle:
        bench = await connect(handle)
        # Tokens come from the sandbox; nothing listens where the API should be.
        error = await failed_create(bench, f"http://127.0.0.1:{port}")
    assert (error.kind, error.code, error.may_have_landed) == ("transient", "not_connected", False)


async def test_an_answer_that_takes_too_long_may_have_landed(connect: Connect) -> None:
    async with running_sandbox() as handle:
        bench = await connect(handle)
        silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        error = await failed_create(bench, f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
        silent.close()
    assert (error.kind, error.code, error.may_have_landed) == ("transient", "timeout", True)


async def failed_create(bench: Bench, base_url: str) -> AmcError:
    elsewhere = msgspec.structs.replace(bench.account, base_url=base_url)
    client = AmcClient(bench.session, elsewhere, timeout=0.3, pace=bench.pace)
    with pytest.raises(AmcError) as raised:
        await client.create_execution(bench.instance, bench.request("rb-x"))
    return raised.value


async def test_a_create_that_amazon_cannot_accept_is_permanent_and_did_not_land(
    connect: Connect, adwords: TableFile
) -> None:
    changes: list[tuple[dict[str, object], str]] = [
        ({"window_start": "2025-01-01T00:00:00Z"}, "format"),
        ({"window_start": "2025-01-01"}, "format"),
        ({"window_end": "2025-01-01T00:00:00"}, "after"),
        ({"time_zone": "Mars/Olympus"}, "time zone"),
        ({"window_start": ""}, "both required"),
        ({"timeout_seconds": 1}, "between 900 and 86400"),
        ({"workflow_id": "rb-unknown"}, "does not exist"),
    ]
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        good = bench.request(await bench.save())
        for change, text in changes:
            with pytest.raises(AmcError, match=text) as raised:
                await bench.client.create_execution(bench.instance, msgspec.structs.replace(good, **change))
            assert (raised.value.kind, raised.value.status) == ("permanent", 400)
            assert not raised.value.may_have_landed
        assert (await bench.stats())["created"] == 0


async def test_an_unknown_execution_and_a_foreign_instance_are_permanent(connect: Connect) -> None:
    async with running_sandbox(SandboxOptions(strict_instances=True)) as handle:
        bench = await connect(handle)
        with pytest.raises(AmcError) as raised:
            await bench.client.get_execution(bench.instance, "../../oops?x=1")
        assert (raised.value.kind, raised.value.code) == ("permanent", "not_found")
        foreign = Instance(instance_id="other", advertiser_id="ENTITYSANDBOX1", marketplace_id="ATVPDKIKX0DER")
        with pytest.raises(AmcError) as raised:
            await bench.client.get_execution(foreign, "x")
        assert (raised.value.kind, raised.value.status) == ("permanent", 403)


async def test_compile_errors_come_later_or_at_create_as_set(connect: Connect, adwords: TableFile) -> None:
    async with running_sandbox(SandboxOptions(tables=(adwords,))) as handle:
        bench = await connect(handle)
        name = await bench.save(bench.sql.replace("clicks", "klicks"))
        assert (await bench.run(bench.request(name))).status == "REJECTED"
        await bench.faults(compile_errors_at_create=True)
        with pytest.raises(AmcError, match="klicks") as raised:
            await bench.client.create_execution(bench.instance, bench.request(name))
        assert raised.value.kind == "permanent"


async def test_unknown_faults_are_refused_and_known_ones_can_be_read_back(connect: Connect) -> None:
    async with running_sandbox() as handle:
        bench = await connect(handle)
        address = f"{handle.base_url}/sandbox/faults"
        async with bench.session.put(address, json={"drop_evry": 3}) as answer:
            assert answer.status == 422
        await bench.faults(drop_every=3, fail_windows=["2025-01-01"])
        async with bench.session.get(address) as answer:
            faults = await answer.json()
        assert (faults["drop_every"], faults["fail_windows"]) == (3, ["2025-01-01"])
