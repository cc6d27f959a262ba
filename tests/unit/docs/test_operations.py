"""docs/operations.md and the alerts beside it name what is there: commands, metrics, codes, settings."""

from __future__ import annotations

import re
from typing import get_args

import click
import pytest
import yaml

from service.backfill.broker import Topology
from service.backfill.broker.topology import LogTopology
from service.cli import cli
from service.data_collections.progress import LimitReason
from service.problems import CATALOGUE
from service.settings import PREFIX, Settings
from tests.unit.docs.markdown import DOCS, rows, sections

TEXT = (DOCS / "operations.md").read_text("utf-8")
SECTIONS = sections(DOCS / "operations.md")
METRICS = {row[0].strip("`"): row for row in rows(SECTIONS["Metrics"])}
ALERTS = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((DOCS / "alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
}
SUFFIXES = ("_bucket", "_count", "_sum")


def exists(words: list[str]) -> bool:
    """Whether the words lead to a command of the program."""
    command: click.Command | None = cli
    for word in words:
        if not isinstance(command, click.Group):
            return True  # what follows are arguments
        command = command.get_command(click.Context(command), word)
        if command is None:
            return False
    return True


@pytest.mark.parametrize("words", sorted(set(re.findall(r"report-builder ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)", TEXT))))
def test_every_command_of_the_program_exists(words: str) -> None:
    assert exists(words.split())


def test_every_alert_that_is_named_exists_and_every_metric_in_one_too() -> None:
    named = {name for row in METRICS.values() for name in re.findall(r"`([A-Z][A-Za-z]+)`", row[4])}
    assert named <= set(ALERTS)
    # The one about Prometheus's own metric has no row.
    assert set(ALERTS) - named == {"ProcessGone"}
    for expression in ALERTS.values():
        for metric in re.findall(r"report_builder_(\w+)", expression):
            base = next((metric.removesuffix(suffix) for suffix in SUFFIXES if metric.endswith(suffix)), metric)
            assert base in METRICS, metric


def test_every_label_in_an_alert_is_one_of_its_metric() -> None:
    for expression in ALERTS.values():
        for metric, matchers in re.findall(r"report_builder_(\w+)\{([^}]*)\}", expression):
            labels = set(re.findall(r"(\w+)[=!]", matchers))
            assert labels <= {label.strip("` ") for label in METRICS[metric][2].split(",")}, metric


def test_alerts_that_troubleshooting_names_exist() -> None:
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z][A-Za-z]+)`", SECTIONS["Troubleshooting"])) - {
        "LogDamaged",
        "LogRewound",
        "UnknownEvent",
    }
    assert named <= set(ALERTS)


def test_settings_and_codes_and_queues_that_are_named_exist() -> None:
    settings = {field.upper() for field in Settings.__struct_fields__}
    named = set(re.findall(r"`(?:REPORT_BUILDER)?_([A-Z_]+)`", TEXT)) | set(re.findall(rf"\b{PREFIX}([A-Z_]+)\b", TEXT))
    assert named <= settings
    assert set(re.findall(r"errors\.md#(\w+)", TEXT)) <= set(CATALOGUE)
    queues = (*Topology().declarations(), LogTopology().queue)
    assert set(re.findall(r"`(report_builder\.[\w.]+)`", TEXT)) <= {queue.name for queue in queues}


def test_every_reason_that_limits_a_collection_has_its_remedy() -> None:
    (remedies,) = [row[2] for row in rows(SECTIONS["Troubleshooting"]) if "`limited_by`" in row[1]]
    assert set(get_args(LimitReason)) - {"cancelling"} <= set(re.findall(r"`(\w+)`", remedies))
