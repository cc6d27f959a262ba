"""Readers of the log and its epochs: who has seen what a restore took back must not go on as if nothing had been."""

from __future__ import annotations

from db.pool import Pool
from events.feed import Feed
from events.reader import read_head
from service.problems import Refused


class ReaderGuard:
    """Lets readers in at a position of an epoch."""

    def __init__(self, pool: Pool, feed: Feed) -> None:
        self._pool = pool
        self._feed = feed

    async def admit(self, after: int, epoch: int | None) -> int:
        """The log's epoch, for a reader who has come to `after` in `epoch`, null where they do not say.

        Refuses with `log_rewound` one of another epoch, or who is beyond the log's end.
        """
        epochs = self._feed.epochs
        # The feed may be a moment behind the table; whoever has just written is not beyond it.
        end = self._feed.head if after <= self._feed.head else await read_head(self._pool)
        if after <= end and epoch in (None, epochs.current):
            return epochs.current
        if after > end:
            found = f"the log ends at position {end}, before {after}"
        else:
            found = f"the log is in epoch {epochs.current}, not {epoch}"
        kept = epochs.kept_since(epoch or 1)
        kept = min(end if kept is None else kept, end)
        raise Refused(
            "log_rewound",
            f"{found}: it was restored to an earlier state. Forget what you have of positions after {kept}, and read on"
            f" with after={min(kept, after)}&epoch={epochs.current}",
            extra={"epoch": epochs.current, "head": end, "kept": kept},
        )
