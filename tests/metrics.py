"""`/metrics` as a test reads it."""

from __future__ import annotations

import re

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")


class Scraped:
    """One answer of `/metrics`, in text format 0.0.4."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: dict[str, Metric] = {family.name: family for family in text_string_to_metric_families(text)}

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels; 0 where there are none."""
        samples = [sample for family in self.families.values() for sample in family.samples]
        return sum(
            sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()
        )

    def label_values(self) -> set[str]:
        """Every value of every label."""
        samples = [sample for family in self.families.values() for sample in family.samples]
        return {value for sample in samples for value in sample.labels.values()}
