"""Epochs of the log. A restore to an earlier state takes positions back that readers may have seen, and gives them
again to other events: what goes on from there is another epoch, which an event begins."""

from __future__ import annotations

from collections.abc import Sequence

from db.pool import Connection, Pool
from events.envelope import RecordedEvent, stream_of
from events.reader import read_stream
from events.types.log import EpochBegun

EPOCHS_STREAM = stream_of("log", "epochs")
FIRST = 1


class Epochs:
    """Those of one log, from the events that began them, in order."""

    def __init__(self, begun: Sequence[RecordedEvent] = ()) -> None:
        self.begun = tuple(begun)

    @property
    def current(self) -> int:
        """The epoch at the log's end."""
        return begun_by(self.begun[-1]).epoch if self.begun else FIRST

    def at(self, position: int) -> int:
        """The epoch of the event at a position; an event that begins one is its first."""
        for event in reversed(self.begun):
            if event.position <= position:
                return begun_by(event).epoch
        return FIRST

    def kept_since(self, epoch: int) -> int | None:
        """The last position up to which the log is shown to be what it was in that epoch; null where no later epoch
        took anything back."""
        return min((begun_by(event).proven_size for event in self.begun if begun_by(event).epoch > epoch), default=None)


def begun_by(event: RecordedEvent) -> EpochBegun:
    """What the event of the epochs' stream says."""
    assert isinstance(event.data, EpochBegun)
    return event.data


async def read_epochs(connection: Connection | Pool) -> Epochs:
    """The epochs as the log has them now."""
    return Epochs(await read_stream(connection, EPOCHS_STREAM))
