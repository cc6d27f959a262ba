"""What a scrape answers: the instruments of this process, and readings of what it shares with others.

A reading asks the database or the broker, and only when somebody scrapes. No scrape waits for it longer than
PATIENCE: where it takes longer the last one stands in, until it is STALE and says nothing any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from service.operations.metrics import PREFIX, REGISTRY

log = structlog.get_logger()

FRESH = 5.0
STALE = 30.0
PATIENCE = 1.0

Look = Callable[[], Awaitable[Sequence[Metric]]]
State = Callable[[], Iterable[Metric]]


def gauge(name: str, meaning: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]) -> Metric:
    """A gauge of ours with a value for each combination of labels."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", meaning, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, value)
    return family


class Scrape(Collector):
    """Everything that one program tells when it is scraped.

    What is known at once is added as a state, what must be asked for as a reading; each under the name of the part
    that it belongs to. Nothing may be added twice.
    """

    def __init__(self) -> None:
        self._states: list[State] = []
        self._readings: dict[str, _Reading] = {}

    def add_state(self, state: State) -> None:
        """`state` is called at every scrape; it must not wait for anything."""
        self._states.append(state)

    def add_reading(self, part: str, look: Look) -> None:
        """`look` is awaited when somebody scrapes, at most once in FRESH seconds."""
        assert part not in self._readings
        self._readings[part] = _Reading(part, look)

    async def encoded(self, accept: str) -> tuple[bytes, str]:
        """The answer and its media type: OpenMetrics where `accept` (the header) asks for it, else 0.0.4."""
        await asyncio.gather(*(reading.refresh() for reading in self._readings.values()))
        encode, media_type = choose_encoder(accept)
        return encode(self), media_type

    def collect(self) -> Iterator[Metric]:
        """All that is known now."""
        yield from REGISTRY.collect()
        for state in self._states:
            yield from state()
        for reading in self._readings.values():
            yield from reading.metrics
        up = [((part,), float(reading.up)) for part, reading in self._readings.items()]
        yield gauge("reading_up", "Whether what is asked for at a scrape could be had.", ["part"], up)


class _Reading:
    """The last answer of one part, and whether it still counts."""

    def __init__(self, part: str, look: Look) -> None:
        self._part = part
        self._look = look
        self._metrics: Sequence[Metric] = ()
        self._read_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self.up = False

    @property
    def metrics(self) -> Sequence[Metric]:
        return self._metrics if self._age() < STALE else ()

    async def refresh(self) -> None:
        """Looks again where the last answer is not fresh, and waits for it as long as a scrape may."""
        if self._looking is None and (not self.up or self._age() >= FRESH):
            self._looking = asyncio.create_task(self._read(), name=f"reading of {self._part}")
        if self._looking is not None:
            await asyncio.wait((self._looking,), timeout=PATIENCE)
            # One that is still being waited for is none.
            self.up = self.up and self._looking is None

    async def _read(self) -> None:
        try:
            self._metrics = await self._look()
            self._read_at = asyncio.get_running_loop().time()
            self.up = True
        except Exception as error:
            self.up = False
            log.warning("reading_failed", part=self._part, error=type(error).__name__)
        finally:
            self._looking = None

    def _age(self) -> float:
        return asyncio.get_running_loop().time() - self._read_at
