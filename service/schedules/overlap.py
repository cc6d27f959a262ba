"""What happens to a run that is due while an earlier one of its schedule is not done."""

from __future__ import annotations

from typing import Literal

OverlapPolicy = Literal["queue", "skip", "allow"]
Decision = Literal["start", "wait", "replace", "skip"]


def overlap(policy: OverlapPolicy, running: int, waiting: int) -> Decision:
    """What a run does when it is due, by the policy in force at that moment.

    `running` and `waiting` count the schedule's earlier runs that have started and are not done, and those
    that wait for them. At most one waits, and it is the newest: `replace` means that this run waits and the
    one that waited until now is coalesced into it. When a run ends, the waiting one goes before any other.
    """
    if policy == "allow" or running + waiting == 0:
        return "start"
    if policy == "skip":
        return "skip"
    return "replace" if waiting else "wait"


def may_start_waiting(policy: OverlapPolicy, running: int) -> bool:
    """Whether the waiting run starts now: nothing runs any more, or the policy has become `allow`.

    A change to `skip` does not drop it: it was accepted, and the change applies from the next run on.
    """
    return policy == "allow" or running == 0
