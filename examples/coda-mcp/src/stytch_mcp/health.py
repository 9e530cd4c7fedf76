"""/health and /ready, and the check in the background that they report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stytch_mcp.protect.issuers import Issuer
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.metadata import IssuerMetadata
from stytch_mcp.protect.remote import Clock

CHECK_EVERY_SECONDS = 45.0
VALID_SECONDS = 60.0

log = structlog.get_logger("stytch_mcp.health")


class Health:
    """Whether clients can log in and tokens can be judged, as the last check of at most 60 s ago saw it.

    `not_oauth`: why clients cannot log in however well all is, or None.
    """

    def __init__(
        self,
        issuers: Sequence[tuple[Issuer, Keys, IssuerMetadata]],
        *,
        not_oauth: str | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._issuers = issuers
        self._not_oauth = not_oauth
        self._clock = clock
        self._checked_at: float | None = None
        self._reason: str | None = None
        self._draining = False

    async def watch(self) -> None:
        """Checks again and again until cancelled."""
        while True:
            try:
                await self.check()
            except Exception:
                log.exception("check failed")
            await asyncio.sleep(CHECK_EVERY_SECONDS)

    async def check(self) -> None:
        """Loads keys that are missing and looks at every issuer's metadata as a client would."""
        reasons = [await self._flaw(*issuer) for issuer in self._issuers]
        self._reason = next((reason for reason in reasons if reason is not None), None)
        self._checked_at = self._clock()

    async def _flaw(self, issuer: Issuer, keys: Keys, metadata: IssuerMetadata) -> str | None:
        await keys.load()
        if not keys.loaded:
            return f"{issuer.name}: the signing keys cannot be fetched"
        if self._not_oauth is not None:
            return self._not_oauth
        flaw = await metadata.check()
        return None if flaw is None else f"{issuer.name}: {flaw}"

    @property
    def reason(self) -> str | None:
        """What keeps this server from being OAuth compliant now, or None."""
        if self._checked_at is None or self._clock() - self._checked_at > VALID_SECONDS:
            return "no check within the last minute"
        return self._reason

    @property
    def ready(self) -> bool:
        """Whether tokens of the issuer that is advertised first can be judged, and no end is near."""
        return self._issuers[0][1].loaded and not self._draining

    def start_draining(self) -> None:
        """From now on not ready: proxies shall send new requests elsewhere."""
        self._draining = True

    async def health(self, _: Request) -> Response:
        """Always 200: the process answers. Never calls out."""
        reason = self.reason
        return _answer({"status": "ok", "oauth_compliant": reason is None, "reason": reason}, 200)

    async def readiness(self, _: Request) -> Response:
        """200 when requests can be served, else 503."""
        return _answer({"ready": self.ready}, 200 if self.ready else 503)


def _answer(content: dict[str, object], status: int) -> Response:
    return JSONResponse(content, status, {"Cache-Control": "no-store"})
