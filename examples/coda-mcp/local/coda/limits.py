"""Rate limits: sliding windows, one for each user and class of requests."""

from __future__ import annotations

import math
from typing import Literal

from local.coda.world import World

LimitClass = Literal["reading", "writing", "content", "listing", "analytics", "none"]


def take(world: World, email: str, limit: LimitClass) -> float | None:
    """Count a request in; or the seconds until one would be let through. A refused request does not count."""
    if limit == "none" or not world.settings.limits:
        return None
    requests, seconds = rate(world, limit)
    window, now = world.windows[email, limit], world.now()
    while window and window[0] <= now - seconds:
        window.popleft()
    if len(window) >= requests:
        return window[0] + seconds - now if window else seconds
    window.append(now)
    return None


def rate(world: World, limit: LimitClass) -> tuple[float, float]:
    """Requests, and the seconds in which so many are let through."""
    requests, seconds = getattr(world.settings, limit)
    return requests, seconds


def whole_seconds(wait: float) -> str:
    """For the header Retry-After (RFC 9110 section 10.2.3)."""
    return str(max(1, math.ceil(wait)))
