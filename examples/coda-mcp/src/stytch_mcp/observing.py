"""How the owner's client of the upstream API is watched when /metrics is on, and left alone when it is off."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import httpx

# Set while the server is built, so that whoever opens a client then need not pass anything on.
watching: ContextVar[Callable[[httpx.AsyncClient], None] | None] = ContextVar("watching", default=None)


def observed(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same client. Its calls count as calls of the upstream API."""
    watch = watching.get()
    if watch is not None:
        watch(client)
    return client
