"""The client of Coda's API that tools use. Opened once when the server starts, shared by all requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self

import httpx

from stytch_mcp.observing import observed

from .access import Access, doc_of
from .calls import Calls
from .errors import CodaError
from .exports import Exports
from .http import Http, Json
from .mutations import Mutations, Outcome
from .settings import UpstreamSettings
from .timing import Timing

CONNECTIONS = httpx.Limits(max_connections=50, max_keepalive_connections=10)


class Upstream:
    """Every failure of its methods is a CodaError.

    `transport` replaces the network and `timing` the clock in tests.
    """

    def __init__(
        self,
        settings: UpstreamSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.settings = settings
        self.timing = timing or Timing()
        self.calls = Calls(settings.coda_call_seconds, self.timing)
        # Two clients, so that no header of the one can get into the other's requests.
        self._client = observed(httpx.AsyncClient(transport=transport, limits=CONNECTIONS, cookies=_no_cookies()))
        self._downloads = httpx.AsyncClient(transport=transport, limits=CONNECTIONS, cookies=_no_cookies())
        self._http = Http(settings, self.timing, self.calls, self._client)
        self.mutations = Mutations(self._http, self.calls, self.timing)
        self.exports = Exports(self._http, settings, self.timing, self.calls, self._downloads)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        await self._downloads.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._downloads.__aexit__(kind, error, traceback)
        await self._client.__aexit__(kind, error, traceback)

    @property
    def access(self) -> Access:
        """Which docs may be used."""
        return self._http.access

    async def get(self, *segments: str, **query: Any) -> Json:
        """Reads. Waits first for what was changed in the same doc through this process."""
        doc_id = doc_of(segments)
        if doc_id is not None:
            self.access.require(doc_id)
            await self.mutations.settle(doc_id)
        return await self._http.request("GET", *segments, query=query, repeatable=True)

    async def page(self, *segments: str, cursor: str | None = None, **query: Any) -> Json:
        """One page of a list. With a cursor nothing else is sent: Coda keeps the rest in it."""
        return await self.get(*segments, pageToken=cursor) if cursor else await self.get(*segments, **query)

    async def items(self, *segments: str, most: int = 1000, **query: Any) -> AsyncIterator[Json]:
        """All items of a list, at most so many, a page at a time."""
        cursor, count = None, 0
        while count < most:
            found = await self.page(*segments, cursor=cursor, **query)
            for item in found.get("items", []):
                yield item
                count += 1
                if count == most:
                    return
            cursor = found.get("nextPageToken")
            if not cursor:
                return

    async def send(
        self,
        method: str,
        *segments: str,
        body: Json | None = None,
        query: dict[str, Any] | None = None,
        repeatable: bool = False,
    ) -> Json:
        """Changes something; not awaited. `repeatable`: twice is the same as once."""
        answer = await self._http.request(method, *segments, body=body, query=query, repeatable=repeatable)
        doc_id, request_id = doc_of(segments), answer.get("requestId")
        if doc_id is not None and request_id:
            await self.mutations.note(doc_id, str(request_id))
        return answer

    async def outcome(self, answer: Json, wait: bool = True) -> Outcome:
        """What became of a change: at once when Coda gave no ID to ask for, or when nobody wants to wait."""
        request_id = answer.get("requestId")
        if not request_id:
            return Outcome("applied")
        if not wait:
            return Outcome("pending")
        try:
            return await self.mutations.wait(str(request_id))
        except CodaError as error:
            # The change was accepted; that Coda cannot be asked now does not undo it.
            return Outcome("pending", f"Coda could not be asked about the change: {error.hint}")

    async def credential_name(self) -> str:
        """Whose cache an answer belongs to."""
        return (await self._http.credential()).name


def _no_cookies() -> CookieJar:
    """What Coda sets for one caller must not come along with the next one's request."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
