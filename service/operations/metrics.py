"""What this process counts and times, for Prometheus: instruments, and a function for each thing that happens.

One registry for the process, as Prometheus means it. Labels come from short fixed lists: operations, codes, route
templates, event types; never an id, a name or anything that a caller or Amazon has sent. On the hot paths the
label's child is kept, as looking it up costs more than counting. docs/operations.md has each metric's meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

PREFIX = "report_builder"

disable_created_metrics()  # type: ignore[no-untyped-call]  # when a series began: one more of each, which says little
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
_build = Info("build", "The release that runs.", namespace=PREFIX, registry=REGISTRY)
_build.info({"version": version("report-builder")})

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
LATE = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

ENDS = {
    "segment.completed": "completed",
    "segment.failed": "failed",
    "segment.cancelled": "cancelled",
    "segment.retry_scheduled": "retried",
    "segment.released": "released",
}
"""The events that end a segment's attempt, and what the outcome is called."""


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(name, meaning, labels, namespace=PREFIX, registry=REGISTRY)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, meaning, labels, namespace=PREFIX, registry=REGISTRY, buckets=buckets)


_events = _counter("events_appended", "Events that this process's writer has recorded.", "type")
_commits = _histogram("append_commit_seconds", "One commit of the writer, from sending to the verdicts.", QUICK)
_batches = _histogram("append_batch_requests", "Requests in one commit of the writer.", SIZES)
_ended = _counter("segments_ended", "Attempts at segments that have come to an end.", "outcome")
_dispatched = _counter("segments_dispatched", "Segments given to workers.", "reason")
_admission = _histogram("admission_round_seconds", "One round of admission.", QUICK)
_steps = _histogram("step_seconds", "One worker's step of a segment.", SLOW, "step")
_amc_requests = _counter("amc_requests", "Requests to Amazon.", "operation", "status", "outcome")
_amc_seconds = _histogram("amc_request_seconds", "One request to Amazon, without waits for rates.", SLOW, "operation")
_http_requests = _counter("http_requests", "Requests answered.", "method", "route", "status")
_http_seconds = _histogram("http_request_seconds", "Until an answer begins.", QUICK, "method", "route")
_streams = Gauge("event_streams_open", "Live event streams open now.", namespace=PREFIX, registry=REGISTRY)
_published = _counter("events_published", "Events that RabbitMQ has confirmed to this process.")
_lateness = _histogram("schedule_lateness_seconds", "From a schedule's next run being due to its decision.", LATE)

_event_of = cache(_events.labels)
_ended_of = cache(_ended.labels)
_step_of = cache(_steps.labels)
_amc_request_of = cache(_amc_requests.labels)
_amc_seconds_of = cache(_amc_seconds.labels)
_http_request_of = cache(_http_requests.labels)
_http_seconds_of = cache(_http_seconds.labels)


def committed(requests: int, seconds: float, event_types: Iterable[str]) -> None:
    """One commit of the writer: its requests, and the types of the events that are new by it."""
    _commits.observe(seconds)
    _batches.observe(requests)
    counts: dict[str, int] = {}
    for kind in event_types:
        counts[kind] = counts.get(kind, 0) + 1
    for kind, count in counts.items():
        _event_of(kind).inc(count)
        if kind in ENDS:
            _ended_of(ENDS[kind]).inc(count)


def dispatched(reason: str, segments: int) -> None:
    """Segments that admission gave to workers: `admitted`, or again as their lease had ended: `lease_expired`."""
    _dispatched.labels(reason).inc(segments)


def admission_round_ended(seconds: float) -> None:
    """One round of admission has ended."""
    _admission.observe(seconds)


@contextmanager
def step_timed(step: str) -> Iterator[None]:
    """Times a worker's step, however it ends."""
    begun = perf_counter()
    try:
        yield
    finally:
        _step_of(step).observe(perf_counter() - begun)


def amc_answered(operation: str, seconds: float, status: int | None, outcome: str) -> None:
    """One request to Amazon: its HTTP status, if any came, and `ok` or the error's code."""
    _amc_request_of(operation, f"{status // 100}xx" if status else "none", outcome).inc()
    _amc_seconds_of(operation).observe(seconds)


def http_answered(method: str, route: str, status: int, seconds: float) -> None:
    """One request of the API: its route's template, and the seconds until its answer began."""
    _http_request_of(method, route, str(status)).inc()
    _http_seconds_of(method, route).observe(seconds)


@contextmanager
def stream_open() -> Iterator[None]:
    """Counts a live event stream while it is open."""
    with _streams.track_inprogress():
        yield


def published(events: int) -> None:
    """So many events were confirmed by RabbitMQ."""
    _published.inc(events)


def schedule_decided(late: float) -> None:
    """A schedule whose next run had come due so many seconds before was decided."""
    _lateness.observe(late)
