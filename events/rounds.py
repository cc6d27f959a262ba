"""The rounds of something that works again and again, for those who watch it and those who stop it."""

from __future__ import annotations

import asyncio


class Rounds:
    """Told by its owner where each round begins and ends; a round that fails is followed by another beginning."""

    def __init__(self) -> None:
        self.unfinished_since: float | None = None
        """When the round under way began, or the first one since a round has ended; None between rounds. The
        loop's time."""
        self.stopping = False
        """Whether the owner is to return where it is between two rounds."""

    def begin(self) -> None:
        """A round begins."""
        if self.unfinished_since is None:
            self.unfinished_since = asyncio.get_running_loop().time()

    def end(self) -> float:
        """A round has done all that it was to do; answers how long that took, with the failures before it."""
        assert self.unfinished_since is not None
        seconds = self.unfinished
        self.unfinished_since = None
        return seconds

    @property
    def unfinished(self) -> float:
        """Seconds since `unfinished_since`; 0 between rounds."""
        if self.unfinished_since is None:
            return 0.0
        return asyncio.get_running_loop().time() - self.unfinished_since

    async def stop(self, task: asyncio.Task[None], grace: float) -> None:
        """Lets the round under way in the owner's task end, for so many seconds, and none begin after it. The task
        may still be waiting for the next one."""
        self.stopping = True
        deadline = asyncio.get_running_loop().time() + grace
        while self.unfinished_since is not None and not task.done() and asyncio.get_running_loop().time() < deadline:
            await asyncio.wait((task,), timeout=0.02)
