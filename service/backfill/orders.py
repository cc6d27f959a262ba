"""What a worker needs to run a segment: the collection's configuration, and the request as AMC gets it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import msgspec

from db.pool import Pool
from events.envelope import RecordedEvent, stream_of
from events.reader import read_stream
from events.types.collection import CollectionCreated, PlannedSegment
from events.types.instance import InstanceAdded
from events.types.segment import SubmissionStarted
from service.amc.declared import amc_workflow
from service.amc.models import ExecutionRequest, Instance, Workflow
from service.data_collections.state import Collection, collection_of
from service.data_collections.windows import Window, amc_window

MAX_REMEMBERED = 1000


class Order(msgspec.Struct, frozen=True):
    """What a collection's segments run: the workflow, the instance and the account. `standing` is the collection as
    it was set to work."""

    account_id: str
    instance: Instance
    workflow: Workflow
    collection: CollectionCreated
    standing: Collection

    def standing_after(self, events: Iterable[RecordedEvent]) -> Collection:
        """The collection with what people have done to it since: the events after `standing.version`."""
        standing = self.standing
        for event in events:
            standing = standing.evolve(event)
        return standing

    def request(self, planned: PlannedSegment, timeout_seconds: int) -> ExecutionRequest:
        """The execution to ask AMC for. Raises ValueError for a day that the zone skipped: it has no hours."""
        window = amc_window(Window(planned.start, planned.end), self.collection.timezone)
        if window.empty:
            raise ValueError(f"the segment has no hours in {self.collection.timezone}: its days were skipped there")
        return ExecutionRequest(
            workflow_id=self.workflow.workflow_id,
            window_start=window.start,
            window_end=window.end,
            time_zone=window.time_zone,
            parameter_values=dict(self.collection.parameters),
            timeout_seconds=timeout_seconds,
        )


def request_of(intent: SubmissionStarted, timeout_seconds: int) -> ExecutionRequest:
    """The execution as an intent recorded it."""
    return ExecutionRequest(
        workflow_id=intent.amc_workflow_id,
        window_start=intent.window_start,
        window_end=intent.window_end,
        time_zone=intent.time_zone,
        parameter_values=dict(intent.parameter_values),
        timeout_seconds=timeout_seconds,
    )


class Orders:
    """Reads orders from the log and remembers them: what a segment runs never changes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[UUID, Order] = {}

    async def order(self, collection_id: UUID) -> Order:
        """The order of a collection. Raises LookupError where the log has none."""
        if (known := self._known.get(collection_id)) is not None:
            return known
        events = await read_stream(self._pool, stream_of("collection", collection_id))
        if not events or not isinstance(created := events[0].data, CollectionCreated):
            raise LookupError(f"the log has no collection {collection_id}")
        instance_events = await read_stream(self._pool, stream_of("instance", created.instance_id))
        if not instance_events or not isinstance(added := instance_events[0].data, InstanceAdded):
            raise LookupError(f"the log has no instance {created.instance_id}")
        order = Order(
            account_id=added.account_id,
            instance=Instance(
                instance_id=created.instance_id,
                advertiser_id=added.advertiser_id,
                marketplace_id=added.marketplace_id,
            ),
            workflow=amc_workflow(created.sql_query, created.declared_parameters),
            collection=created,
            standing=collection_of(events[:1]),
        )
        if len(self._known) >= MAX_REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[collection_id] = order
        return order
