"""The verified e-mail addresses of a Stytch subject, from Stytch's user API.

Access tokens carry no e-mail address, so the first request of a subject asks, and the answer is remembered: five
minutes, renewed in the background from the fourth on, at most 24 hours while Stytch is down.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx

from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.reasons import SUBJECT_UNAVAILABLE, Refused
from stytch_mcp.protect.remote import Clock, Missing, Remembered, Unavailable, fetch_json

REFRESH_AFTER_SECONDS = 240.0
WAIT_AFTER_SECONDS = 300.0
KEEP_FOR_SECONDS = 24 * 3600.0
REMEMBER_SUBJECTS = 10_000


class Subjects:
    """Looks subjects up at `domain`, the origin of the Stytch project, with the project's own credentials."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        domain: str,
        project_id: str,
        secret: str,
        clock: Clock = time.monotonic,
    ) -> None:
        self.issuer = domain
        self._client = client
        self._credentials = httpx.BasicAuth(project_id, secret)
        self._clock = clock
        self._remembered: OrderedDict[tuple[str, str | None], Remembered[frozenset[str]]] = OrderedDict()

    async def emails(self, principal: Principal) -> frozenset[str]:
        """Verified addresses; none for a subject that was deleted.

        Raises Refused (503) when the subject was never resolved and Stytch does not answer.
        """
        key = (principal.subject, principal.organization)
        subject = self._remembered.get(key)
        if subject is None:
            subject = self._remembered[key] = Remembered(
                partial(self._fetch, *key),
                refresh_after=REFRESH_AFTER_SECONDS,
                wait_after=WAIT_AFTER_SECONDS,
                keep_for=KEEP_FOR_SECONDS,
                clock=self._clock,
            )
        self._remembered.move_to_end(key)
        while len(self._remembered) > REMEMBER_SUBJECTS:
            self._remembered.popitem(last=False)
        try:
            return await subject.get()
        except Unavailable as error:
            raise Refused(
                SUBJECT_UNAVAILABLE,
                str(error),
                issuer=principal.issuer,
                client_id=principal.client_id,
                retry_after=error.retry_after,
            ) from None

    async def _fetch(self, subject: str, organization: str | None) -> frozenset[str]:
        if organization is None:
            url = f"{self.issuer}/v1/users/{quote(subject, safe='')}"
            return _user_emails(await self._get(url))
        url = f"{self.issuer}/v1/b2b/organizations/{quote(organization, safe='')}/member"
        member = (await self._get(url, params={"member_id": subject})).get("member")
        return _member_emails(member if isinstance(member, dict) else {})

    async def _get(self, url: str, **request: Any) -> dict[str, Any]:
        try:
            document, _ = await fetch_json(self._client, url, auth=self._credentials, **request)
        except Missing:
            return {}
        return document


def _user_emails(user: dict[str, Any]) -> frozenset[str]:
    entries = user.get("emails")
    return frozenset(
        entry["email"]
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and entry.get("verified") is True and isinstance(entry.get("email"), str)
    )


def _member_emails(member: dict[str, Any]) -> frozenset[str]:
    email = member.get("email_address")
    known = member.get("email_address_verified") is True and member.get("status") == "active"
    return frozenset({email}) if known and isinstance(email, str) else frozenset()
