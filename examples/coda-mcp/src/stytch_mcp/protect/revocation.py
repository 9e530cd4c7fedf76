"""Whether a person still has an application connected, from Stytch's user API (STYTCH_REVOCATION_SECONDS).

An access token holds until it expires, whatever happens at Stytch. With this it ends at most N + 2 s after the person
disconnects the application, N being the setting; while Stytch is down, the last answer holds, and at worst the token's
own life is the bound. UNCONFIRMED: whether Stytch lists first-party applications that never asked for consent.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx

from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.reasons import REVOKED, Refused
from stytch_mcp.protect.remote import Clock, Missing, Remembered, Unavailable, fetch_json

WAIT_SECONDS = 2.0
REMEMBER_PAIRS = 10_000

# Whether the application is connected, and when that was so (seconds since the epoch).
Standing = tuple[bool, float]


class Revocation:
    """Asks at `domain`, at most every `seconds` for each subject and client."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        domain: str,
        project_id: str,
        secret: str,
        seconds: float,
        now: Clock = time.time,
        clock: Clock = time.monotonic,
    ) -> None:
        self._client = client
        self._issuer = domain
        self._credentials = httpx.BasicAuth(project_id, secret)
        self._seconds = seconds
        self._now = now
        self._clock = clock
        self._remembered: OrderedDict[tuple[str, str, str | None], Remembered[Standing]] = OrderedDict()

    async def check(self, principal: Principal) -> None:
        """Returns for an application that is connected as far as is known. Raises Refused (401)."""
        if principal.issuer != self._issuer:
            return
        key = (principal.subject, principal.client_id, principal.organization)
        standing = self._remembered.get(key)
        if standing is None:
            standing = self._remembered[key] = Remembered(
                partial(self._fetch, *key),
                refresh_after=self._seconds,
                wait_after=self._seconds,
                keep_for=math.inf,
                clock=self._clock,
            )
        self._remembered.move_to_end(key)
        while len(self._remembered) > REMEMBER_PAIRS:
            self._remembered.popitem(last=False)
        connected, since = await self._within_time(standing.get(), standing)
        if not connected and principal.claims["iat"] >= int(since):
            # The token, which counts whole seconds, is younger than the answer: the person has connected it again.
            connected, _ = await self._within_time(self._anew(standing), standing)
        if not connected:
            raise Refused(
                REVOKED,
                f"{principal.subject} has no connection to it",
                issuer=principal.issuer,
                client_id=principal.client_id,
            )

    async def _within_time(self, asking: Any, standing: Remembered[Standing]) -> Standing:
        """The answer that is there in time, or the one before, or trust in the token."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                answer: Standing = await asking
        except (TimeoutError, Unavailable):
            return standing.known or (True, 0.0)
        return answer

    async def _anew(self, standing: Remembered[Standing]) -> Standing:
        await standing.refresh()
        return await standing.get()

    async def _fetch(self, subject: str, client_id: str, organization: str | None) -> Standing:
        began = self._now()
        who = quote(subject, safe="")
        path = (
            f"/v1/users/{who}/connected_apps"
            if organization is None
            else f"/v1/b2b/organizations/{quote(organization, safe='')}/members/{who}/connected_apps"
        )
        try:
            document, _ = await fetch_json(self._client, self._issuer + path, auth=self._credentials)
        except Missing:
            return False, began
        apps = document.get("connected_apps")
        if not isinstance(apps, list):
            raise Unavailable(f"{path} has no list of applications")
        return any(isinstance(app, dict) and app.get("connected_app_id") == client_id for app in apps), began
