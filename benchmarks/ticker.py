"""How long an event loop did not come back to its timers."""

from __future__ import annotations

import asyncio
import time
from typing import Final

EVERY_SECONDS: Final = 0.001


class Ticker:
    """Ticks every millisecond from the first `take()` on, and remembers how late the latest tick was.

    On a busy machine a tick is late too because others are served first. So there is a second figure: the processor
    time of the loop's thread between two ticks, which is what the loop did itself, blocking calls aside.
    """

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._longest = (0.0, 0.0)
        self._timer: asyncio.TimerHandle | None = None

    def take(self) -> tuple[float, float]:
        """The longest stall since the last call, by the clock and by the processor, in seconds."""
        if self._timer is None:
            self._tick()
        self._note()
        longest, self._longest = self._longest, (0.0, 0.0)
        return longest

    def stop(self) -> None:
        """No tick after this."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._note()
        self._timer = asyncio.get_running_loop().call_later(EVERY_SECONDS, self._tick)

    def _note(self) -> None:
        now = (time.perf_counter(), time.thread_time())
        if self._last is not None:
            wall, processor = (this - last for this, last in zip(now, self._last, strict=True))
            self._longest = (max(self._longest[0], wall - EVERY_SECONDS), max(self._longest[1], processor))
        self._last = now
