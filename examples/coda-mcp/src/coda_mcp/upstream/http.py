"""Requests to Coda's API: one connection pool, limits kept ahead, retries where they are safe, errors of one type."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import anyio
import httpx
import tenacity
from mcp.server.auth.middleware.auth_context import get_access_token
from pydantic_core import from_json

from ..constants import NAME
from .access import Access
from .calls import Calls
from .credentials import CodaCredential, Credentials
from .errors import CodaError, from_response, refused
from .limits import Limits, classify
from .paths import path
from .settings import UpstreamSettings
from .timing import Timing

BASE = "/apis/v1"
MOST_BYTES = 33_554_432
MOST_REQUEST_BYTES = 2_000_000
ATTEMPTS = 4
FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 60.0

Json = dict[str, Any]


class Http:
    """Sends one request at a time for the caller of the moment. Every failure is a CodaError."""

    def __init__(self, settings: UpstreamSettings, timing: Timing, calls: Calls, client: httpx.AsyncClient) -> None:
        self.credentials = Credentials(settings)
        self.access = Access(settings.coda_doc_ids)
        self._settings = settings
        self._timing = timing
        self._calls = calls
        self._client = client
        self._limits: dict[str, Limits] = {}

    async def credential(self) -> CodaCredential:
        """Of the caller whose request is being answered."""
        return await self.credentials.credential_for(get_access_token())

    async def request(
        self,
        method: str,
        *segments: str,
        query: Mapping[str, Any] | None = None,
        body: Json | None = None,
        repeatable: bool = False,
    ) -> Json:
        """The JSON of Coda's answer.

        `repeatable`: doing it twice is the same as doing it once, so it is tried again after a 5xx or no answer.
        A 429 was refused before anything was done, so it is always tried again. Raises CodaError.
        """
        self.access.check(segments)
        credential = await self.credential()
        request = self._build(method, path(segments), query or {}, body, credential)
        window = self._limits_of(credential)[classify(method, segments)]
        deadline = self._calls.current.deadline
        unanswered = False

        def again(error: BaseException) -> bool:
            return isinstance(error, CodaError) and error.retryable and (repeatable or error.status == 429)

        async for attempt in tenacity.AsyncRetrying(
            sleep=self._timing.sleep,
            retry=tenacity.retry_if_exception(again),
            wait=_wait,
            stop=_Stop(self._timing, deadline),
            reraise=True,
        ):
            with attempt:
                await window.wait(deadline)
                try:
                    return await self._send(request, deadline, repeatable)
                except CodaError as error:
                    if error.status == 429:
                        window.pause(error.retry_after or FIRST_WAIT_SECONDS)
                    elif error.retryable:
                        unanswered = True
                    elif method == "DELETE" and unanswered and error.status in (404, 410):
                        return {}  # The earlier attempt did it.
                    raise
        raise AssertionError("the loop ends by returning or raising")

    def _limits_of(self, credential: CodaCredential) -> Limits:
        if credential.name not in self._limits:
            self._limits[credential.name] = Limits(self._settings, self._timing)
        return self._limits[credential.name]

    def _build(
        self, method: str, path: str, query: Mapping[str, Any], body: Json | None, credential: CodaCredential
    ) -> httpx.Request:
        headers = {
            "Authorization": f"Bearer {credential.token.get_secret_value()}",
            "Accept": "application/json",
            "User-Agent": NAME,
        }
        content = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False).encode(errors="replace")
            headers["Content-Type"] = "application/json"
            if len(content) > MOST_REQUEST_BYTES:
                size = f"{len(content):,} bytes"
                raise refused(f"Nothing was sent: it is {size}, and Coda takes at most 2 MB at once. Send it in parts.")
        params = {
            name: _text(value).encode(errors="replace").decode() for name, value in query.items() if value is not None
        }
        url = f"{self._settings.upstream_url}{BASE}/{path}"
        return self._client.build_request(method, url, params=params, content=content, headers=headers)

    async def _send(self, request: httpx.Request, deadline: float, repeatable: bool) -> Json:
        seconds = min(self._settings.coda_timeout_seconds, max(1.0, deadline - self._timing.now()))
        request.extensions = {**request.extensions, "timeout": httpx.Timeout(seconds).as_dict()}
        unknown = "" if repeatable else " Whether it was carried out is unknown: look before you try again."
        try:
            # httpx limits each step; an answer that trickles in would have no end.
            with anyio.fail_after(seconds):
                response = await self._client.send(request, stream=True)
                try:
                    content = await _read(response)
                finally:
                    await response.aclose()
        except (httpx.TimeoutException, TimeoutError):
            hint = f"Coda did not answer within {seconds:.0f} s.{unknown or ' Try again, with less at once.'}"
            raise CodaError("timeout", hint, retryable=repeatable) from None
        except httpx.HTTPError as error:
            hint = f"Coda is out of reach ({type(error).__name__}).{unknown or ' Try again.'}"
            raise CodaError("unreachable", hint, retryable=repeatable) from None
        if response.is_success:
            return _object(content, unknown)
        failure = from_response(response, content)
        if failure.kind == "unavailable":
            failure.hint += unknown
        raise failure


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes(65_536):
        content += chunk
        if len(content) > MOST_BYTES:
            raise CodaError("too_large", "Coda's answer is larger than this server reads. Ask for less, with a limit.")
    return bytes(content)


def _object(content: bytes, unknown: str) -> Json:
    try:
        found = _parsed(content) if content else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CodaError("bad_answer", f"Coda gave an answer that is not understood.{unknown}", retryable=not unknown)
    return found


def _parsed(content: bytes) -> Any:
    try:
        return from_json(content)
    except ValueError:
        # Halves of surrogate pairs, which JSON can say and nobody can pass on.
        text = json.dumps(json.loads(content), ensure_ascii=False)
        return json.loads(text.encode(errors="replace"))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wait(state: tenacity.RetryCallState) -> float:
    """What Coda says, else twice as long each time, with jitter so that callers do not come back together."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, CodaError) and error.retry_after is not None:
        return error.retry_after
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (state.attempt_number - 1))
    return random.uniform(longest / 2, longest)  # noqa: S311 - nothing secret


class _Stop(tenacity.stop.stop_base):
    """Ends the attempts after some, or when the next one would begin after the deadline."""

    def __init__(self, timing: Timing, deadline: float) -> None:
        self._timing = timing
        self._deadline = deadline

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= ATTEMPTS or self._timing.now() + state.upcoming_sleep > self._deadline
