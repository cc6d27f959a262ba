"""What the role tree tells when somebody scrapes."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Metric

from db.pool import Pool
from events.reader import read_head
from service.operations.scrape import Look, gauge
from service.tree.heads import read_newest_size
from service.tree.places import HeadCarrier
from service.tree.signer import TreeSigner


def tree_reading(pool: Pool, signer: TreeSigner, carriers: Sequence[HeadCarrier]) -> Look:
    """How far the log is signed, and whether signing and taking heads outside work."""

    async def look() -> Sequence[Metric]:
        signed = await read_newest_size(pool) or 0
        unsigned = max(await read_head(pool) - signed, 0)
        places = [((carrier.kind,), float(carrier.problem is None)) for carrier in carriers]
        return (
            gauge("tree_signed_events", "Events that the last tree head covers.", (), [((), signed)]),
            gauge("tree_unsigned_events", "Events that no tree head covers yet.", (), [((), unsigned)]),
            gauge(
                "tree_refused", "Whether this process refuses to sign.", (), [((), float(signer.refused is not None))]
            ),
            gauge("tree_place_up", "Whether tree heads arrive at a place.", ["place"], places),
        )

    return look
