"""compose.yaml as docker-compose reads it: every role, three RabbitMQ nodes, health, and time to stop in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.roles import ROLES
from service.settings import Settings, read_settings
from tests.deployment import ROOT

pytestmark = pytest.mark.compose

# What scripts and people must fill in; any letters and digits will do.
WANTED = re.findall(r"^([A-Z_]+)=$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE)
NODES = ["rabbitmq1", "rabbitmq2", "rabbitmq3"]


def read(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`docker-compose config` with these variables in the file, and none of ours around it."""
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    return subprocess.run(
        ["docker-compose", "--file", ROOT / "compose.yaml", "--env-file", folder / ".env", "config"],
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = read(tmp_path_factory.mktemp("compose"), **dict.fromkeys(WANTED, "x"))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return found


def ours(services: dict[str, Any]) -> dict[str, Any]:
    """The services that run the program, by name."""
    return {name: each for name, each in services.items() if each.get("image") == "report-builder"}


def seconds(text: str) -> float:
    """A duration as docker-compose writes it back: `40s`, `1m0s`."""
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:([\d.]+)s)?", text).groups()  # type: ignore[union-attr]
    return 60 * float(minutes or 0) + float(rest or 0)


@pytest.mark.parametrize("name", [name for name in WANTED if not name.startswith("REPORT_BUILDER_AMC_")])
def test_a_password_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    done = read(tmp_path, **{each: "x" for each in WANTED if each != name})
    assert done.returncode != 0
    assert f"set {name} in .env" in done.stderr


def test_every_role_runs_and_each_in_a_service_of_its_own(services: dict[str, Any]) -> None:
    commands = [each["command"] for name, each in ours(services).items() if name != "migrate"]
    assert sorted(command[-1] for command in commands) == sorted(ROLES)
    assert all(command[:2] == ["run", "--roles"] for command in commands)


def test_every_service_of_ours_gets_settings_that_it_can_read(services: dict[str, Any]) -> None:
    for each in ours(services).values():
        settings = read_settings({name: str(value) for name, value in each["environment"].items()})
        assert settings.metrics_port == 9464
        assert settings.database_url
        assert settings.amqp_url


def test_the_administrators_address_is_for_migrate_alone(services: dict[str, Any]) -> None:
    knowing = [name for name, each in services.items() if "POSTGRES_PASSWORD" in str(each) or "_ADMIN_URL" in str(each)]
    assert sorted(knowing) == ["migrate", "postgres"]


def test_every_role_is_watched_and_has_the_time_to_stop(services: dict[str, Any]) -> None:
    for name, each in ours(services).items():
        if name == "migrate":
            assert each["healthcheck"]["test"] == ["NONE"]
            continue
        assert "127.0.0.1:9464/readyz" in each["healthcheck"]["test"][-1], name
        # The grace time, and handing back, closing connections and the last appends after it.
        assert seconds(each["stop_grace_period"]) >= Settings().shutdown_grace + 15, name


def test_api_and_workers_share_the_results_and_the_database_keeps_its_own(services: dict[str, Any]) -> None:
    for name in ours(services):
        own = ["tree:/var/lib/report-builder/tree:rw"] if name == "tree" else []
        assert services[name]["volumes"] == ["results:/var/lib/report-builder:rw", *own], name
    # Where PostgreSQL 18's image has its data below; before 18 it was one folder deeper.
    assert services["postgres"]["image"] == "postgres:18"
    assert services["postgres"]["volumes"] == ["postgres:/var/lib/postgresql:rw"]


def test_three_nodes_of_rabbitmq_make_a_cluster(services: dict[str, Any]) -> None:
    assert sorted(name for name in services if name.startswith("rabbitmq")) == NODES
    for name in NODES:
        node = services[name]
        assert node["hostname"] == name
        assert node["volumes"] == [f"{name}:/var/lib/rabbitmq:rw"]
        assert node["networks"]["default"]["aliases"] == ["rabbitmq"]
        script = node["command"][-1]
        assert re.findall(r"nodes\.\d = rabbit@(\w+)", script) == NODES
        # None may wait for another: a node that has met a cluster waits for a majority of it.
        assert "depends_on" not in node
    assert {services["worker"]["depends_on"][name]["condition"] for name in NODES} == {"service_healthy"}


def test_only_the_api_is_reached_from_outside_and_from_this_machine_alone(services: dict[str, Any]) -> None:
    published = {name: each["ports"] for name, each in services.items() if each.get("ports")}
    assert published == {"api": ["127.0.0.1:8080:8080/tcp"]}
