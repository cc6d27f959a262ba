"""Instances as their events have made them, for whoever may use them. Pure, but for the two that load."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from db.pool import Pool
from events.envelope import RecordedEvent, stream_of
from events.reader import read_stream
from events.types import instance
from events.types.instance import InstanceAdded
from service.footing import Kind


class OwnedInstance(msgspec.Struct, frozen=True, kw_only=True):
    """An instance, its owner, and the teams that it was granted to; `version` is its stream's, 0 where there is
    none. `current` is what `instance.added` would say of it now."""

    version: int = 0
    team_id: str = ""
    current: InstanceAdded | None = None
    granted_to: frozenset[str] = frozenset()

    def lets(self, team_id: str) -> bool:
        """Whether the team may see it and run on it."""
        return self.current is not None and (team_id == self.team_id or team_id in self.granted_to)

    def evolve(self, event: RecordedEvent) -> OwnedInstance:
        """The instance after one more event."""
        current, granted_to = self.current, self.granted_to
        match data := event.data:
            case InstanceAdded():
                current = data
            case instance.InstanceChanged():
                assert current is not None
                current = msgspec.structs.replace(current, **msgspec.structs.asdict(data))
            case instance.InstanceGranted():
                granted_to |= {data.team_id}
            case instance.InstanceGrantRevoked():
                granted_to -= {data.team_id}
        return OwnedInstance(
            version=event.stream_version,
            team_id=self.team_id or event.team_id,
            current=current,
            granted_to=granted_to,
        )


def instance_of(events: Iterable[RecordedEvent]) -> OwnedInstance:
    """The instance that a stream's events have made."""
    state = OwnedInstance()
    for event in events:
        state = state.evolve(event)
    return state


INSTANCES: Kind[OwnedInstance] = Kind("instance", lambda state, event: (state or OwnedInstance()).evolve(event))


async def load_owned(pool: Pool, instance_id: str) -> OwnedInstance:
    """The instance as the log has it now, whoever's it is."""
    return instance_of(await read_stream(pool, stream_of("instance", instance_id)))


async def load_instance(pool: Pool, instance_id: str, team_id: str) -> InstanceAdded | None:
    """The instance with all later changes, where the team owns it or was granted it; None where not."""
    owned = await load_owned(pool, instance_id)
    return owned.current if owned.lets(team_id) else None
