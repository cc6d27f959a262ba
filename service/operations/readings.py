"""The readings and states of each part: what it says of itself when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import Metric

from db.pool import Pool
from events.feed import Feed
from events.rounds import Rounds
from events.writer import AppendWriter
from service.backfill.broker import Broker
from service.backfill.broker.port import Consumption
from service.clock import Clock
from service.operations.scrape import Look, State, gauge

LOG = """
SELECT projection, position,
       CASE WHEN stopped_at > position THEN stopped_at ELSE 0 END AS stopped_at,
       CASE WHEN stopped_at > position THEN split_part(stopped_by, ':', 1) ELSE 'none' END AS stopped_by,
       coalesce((SELECT a.position FROM report_builder_audit a ORDER BY a.position DESC LIMIT 1), 0) AS head
  FROM projection_checkpoints
"""
SLOTS = """
SELECT i.instance_id, i.max_concurrent, l.lane, count(l.segment_id) AS leases,
       count(l.segment_id) FILTER (WHERE l.holds_slot) AS slots
  FROM amc_instances i
  LEFT JOIN segment_leases l ON l.instance_id = i.instance_id
 GROUP BY i.instance_id, i.max_concurrent, l.lane
"""
OVERDUE_LEASE = """
SELECT greatest(extract(epoch FROM clock_timestamp() - min(lease_until)), 0)::float8 FROM segment_leases
"""
OPEN_SEGMENTS = """
SELECT instance_id, lane, sum(segments_total - segments_completed - segments_failed - segments_cancelled) AS open
  FROM report_data_collections
 WHERE finished_at IS NULL
 GROUP BY instance_id, lane
"""
PUBLISHER = """
SELECT position, greatest(extract(epoch FROM clock_timestamp() - held_until), 0)::float8 AS gone,
       coalesce((SELECT max(a.position) FROM report_builder_audit a), 0) AS head
  FROM subscriptions WHERE subscriber = 'amqp'
"""
NEXT_DUE = "SELECT min(next_run_at) FROM workflow_schedules WHERE status = 'active'"


def log_reading(pool: Pool, feed: Feed | None) -> Look:
    """Where the log ends, and how far behind it the read models and this process are; `feed` is null where nothing
    in it follows the log."""

    async def look() -> Sequence[Metric]:
        rows = await pool.fetch(LOG)
        head = max((row["head"] for row in rows), default=0)
        behind = [((row["projection"],), max(head - row["position"], 0)) for row in rows]
        stopped = [((row["projection"], row["stopped_by"]), row["stopped_at"]) for row in rows]
        told = [
            gauge("log_position", "The last position of the log.", (), [((), head)]),
            gauge("projection_lag_events", "Events that are not applied yet.", ["projection"], behind),
            gauge(
                "projection_stopped_position",
                "The event before which it stands, 0 where it goes on.",
                ["projection", "error"],
                stopped,
            ),
        ]
        if feed is not None:
            unseen = max(head - feed.head, 0)
            told.append(gauge("feed_lag_events", "Events that this process has not seen.", (), [((), unseen)]))
        return told

    return look


def slots_reading(pool: Pool) -> Look:
    """Leases, slots and what they are for, by AMC instance and lane."""

    async def look() -> Sequence[Metric]:
        rows = await pool.fetch(SLOTS)
        held = [row for row in rows if row["lane"] is not None]
        limits = {row["instance_id"]: row["max_concurrent"] for row in rows}
        overdue = await pool.fetchval(OVERDUE_LEASE)
        still_open = await pool.fetch(OPEN_SEGMENTS)
        by_lane = ["amc_instance", "lane"]
        return (
            gauge(
                "segment_leases",
                "Segments at work.",
                by_lane,
                [((row["instance_id"], row["lane"]), row["leases"]) for row in held],
            ),
            gauge(
                "segment_slots_in_use",
                "Executions that may be running at AMC.",
                by_lane,
                [((row["instance_id"], row["lane"]), row["slots"]) for row in held],
            ),
            gauge(
                "segment_slots_limit",
                "Executions that may run at once.",
                ["amc_instance"],
                [((instance,), limit) for instance, limit in limits.items()],
            ),
            gauge("segment_lease_overdue_seconds", "Since the oldest lease ended.", (), [((), overdue or 0.0)]),
            gauge(
                "segments_open",
                "Segments of unfinished collections that are not done.",
                by_lane,
                [((row["instance_id"], row["lane"]), float(row["open"])) for row in still_open],
            ),
        )

    return look


PACES = """
SELECT p.account_id, amc_rate(p, coalesce(a.requests_per_second, $1), clock_timestamp()) AS rate
  FROM amc_paces p LEFT JOIN amc_account_states a USING (account_id)
