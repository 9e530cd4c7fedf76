"""Facts that live on another server, remembered here: keys, metadata, who a subject is."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import httpx
import structlog

T = TypeVar("T")
Clock = Callable[[], float]

TIMEOUT_SECONDS = 5.0
MAX_DOCUMENT_BYTES = 64 * 1024
# A few compressed bytes could become many megabytes before anyone could count them.
UNCOMPRESSED = {"Accept-Encoding": "identity"}
RETRY_SECONDS = 5.0

log = structlog.get_logger("stytch_mcp.remote")


class Unavailable(Exception):
    """The fact could not be had. `retry_after` is in whole seconds."""

    def __init__(self, why: str, retry_after: int = math.ceil(RETRY_SECONDS)) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Missing(Unavailable):
    """The other server says that there is no such thing (404)."""


async def fetch_bytes(client: httpx.AsyncClient, url: str, **request: Any) -> tuple[int, bytes]:
    """GET a small document: 5 s in all, at most 64 KiB, no redirects.

    Returns the status and the body. Raises Unavailable when there is no complete answer.
    """
    try:
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            client.stream(
                "GET", url, headers=UNCOMPRESSED, follow_redirects=False, timeout=TIMEOUT_SECONDS, **request
            ) as response,
        ):
            if "content-encoding" in response.headers:
                raise Unavailable(f"{url} is compressed, which was not asked for")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise Unavailable(f"{url} is larger than {MAX_DOCUMENT_BYTES} bytes")
            return response.status_code, bytes(body)
    except TimeoutError:
        raise Unavailable(f"{url} took longer than {TIMEOUT_SECONDS:.0f} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unavailable(f"{url}: {type(error).__name__}") from None


async def fetch_json(client: httpx.AsyncClient, url: str, **request: Any) -> tuple[dict[str, Any], bytes]:
    """GET a JSON object; its parsed and its original form. Raises Missing or Unavailable for anything else."""
    status, body = await fetch_bytes(client, url, **request)
    if status == httpx.codes.NOT_FOUND:
        raise Missing(f"{url} answered {status}")
    if status != httpx.codes.OK:
        raise Unavailable(f"{url} answered {status}")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Unavailable(f"{url} is not JSON") from None
    if not isinstance(document, dict):
        raise Unavailable(f"{url} is not a JSON object")
    return document, body


class Remembered(Generic[T]):
    """A fact from elsewhere that survives its source being down. All times in seconds.

    Older than `refresh_after`: asked anew in the background. Older than `wait_after`: callers wait for the new answer.
    No answer: the old one holds until it is older than `keep_for`. At most one fetch is under way at any time, however
    many callers wait, and none for `RETRY_SECONDS` after a failure.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[T]],
        *,
        refresh_after: float,
        keep_for: float,
        wait_after: float = math.inf,
        clock: Clock = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._refresh_after = refresh_after
        self._wait_after = wait_after
        self._keep_for = keep_for
        self._clock = clock
        self._answer: tuple[T, float] | None = None
        self._failure: tuple[str, int, float] | None = None
        self._task: asyncio.Task[None] | None = None
        self._going_on = asyncio.Lock()

    @property
    def known(self) -> T | None:
        """The last answer unless it is too old to be used; never asks."""
        if self._answer is None or self._age() > self._keep_for:
            return None
        return self._answer[0]

    @property
    def failing(self) -> bool:
        """Whether the last attempt to ask failed."""
        return self._failure is not None

    async def get(self) -> T:
        """The answer. Raises Unavailable when there is none that may be used."""
        age = self._age()
        if self._answer is not None and age <= self._refresh_after:
            return self._answer[0]
        if age > min(self._wait_after, self._keep_for):
            await self.refresh()
        else:
            self._start()
        answer = self.known
        if answer is None:
            assert self._failure is not None
            raise Unavailable(*self._failure[:2])
        return answer

    async def refresh(self) -> None:
        """Ask now, or join who is asking already. A failure shows in `failing`; the old answer stays."""
        task = self._start()
        if task is not None:
            # Whoever waits may be cancelled; the others still want the answer.
            await asyncio.shield(task)
            # One goes on per turn of the loop: a thousand requests in one turn would hold up all others.
            async with self._going_on:
                await asyncio.sleep(0)

    def _age(self) -> float:
        return math.inf if self._answer is None else self._clock() - self._answer[1]

    def _start(self) -> asyncio.Task[None] | None:
        if self._task is None or self._task.done():
            if self._failure is not None and self._clock() - self._failure[2] < RETRY_SECONDS:
                return None
            self._task = asyncio.get_running_loop().create_task(self._ask())
        return self._task

    async def _ask(self) -> None:
        # An answer is as old as its question: the other server may have looked just after it came.
        began = self._clock()
        try:
            answer = await self._fetch()
        except Unavailable as error:
            self._failure = (str(error), error.retry_after, self._clock())
            log.warning("unavailable", detail=str(error))
        else:
            self._failure = None
            self._answer = (answer, began)
