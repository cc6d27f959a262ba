"""The declared queues: what RabbitMQ 3.10 and 4.x both take, and waits that do not stand in each other's way."""

from __future__ import annotations

import pytest

from service.backfill.broker import DELAYS, DELIVERY_LIMIT, create_broker
from service.backfill.broker.amqp import AmqpBroker
from service.backfill.broker.memory import MemoryBroker
from service.backfill.broker.port import lane_shares, lane_slots, wait_class
from service.backfill.broker.topology import QueueDeclaration, Topology, delay_name

# Each of these is known to 3.10 and to 4.3 for quorum queues. Not among them, since 4.x refuses or ignores it:
# x-max-priority, x-ha-*, x-queue-mode, x-queue-master-locator, x-single-active-consumer by policy.
KNOWN_TO_ALL = {
    "x-queue-type",
    "x-delivery-limit",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-overflow",
    "x-message-ttl",
}
QUEUES = Topology().declarations()


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_a_queue_is_a_quorum_queue_with_arguments_that_every_version_takes(queue: QueueDeclaration) -> None:
    assert queue.arguments["x-queue-type"] == "quorum"
    assert set(queue.arguments) <= KNOWN_TO_ALL
    # 3.10 refuses "-1, no limit"; 4.x has a limit of 20 where none is given.
    limit = queue.arguments.get("x-delivery-limit")
    assert limit is None or (isinstance(limit, int) and limit > 0)


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_a_queue_that_dead_letters_does_so_at_least_once_into_a_declared_queue(queue: QueueDeclaration) -> None:
    if queue.name == "report_builder.dead":
        assert "x-dead-letter-exchange" not in queue.arguments
        return
    assert queue.arguments["x-dead-letter-strategy"] == "at-least-once"
    assert queue.arguments["x-overflow"] == "reject-publish"  # at-least-once is ignored without it
    names = [each.name for each in QUEUES]
    target = str(queue.arguments["x-dead-letter-routing-key"])
    assert names.index(target) < names.index(queue.name)


def test_work_queues_carry_the_delivery_limit_and_reading_never_uses_up_a_dead_letter() -> None:
    limits = {queue.name: queue.arguments.get("x-delivery-limit") for queue in QUEUES}
    assert limits["report_builder.work.interactive"] == DELIVERY_LIMIT
    assert limits["report_builder.work.bulk"] == DELIVERY_LIMIT
    assert limits["report_builder.dead"] == 1_000_000_000


def test_each_lane_has_one_wait_queue_for_each_delay_named_after_it() -> None:
    waits = {queue.name: queue.arguments["x-message-ttl"] for queue in QUEUES if ".wait." in queue.name}
    assert len(waits) == 2 * len(DELAYS)
    assert waits["report_builder.wait.interactive.100ms"] == 100
    assert waits["report_builder.wait.bulk.5s"] == 5_000
    assert waits["report_builder.wait.bulk.900s"] == 900_000


def test_a_prefix_separates_installations() -> None:
    ours = {queue.name for queue in QUEUES}
    assert not ours & {queue.name for queue in Topology("other").declarations()}


@pytest.mark.parametrize(
    ("delay", "expected"),
    [(-1, None), (0, None), (0.01, 0.1), (0.1, 0.1), (0.11, 0.5), (2, 2), (2.1, 5), (61, 300), (86_400, 900)],
)
def test_a_delay_is_rounded_up_to_a_wait_class_and_at_most_to_the_longest(delay: float, expected: float | None) -> None:
    assert wait_class(delay) == expected


@pytest.mark.parametrize(("delay", "name"), [(0.1, "100ms"), (0.5, "500ms"), (1.0, "1s"), (900.0, "900s")])
def test_a_delay_is_readable_in_the_name(delay: float, name: str) -> None:
    assert delay_name(delay) == name


@pytest.mark.parametrize(("concurrency", "interactive", "bulk"), [(2, 1, 1), (4, 1, 3), (16, 4, 12)])
def test_a_quarter_of_the_concurrency_is_kept_for_interactive_work(
    concurrency: int, interactive: int, bulk: int
) -> None:
    assert lane_shares(concurrency) == {"interactive": interactive, "bulk": bulk}


def test_a_concurrency_of_one_is_shared_by_the_lanes() -> None:
    slots = lane_slots(1)
    assert slots["interactive"] is slots["bulk"]
    with pytest.raises(ValueError, match="at least 1"):
        lane_slots(0)


async def test_without_a_url_the_broker_is_in_memory() -> None:
    assert isinstance(create_broker(None), MemoryBroker)
    broker = create_broker("amqp://guest:guest@127.0.0.1:1/")
    assert isinstance(broker, AmqpBroker)
    assert not broker.healthy
