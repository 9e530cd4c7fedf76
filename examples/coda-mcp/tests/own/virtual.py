"""Time for calls that run at once: it goes on when all of them wait, to the moment when the first one wakes."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel

from coda_mcp.upstream import Timing


class Timeline:
    """`run` drives it. Nothing but `sleep` may wait for something outside."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._waking: list[tuple[float, int, anyio.Event]] = []
        self._number = itertools.count()

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        event = anyio.Event()
        heapq.heappush(self._waking, (self.seconds + seconds, next(self._number), event))
        await event.wait()

    @property
    def timing(self) -> Timing:
        return Timing(self.now, self.sleep)

    async def run(self, *calls: Callable[[], Awaitable[Any]]) -> list[Any]:
        """What all of the calls give, in their order; raises what one of them raises."""
        results: list[Any] = [None] * len(calls)
        running = len(calls)

        async def one(number: int, call: Callable[[], Awaitable[Any]]) -> None:
            nonlocal running
            try:
                results[number] = await call()
            finally:
                running -= 1

        async with anyio.create_task_group() as tasks:
            for number, call in enumerate(calls):
                tasks.start_soon(one, number, call)
            while running:
                await anyio.wait_all_tasks_blocked()
                if running and self._waking:
                    due, _, event = heapq.heappop(self._waking)
                    self.seconds = max(self.seconds, due)
                    event.set()
        return results
