"""The same at ten million events, by `make bench-scale` alone, as it takes long: growth, the read models built again,
and admission with 1,000 instances and 100,000 collections."""

from __future__ import annotations

from tests.bench import admission_scale, growth, rebuild
from tests.bench.place import Outcome, Place

EVENTS = 10_000_000


async def run(place: Place) -> Outcome:
    lines = await growth.measure(place, (growth.SIZES[0], EVENTS))
    lines += await rebuild.at_scale(place, EVENTS)
    admission = await admission_scale.run(place)
    return Outcome(lines + admission.lines, admission.text, admission.figures)
