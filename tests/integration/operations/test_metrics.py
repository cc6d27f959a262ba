"""`/metrics` says what happened, by names and labels that are few, to those who may know it."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import msgspec
import pytest
from prometheus_client import generate_latest

from db.pool import Pool
from service.amc.sandbox.options import SandboxOptions, TableFile
from service.amc.sandbox.server import running_sandbox
from service.operations.metrics import REGISTRY
from tests.metrics import UUID, Scraped
from tests.postgres import Database
from tests.schedules import Schedules, StoppedClock
from tests.service import INSTANCE_ID, SECRET_KEY, Numbers, Service, serving, settings_for
from tests.unit.docs.markdown import DOCS, rows, sections

DAYS = 5


async def scrape(service: Service) -> Scraped:
    answer = await service.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scraped(answer.body.decode())


def backfill(numbers: Numbers) -> object:
    history = {"lookback_config": numbers.window(DAYS), "segmentation_config": {"type": "daily"}}
    return {"schedule_type": "backfill", "backfill_config": history}


async def backfilled(service: Service, numbers: Numbers) -> None:
    await service.finished(await service.submitted(backfill(numbers), window=numbers.window(DAYS)))


async def test_a_backfill_is_counted_from_the_request_to_the_result(
    service: Service, numbers: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.operations.scrape.FRESH", 0.0)
    before = await scrape(service)
    await backfilled(service, numbers)
    await service.get("/api/reports/no-such-report")
    after = await scrape(service)

    def grown(name: str, **labels: str) -> float:
        return after.value(f"report_builder_{name}", **labels) - before.value(f"report_builder_{name}", **labels)

    assert grown("segments_ended_total", outcome="completed") == DAYS
    assert grown("segments_ended_total") == DAYS
    assert grown("segments_dispatched_total", reason="admitted") == DAYS
    assert grown("events_appended_total", type="segment.completed") == DAYS
    assert grown("append_batch_requests_sum") >= grown("append_commit_seconds_count") > DAYS
    assert grown("amc_requests_total", operation="create_execution", status="2xx", outcome="ok") == DAYS
    assert grown("amc_requests_total", operation="refresh_token", status="2xx", outcome="ok") >= 1
    assert grown("amc_request_seconds_count", operation="create_execution") == DAYS
    assert grown("step_seconds_count", step="submit") == DAYS
    assert grown("admission_round_seconds_count") > 0
    template = "/api/reports/{report_id}"
    assert grown("http_requests_total", method="GET", route=template, status="404") == 1
    assert grown("http_request_seconds_count", method="GET", route=template) == 1
    assert grown("log_position") > 4 * DAYS
    assert after.value("report_builder_segment_slots_limit", amc_instance=INSTANCE_ID) == 10
    assert after.value("report_builder_broker_up") == 1
    assert after.value("process_resident_memory_bytes") > 0


async def test_what_waits_and_runs_is_read_when_somebody_looks(
    database: Database, tmp_path: Path, numbers: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.operations.scrape.FRESH", 0.0)
    table = TableFile(name="numbers", path=numbers.file, date_column="date")
    async with (
        running_sandbox(SandboxOptions(tables=(table,), running_seconds=600)) as sandbox,
        serving(settings_for(database, tmp_path, sandbox)) as service,
    ):
        await service.submitted(backfill(numbers), window=numbers.window(DAYS))
        await until(service, "segments_open", DAYS, amc_instance=INSTANCE_ID, lane="bulk")
        await until(service, "segment_slots_in_use", 1, amc_instance=INSTANCE_ID, lane="bulk")
        await until(service, "segment_leases", 1, amc_instance=INSTANCE_ID, lane="bulk")
        await until(service, "segment_lease_overdue_seconds", 0)
        async with service.http.get("/api/events/stream"):
            await until(service, "event_streams_open", 1)
        await until(service, "event_streams_open", 0)


async def until(service: Service, name: str, value: float, **labels: str) -> None:
    for _ in range(600):
        if (await scrape(service)).value(f"report_builder_{name}", **labels) == value:
            return
    raise AssertionError(f"{name} does not become {value}")


async def test_every_metric_is_documented_with_its_type_and_no_other(service: Service, numbers: Numbers) -> None:
    await backfilled(service, numbers)
    exported = {
        (name, family.type)
        for name, family in (await scrape(service)).families.items()
        if name.startswith("report_builder_")
    }
    table = rows(sections(DOCS / "operations.md")["Metrics"])
    documented = {(f"report_builder_{row[0].strip('`').removesuffix('_total')}", row[1]) for row in table}
    assert documented == exported
    assert all(row[3] for row in table), "a metric without its meaning"


async def test_labels_are_those_that_are_documented(service: Service, numbers: Numbers) -> None:
    await backfilled(service, numbers)
    families = (await scrape(service)).families
    for name, _, labels, *_ in rows(sections(DOCS / "operations.md")["Metrics"]):
        family = families[f"report_builder_{name.strip('`').removesuffix('_total')}"]
        found = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert found in (set(), {label.strip("` ") for label in labels.split(",") if label.strip()}), name


async def test_no_id_no_secret_and_nothing_that_a_caller_sent_becomes_a_label(
    service: Service, numbers: Numbers
) -> None:
    await backfilled(service, numbers)
    for path in ("/api/reports/0190163d-8694-739b-aea5-966c26f8ad91", "/what/ever", "/api/reports?name=canary"):
        await service.get(path)
    await service.send("BREW", "/healthz")
    text = (await scrape(service)).text
    values = Scraped(text).label_values()
    assert not [value for value in values if UUID.search(value) or "what" in value or "BREW" in value]
    for secret in (SECRET_KEY, "Atzr|test", service.settings.amc_client_id, "canary", "Values"):
        assert secret not in text


async def test_programs_that_ask_for_it_get_openmetrics(service: Service) -> None:
    answer = await service.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")


async def test_on_the_apis_port_it_takes_the_scope_admin(database: Database, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(settings_for(database, tmp_path), auth_own_keys=True, metrics_port=0)
    async with serving(settings, ("api", "projector")) as service:
        assert (await service.get("/metrics")).status == 401
        service.act_as("local", ["audit:read", "reports:write"])
        assert (await service.get("/metrics")).json["code"] == "forbidden"
        service.act_as("local", ["admin"])
        assert (await service.get("/metrics")).status == 200
        async with aiohttp.ClientSession(service.program.operations_url) as http:
            for path in ("/metrics", "/healthz", "/readyz"):
                async with http.get(path) as answer:
                    assert answer.status == 200, path
            async with http.get("/api/workflows") as answer:
                assert answer.status == 404


async def test_a_process_without_the_api_tells_it_on_a_port_of_its_own(database: Database, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(settings_for(database, tmp_path), metrics_port=0)
    async with (
        serving(settings, ("projector", "scheduler")) as service,
        aiohttp.ClientSession(service.program.operations_url) as http,
        http.get("/metrics") as answer,
    ):
        scraped = Scraped(await answer.text())
    assert scraped.value("report_builder_role_unfinished_seconds", role="scheduler") < 60
    assert scraped.value("report_builder_schedule_overdue_seconds") == 0
    assert scraped.value("report_builder_reading_up", part="schedules") == 1
    assert "report_builder_broker_up" not in scraped.families


async def test_a_broker_that_is_away_holds_no_scrape_up(database: Database, tmp_path: Path) -> None:
    settings = msgspec.structs.replace(
        settings_for(database, tmp_path), amqp_url="amqp://guest:guest@127.0.0.1:1/", metrics_port=0
    )
    async with (
        serving(settings, ("admission",)) as service,
        aiohttp.ClientSession(service.program.operations_url) as http,
    ):
        async with http.get("/metrics") as answer:
            scraped = Scraped(await answer.text())
        async with http.get("/readyz") as answer:
            assert answer.status == 503
            assert (await answer.json())["problems"] == {"broker": "not connected"}
    assert scraped.value("report_builder_reading_up", part="queues") == 0
    assert scraped.value("report_builder_reading_up", part="slots") == 1
    assert scraped.value("report_builder_broker_up") == 0
    assert "report_builder_queue_messages" not in scraped.families


async def test_a_decision_that_comes_late_is_timed(pool: Pool) -> None:
    def told() -> tuple[float, float]:
        scraped = Scraped(generate_latest(REGISTRY).decode())
        name = "report_builder_schedule_lateness_seconds"
        return scraped.value(f"{name}_count"), scraped.value(f"{name}_sum")

    schedules = Schedules(pool, StoppedClock("2026-03-02 13:00"))
    await schedules.instance()
    await schedules.create()
    count, seconds = told()
    await schedules.at("2026-03-02 14:00:07")
    assert told()[0] == count + 1
    assert told()[1] == pytest.approx(seconds + 7)
