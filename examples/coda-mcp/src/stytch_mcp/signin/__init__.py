"""The page that Stytch sends people to: log in, consent, connections. Without JavaScript, without state of its own.

What must outlast a request travels in encrypted cookies, so that any replica can serve any step. The few things that a
replica remembers (tries, sends, decisions) are bounds of their own: two replicas allow twice as much.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

if TYPE_CHECKING:
    from stytch_mcp.protect import scopes
    from stytch_mcp.protect.remote import Clock
    from stytch_mcp.settings import Settings
    from stytch_mcp.signin.routes import Pages

PATHS = "/oauth/{path:path}"


class SignIn:
    """ASGI app for all paths of the page. It is imported on first use: where nobody logs in, none of it is held."""

    def __init__(
        self, settings: Settings, title: str, words: Iterable[scopes.Scope], *, now: Clock, clock: Clock
    ) -> None:
        self._settings = settings
        self._title = title
        self._words = tuple(words)
        self._now = now
        self._clock = clock
        self._pages: Pages | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._pages is None:
            routes = await asyncio.to_thread(importlib.import_module, "stytch_mcp.signin.routes")
            # Another request may have come first while this one waited.
            self._pages = self._pages or routes.pages(
                self._settings, self._title, self._words, now=self._now, clock=self._clock
            )
        await self._pages.app(scope, receive, send)

    async def close(self) -> None:
        """Ends the connections to Stytch."""
        if self._pages is not None:
            await self._pages.stytch.close()


def sign_in(
    settings: Settings, title: str, words: Iterable[scopes.Scope], *, now: Clock, clock: Clock
) -> SignIn | None:
    """The page, or None where Stytch is no issuer or cannot be asked (no STYTCH_SECRET)."""
    if "stytch" not in settings.accepted_issuers or settings.stytch_secret is None:
        return None
    return SignIn(settings, title, words, now=now, clock=clock)
