"""What a test must know of the sandbox: duplicates, executions at once, requests and refusals."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable

from service.amc.sandbox.executions import Execution


class Stats:
    """Counts what happens; executions themselves are counted from the executions."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.throttled = 0
        self.dropped = 0
        self.tokens_issued = 0
        self.downloads = 0
        self.busiest_second = 0
        self._lately: deque[float] = deque()
        self._active: Counter[str] = Counter()
        self._seen: dict[str, int] = {}

    def requested(self, route: str) -> None:
        """A request to the API has come."""
        self.requests[route] += 1
        now = time.monotonic()
        self._lately.append(now)
        while self._lately[0] <= now - 1:
            self._lately.popleft()
        self.busiest_second = max(self.busiest_second, len(self._lately))

    def began(self, execution: Execution) -> None:
        """An execution is PENDING from now on."""
        for scope in _scopes(execution):
            self._active[scope] += 1
            self._seen[scope] = max(self._seen.get(scope, 0), self._active[scope])

    def ended(self, execution: Execution) -> None:
        """An execution that began has come to its end."""
        for scope in _scopes(execution):
            self._active[scope] -= 1

    def active_of(self, instance_id: str) -> int:
        """Executions of an instance that are PENDING or RUNNING now."""
        return self._active[f"instance {instance_id}"]

    def report(self, executions: Iterable[Execution]) -> dict[str, object]:
        """The answer of `GET /sandbox/stats`."""
        every = list(executions)
        identities = Counter(execution.identity() for execution in every)
        good = Counter(execution.identity() for execution in every if execution.status == "SUCCEEDED")
        return {
            "created": len(every),
            "duplicates": sum(count - 1 for count in identities.values()),
            "duplicate_successes": sum(count - 1 for count in good.values()),
            "by_status": Counter(execution.status for execution in every),
            "by_workflow": Counter(execution.workflow_id for execution in every),
            "by_window": [
                {
                    "instance_id": identity[0],
                    "workflow_id": identity[1],
                    "window_start": identity[2],
                    "window_end": identity[3],
                    "time_zone": identity[4],
                    "parameter_values": identity[5],
                    "created": count,
                }
                for identity, count in identities.items()
            ],
            "pending": sum(execution.status == "PENDING" for execution in every),
            "running": sum(execution.status == "RUNNING" for execution in every),
            "max_concurrent_seen": {
                "overall": self._seen.get("overall", 0),
                "by_instance": self._scoped("instance "),
                "by_workflow": self._scoped("workflow "),
            },
            "requests": self.requests,
            "busiest_second": self.busiest_second,
            "answers": self.answers,
            "throttled": self.throttled,
            "dropped": self.dropped,
            "tokens_issued": self.tokens_issued,
            "downloads": self.downloads,
        }

    def _scoped(self, prefix: str) -> dict[str, int]:
        return {scope.removeprefix(prefix): most for scope, most in self._seen.items() if scope.startswith(prefix)}


def _scopes(execution: Execution) -> tuple[str, str, str]:
    return "overall", f"instance {execution.instance_id}", f"workflow {execution.workflow_id}"
