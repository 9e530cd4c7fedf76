"""The verified e-mail addresses of a subject, from the user API of Stytch or of WorkOS.

Access tokens as such carry no e-mail address, so the first request of a subject asks, and the answer is remembered:
five minutes, renewed in the background from the fourth on, at most 24 hours while the API is down.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Generator
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

WORKOS_API = "https://api.workos.com"


class Directory(ABC):
    """Looks up, with the credentials of an API, the subjects of one issuer; subclasses know how they are asked for."""

    def __init__(self, client: httpx.AsyncClient, issuer: str, credentials: httpx.Auth, clock: Clock) -> None:
        self.issuer = issuer
        self._client = client
        self._credentials = credentials
        self._clock = clock
        self._remembered: OrderedDict[tuple[str, str | None], Remembered[frozenset[str]]] = OrderedDict()

    async def emails(self, principal: Principal) -> frozenset[str]:
        """Verified addresses; none for a subject that was deleted.

        Raises Refused (503) when the subject was never resolved and the API does not answer.
        """
        # The name that the issuer itself knows, which is not always the principal's.
        key = (str(principal.claims.get("sub", principal.subject)), principal.organization)
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

    @abstractmethod
    async def _fetch(self, subject: str, organization: str | None) -> frozenset[str]:
        """Verified addresses, as the API has them now. Raises Unavailable."""

    async def _get(self, url: str, **request: Any) -> dict[str, Any]:
        try:
            document, _ = await fetch_json(self._client, url, auth=self._credentials, **request)
        except Missing:
            return {}
        return document


class Subjects(Directory):
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
        super().__init__(client, domain, httpx.BasicAuth(project_id, secret), clock)

    async def _fetch(self, subject: str, organization: str | None) -> frozenset[str]:
        if organization is None:
            url = f"{self.issuer}/v1/users/{quote(subject, safe='')}"
            return _user_emails(await self._get(url))
        url = f"{self.issuer}/v1/b2b/organizations/{quote(organization, safe='')}/member"
        member = (await self._get(url, params={"member_id": subject})).get("member")
        return _member_emails(member if isinstance(member, dict) else {})


class WorkosSubjects(Directory):
    """Looks subjects up with the user API of WorkOS: one person has one address there."""

    def __init__(self, client: httpx.AsyncClient, *, domain: str, api_key: str, clock: Clock = time.monotonic) -> None:
        super().__init__(client, domain, BearerAuth(api_key), clock)
        self._api = workos_api(domain)

    async def _fetch(self, subject: str, organization: str | None) -> frozenset[str]:
        user = await self._get(f"{self._api}/user_management/users/{quote(subject, safe='')}")
        known = user.get("email_verified") is True and isinstance(user.get("email"), str)
        return frozenset({user["email"]}) if known else frozenset()


class BearerAuth(httpx.Auth):
    """A key in the Authorization header (RFC 6750 section 2.1)."""

    def __init__(self, key: str) -> None:
        self._header = f"Bearer {key}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._header
        yield request


def workos_api(domain: str) -> str:
    """Where WorkOS answers for an AuthKit domain; a stand-in on loopback answers for both itself."""
    return domain if domain.startswith("http://") else WORKOS_API


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
