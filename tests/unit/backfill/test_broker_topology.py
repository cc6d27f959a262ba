"""The declared queues: what RabbitMQ 3.10 and 4.x both take, and waits that do not stand in each other's way."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from aio_pika import ExchangeType

from service.backfill.broker import DELAYS, DELIVERY_LIMIT, create_broker
from service.backfill.broker.amqp import AmqpBroker
from service.backfill.broker.memory import MemoryBroker
from service.backfill.broker.port import lane_shares, lane_slots, wait_class
from service.backfill.broker.topology import (
    LogTopology,
    QueueDeclaration,
    Topology,
    declare,
    declare_log,
    delay_name,
)

# Each of these is known to 3.10 and to 4.3 for quorum queues, and means the same. Not among them, since RabbitMQ 4
# refuses, ignores or changed it: x-max-priority, x-ha-* and what else mirrored classic queues, x-queue-mode,
# x-queue-master-locator, x-expires and x-single-active-consumer by policy.
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
GOOD = {"x-queue-type": "quorum", "x-delivery-limit": 10}


def faults_of_queue(arguments: dict[str, Any], **options: Any) -> list[str]:
    """What RabbitMQ 4 removed or changed, or 3.10 refuses, in a declaration of a queue."""
    faults = [f"{name} is not for all versions" for name in arguments if name not in KNOWN_TO_ALL]
    if arguments.get("x-queue-type") != "quorum":
        faults.append("not a quorum queue: mirrored classic queues are gone, and others lose messages with their node")
    if options.get("durable") is not True:
        faults.append("transient: refused by RabbitMQ 4.3 where not exclusive")
    faults += [f"{name}: gone with its connection" for name in ("exclusive", "auto_delete") if options.get(name)]
    limit = arguments.get("x-delivery-limit")
    if not isinstance(limit, int) or limit < 1:
        faults.append("no delivery limit of its own: 4.x gives it 20, 3.10 none, and refuses -1 for none")
    if arguments.get("x-dead-letter-strategy") == "at-least-once" and arguments.get("x-overflow") != "reject-publish":
        faults.append("at-least-once is ignored without reject-publish")
    return faults


async def test_every_queue_is_declared_so_that_every_version_takes_it() -> None:
    channel = Mock()
    channel.declare_queue = AsyncMock()
    channel.declare_queue.return_value.declaration_result = Mock(message_count=0, consumer_count=0)
    await declare(channel, Topology(), 1)
    declared = {call.args[0]: call.kwargs for call in channel.declare_queue.await_args_list}
    assert declared.keys() == {queue.name for queue in QUEUES}
    assert {name: faults for name, options in declared.items() if (faults := faults_of_queue(**options))} == {}
    assert [call[0] for call in channel.mock_calls if not call[0].startswith("declare_queue")] == []  # no exchange


# The same for stream queues. Not among them: x-initial-cluster-size and x-queue-leader-locator, which are the
# operator's, and what a stream has no meaning for, such as a delivery limit or a message's time to live.
KNOWN_OF_STREAMS = {"x-queue-type", "x-max-age", "x-max-length-bytes", "x-stream-max-segment-size-bytes"}


async def test_exchange_and_stream_queue_of_the_log_are_declared_so_that_every_version_takes_them() -> None:
    channel = AsyncMock()
    await declare_log(channel, LogTopology("mine", days=7, size=10_000_000), 1)
    [exchange], [queue] = channel.declare_exchange.await_args_list, channel.declare_queue.await_args_list
    assert (exchange.args, exchange.kwargs["durable"]) == (("mine.events", ExchangeType.TOPIC), True)
    assert (queue.args, queue.kwargs["durable"]) == (("mine.log",), True)
    arguments = queue.kwargs["arguments"]
    assert arguments.keys() <= KNOWN_OF_STREAMS
    assert (arguments["x-queue-type"], arguments["x-max-age"]) == ("stream", "7D")
    assert 0 < arguments["x-stream-max-segment-size-bytes"] < arguments["x-max-length-bytes"] == 10_000_000
    [bound] = channel.declare_queue.return_value.bind.await_args_list
    assert bound.args[1] == "#"


@pytest.mark.parametrize(
    ("arguments", "options", "fault"),
    [
        (GOOD | {"x-max-priority": 5}, {}, "x-max-priority"),
        (GOOD | {"x-ha-policy": "all"}, {}, "x-ha-policy"),
        (GOOD | {"x-queue-mode": "lazy"}, {}, "x-queue-mode"),
        (GOOD | {"x-queue-master-locator": "min-masters"}, {}, "x-queue-master-locator"),
        (GOOD | {"x-queue-type": "classic"}, {}, "quorum"),
        ({"x-delivery-limit": 10}, {}, "quorum"),
        (GOOD, {"durable": False}, "transient"),
        (GOOD, {"exclusive": True}, "exclusive"),
        (GOOD, {"auto_delete": True}, "auto_delete"),
        ({"x-queue-type": "quorum"}, {}, "delivery limit"),
        (GOOD | {"x-delivery-limit": -1}, {}, "delivery limit"),
        (GOOD | {"x-dead-letter-strategy": "at-least-once"}, {}, "reject-publish"),
    ],
)
def test_what_some_version_refuses_or_ignores_is_found(arguments: dict[str, Any], options: Any, fault: str) -> None:
    [found] = faults_of_queue(arguments, **{"durable": True, **options})
    assert fault in found


# What may be asked of RabbitMQ through the library, by the name of the call: only there, and only so.
def faults_of_code(source: str, *, topology: bool = False) -> list[str]:
    """What RabbitMQ 4 removed or changed, in the calls that a module makes; `topology`: it is the one for queues."""
    faults = []
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        options = {each.arg: each.value for each in call.keywords}
        said = {key: value.value for key, value in options.items() if isinstance(value, ast.Constant)}
        if name in ("declare_queue", "queue_declare") and not topology:
            faults.append(f"{name}: queues are declared in topology.py alone")
        if name == "set_policy" or (
            name in ("declare_exchange", "exchange_declare", "bind", "queue_bind") and not topology
        ):
            faults.append(f"{name}: the log's exchange is declared in topology.py, and policies are the operator's")
        if name in ("set_qos", "basic_qos") and said.get("global_") is not False:
            faults.append(f"{name} must say global_=False: a prefetch of a whole channel is gone in RabbitMQ 4")
        if name == "Message":
            faults += [f"{key} of a message" for key in ("expiration", "priority") if key in options]
            if "DeliveryMode.PERSISTENT" not in ast.unparse(options.get("delivery_mode", ast.Constant(None))):
                faults.append("a message that is not persistent")
        if name == "connect_robust":
            faults.append("connect_robust hides that it is away")
        if name == "publish" and "routing_key" in options and said.get("mandatory") is not True:
            faults.append("a publish that is not mandatory is lost without a word")
        confirms, returns = said.get("publisher_confirms"), said.get("on_return_raises")
        if name == "channel" and confirms is not False and not (confirms is True and returns is True):
            faults.append("a channel to publish on must have confirms and raise returns")
    return faults


def test_the_code_asks_nothing_of_rabbitmq_that_version_4_removed() -> None:
    folder = Path(inspect.getfile(Topology)).parent
    modules = sorted((folder.parents[1]).rglob("*.py"))
    assert folder / "topology.py" in modules
    using = {path for path in modules if re.search("aio_pika|aiormq", path.read_text())}
    assert {path.parent for path in using} == {folder}, "RabbitMQ is spoken to in one package"
    faults = {path.name: faults_of_code(path.read_text(), topology=path.name == "topology.py") for path in using}
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("await channel.declare_queue('mine')", "topology.py alone"),
        ("await channel.declare_exchange('events')", "log's exchange"),
        ("await channel.set_qos(prefetch_count=1, global_=True)", "global_=False"),
        ("await channel.set_qos(1)", "global_=False"),
        ("Message(body, delivery_mode=DeliveryMode.PERSISTENT, expiration=5)", "expiration"),
        ("Message(body, delivery_mode=DeliveryMode.PERSISTENT, priority=5)", "priority"),
        ("Message(body)", "not persistent"),
        ("await aio_pika.connect_robust(url)", "connect_robust"),
        ("await exchange.publish(message, routing_key=queue)", "not mandatory"),
        ("await exchange.publish(message, routing_key=queue, mandatory=False)", "not mandatory"),
        ("await connection.channel()", "raise returns"),
        ("await connection.channel(publisher_confirms=True)", "raise returns"),
    ],
)
def test_such_a_call_is_found(source: str, fault: str) -> None:
    [found] = faults_of_code(source)
    assert fault in found


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
