"""Coda's rate limits, kept ahead of time: a request waits here until it may be sent.

A window slides: of any `seconds` at most `count` requests. A leaky bucket would let through nearly twice as many after
a pause, which Coda answers with 429. Whoever came first goes first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Literal

import anyio

from .errors import CodaError
from .settings import Rate, UpstreamSettings
from .timing import Timing

Class = Literal["reading", "writing", "content", "listing", "analytics"]


class Window:
    """At most `count` requests in any `seconds`."""

    def __init__(self, count: int, seconds: float, timing: Timing) -> None:
        self._seconds = seconds
        self._timing = timing
        self._sent: deque[float] = deque(maxlen=count)
        self._paused_until = 0.0
        self._waiting = 0
        self._turn = anyio.Lock()

    async def wait(self, deadline: float) -> None:
        """Returns when a request may be sent, and counts it.

        Raises CodaError as soon as it is known that this will not be before `deadline`. A call that is cancelled does
        not count.
        """
        self._require(self._expected(self._waiting), deadline)
        self._waiting += 1
        try:
            async with self._turn:
                # A pause may be prolonged meanwhile.
                while (expected := self._expected(0)) > self._timing.now():
                    self._require(expected, deadline)
                    await self._timing.sleep(expected - self._timing.now())
                self._require(expected, deadline)
                self._sent.append(self._timing.now())
        finally:
            self._waiting -= 1

    def _require(self, expected: float, deadline: float) -> None:
        now = self._timing.now()
        if now > deadline:
            hint = "Coda took too long, and this was not sent any more. Try again, with less at once."
            raise CodaError("timeout", hint, retryable=True)
        if expected > deadline:
            hint = f"Nothing was sent: Coda's limit leaves room for this in about {expected - now:.0f} s."
            raise CodaError("rate_limited", hint, retryable=True, retry_after=expected - now)

    def pause(self, seconds: float) -> None:
        """Coda said 429: somebody else uses the same limit. Nobody sends for a while."""
        self._paused_until = max(self._paused_until, self._timing.now() + seconds)

    def _expected(self, ahead: int) -> float:
        """When a request may be sent that has so many ahead of it, none of which is delayed for other reasons."""
        count = self._sent.maxlen or 1
        windows = ahead // count + 1
        # The request in whose place it comes, `windows` windows later; before the first one there was room.
        predecessor = len(self._sent) + ahead - windows * count
        now = self._timing.now()
        expected = now + self._seconds * (windows - 1)
        if predecessor >= 0:
            expected = max(expected, self._sent[predecessor] + self._seconds * windows)
        return max(expected, self._paused_until)


class Limits:
    """The windows of one credential, by class of request."""

    def __init__(self, settings: UpstreamSettings, timing: Timing) -> None:
        rates: Mapping[Class, Rate] = {
            "reading": settings.coda_limit_reading,
            "writing": settings.coda_limit_writing,
            "content": settings.coda_limit_content,
            "listing": settings.coda_limit_listing,
            "analytics": settings.coda_limit_reading,
        }
        self._windows = {name: Window(*shared(rate, settings.coda_rate_share), timing) for name, rate in rates.items()}

    def __getitem__(self, name: Class) -> Window:
        return self._windows[name]


def shared(rate: Rate, share: float) -> tuple[int, float]:
    """A part of a rate. Less than one request in the window becomes one request in a longer window."""
    part = rate.count * share
    return (int(part), rate.seconds) if part >= 1 else (1, rate.seconds / part)


def classify(method: str, segments: tuple[str, ...]) -> Class:
    """Which limit a request counts for. Only POST, PUT and PATCH are published; DELETE is taken to count like them."""
    if method == "GET":
        if segments == ("docs",):
            return "listing"
        return "analytics" if segments[0] == "analytics" else "reading"
    if (
        segments[0] == "docs"
        and len(segments) > 2
        and segments[2] in ("pages", "tables")
        and segments[4:5] != ("export",)
    ):
        return "content"
    return "writing"
