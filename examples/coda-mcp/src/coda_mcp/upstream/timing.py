"""Time as the client sees it: replaced in tests, so that nothing there sleeps."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio


@dataclass(frozen=True)
class Timing:
    """`now` is monotonic, in seconds; `sleep` takes seconds and can be cancelled."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