"""
FAILING = """
SELECT instance_id, failures, greatest(extract(epoch FROM open_until - clock_timestamp()), 0)::float8 AS resting
  FROM amc_breakers
"""


def amc_reading(pool: Pool, most: float) -> Look:
    """How fast each account may call Amazon now, `most` calls per second where it has no rate of its own, and the
    instances on which AMC fails."""

    async def look() -> Sequence[Metric]:
        paces = await pool.fetch(PACES, most)
        failing = await pool.fetch(FAILING)
        instance = ["amc_instance"]
        return (
            gauge(
                "amc_rate",
                "Calls per second that Amazon lets pass.",
                ["account"],
                [((row["account_id"],), row["rate"]) for row in paces],
            ),
            gauge(
                "amc_instance_failures",
                "Calls in a row that AMC has failed.",
                instance,
                [((row["instance_id"],), row["failures"]) for row in failing],
            ),
            gauge(
                "amc_instance_resting_seconds",
                "Until AMC is tried again.",
                instance,
                [((row["instance_id"],), row["resting"] or 0.0) for row in failing],
            ),
        )

    return look


def queues_reading(broker: Broker) -> Look:
    """How many messages wait in each queue."""

    async def look() -> Sequence[Metric]:
        depths = await broker.depths()
        return (
            gauge(
                "queue_messages",
                "Messages ready in a queue.",
                ["kind", "queue"],
                [((_kind(name), name), depth) for name, depth in depths.items()],
            ),
        )

    return look


def _kind(queue: str) -> str:
    """`work`, `wait` or `dead`: the first word behind the prefix, in which no dot may be."""
    return queue.split(".")[1]


def publisher_reading(pool: Pool) -> Look:
    """How far the log is sent to RabbitMQ, and for how long no process has been sending it."""

    async def look() -> Sequence[Metric]:
        rows = await pool.fetch(PUBLISHER)
        behind = [((), max(row["head"] - row["position"], 0)) for row in rows]
        gone = [((), row["gone"]) for row in rows]
        return (
            gauge("publisher_lag_events", "Events that RabbitMQ has not confirmed.", (), behind),
            gauge("publisher_gone_seconds", "How long no process has been sending the log.", (), gone),
        )

    return look


def schedules_reading(pool: Pool, clock: Clock) -> Look:
    """How long the run that is due longest has been waiting to be decided."""

    async def look() -> Sequence[Metric]:
        due = await pool.fetchval(NEXT_DUE)
        overdue = 0.0 if due is None else max((clock.now() - due).total_seconds(), 0.0)
        return (gauge("schedule_overdue_seconds", "Since the oldest undecided run came due.", (), [((), overdue)]),)

    return look


def process_state(
    pool: Pool,
    writer: AppendWriter,
    broker: Broker | None,
    consumption: Consumption | None,
    rounds: Mapping[str, Rounds],
) -> State:
    """What this process holds and does now. `rounds` are those of its roles, by name."""

    def look() -> Iterable[Metric]:
        idle = pool.get_idle_size()
        used = [(("idle",), float(idle)), (("used",), float(pool.get_size() - idle))]
        yield gauge("database_connections", "Connections of this process.", ["state"], used)
        yield gauge("database_connections_limit", "How many there may be.", (), [((), pool.get_max_size())])
        yield gauge("append_queue_requests", "Requests that wait for a commit.", (), [((), writer.waiting)])
        unfinished = [((name,), each.unfinished) for name, each in rounds.items()]
        yield gauge("role_unfinished_seconds", "How long a role's round has not ended.", ["role"], unfinished)
        if broker is not None:
            yield gauge("broker_up", "Whether publishing and consuming work.", (), [((), float(broker.healthy))])
        if consumption is not None:
            yield gauge("deliveries_in_progress", "Deliveries at work.", (), [((), consumption.in_progress)])

    return look
