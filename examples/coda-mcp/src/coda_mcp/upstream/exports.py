"""Pages as Markdown or HTML: Coda renders them in the background and gives a link to the result."""

from __future__ import annotations

import ipaddress
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx

from .calls import Calls
from .errors import CodaError
from .http import Http
from .settings import UpstreamSettings
from .text import LongText
from .timing import Timing

FIRST_LOOK_SECONDS = 0.5
LONGEST_LOOK_SECONDS = 5.0
UNKNOWN_SECONDS = 30.0
AT_ONCE = 3
CACHE_BYTES = 33_554_432
CACHE_SECONDS = 300.0
DOWNLOAD_DOMAINS = ("coda.io", "superhuman.com")
S3 = re.compile(r"([a-z0-9.-]+\.)?s3([.-][a-z0-9-]+)?\.amazonaws\.com", re.ASCII)
EXPIRED = re.compile(rb"\s*<\?xml[^>]*>\s*<Error>")

Key = tuple[str, str, str, str, str]


class Exports:
    """Runs one export of a page at a time (a second would overwrite the first at Coda), and three in all."""

    def __init__(
        self, http: Http, settings: UpstreamSettings, timing: Timing, calls: Calls, downloads: httpx.AsyncClient
    ) -> None:
        self._http = http
        self._settings = settings
        self._timing = timing
        self._calls = calls
        self._downloads = downloads
        self._all = anyio.Semaphore(AT_ONCE)
        self._running: dict[tuple[str, str], tuple[anyio.Lock, int]] = {}
        self._kept: OrderedDict[Key, tuple[float, LongText]] = OrderedDict()
        self._started: dict[tuple[str, str], tuple[str, str]] = {}

    async def read(self, doc_id: str, page: dict[str, Any], output_format: str) -> LongText:
        """The page as text. `page` is what the API says of it. Raises CodaError."""
        page_id = str(page["id"])
        self._require_canvas(page)
        credential = (await self._http.credential()).name
        key = (credential, doc_id, page_id, output_format, str(page.get("updatedAt", "")))
        async with self._one_at_a_time(doc_id, page_id):
            kept = self._from_cache(key)
            if kept is None:
                await self._finish_started(doc_id, page_id)
                export_id = await self._begin(doc_id, page_id, output_format)
                kept = await self._download(doc_id, page_id, export_id)
                self._keep(key, kept)
            return kept

    async def start(self, doc_id: str, page: dict[str, Any], output_format: str) -> str:
        """Begins an export that the caller follows by its ID; the one that runs already, if it is the same."""
        page_id = str(page["id"])
        self._require_canvas(page)
        async with self._one_at_a_time(doc_id, page_id):
            running = self._started.get((doc_id, page_id))
            if running is not None and running[1] == output_format:
                return running[0]
            await self._finish_started(doc_id, page_id)
            export_id = await self._begin(doc_id, page_id, output_format)
            self._started[doc_id, page_id] = export_id, output_format
            return export_id

    async def _finish_started(self, doc_id: str, page_id: str) -> None:
        running = self._started.get((doc_id, page_id))
        if running is not None:
            try:
                await self._link(doc_id, page_id, running[0])
            except CodaError as error:
                if error.retryable:
                    raise
            self._started.pop((doc_id, page_id), None)

    async def _begin(self, doc_id: str, page_id: str, output_format: str) -> str:
        begun = await self._http.request(
            "POST", "docs", doc_id, "pages", page_id, "export", body={"outputFormat": output_format}
        )
        return str(begun.get("id", ""))

    async def status(self, doc_id: str, page_id: str, export_id: str) -> dict[str, Any]:
        """What Coda says of an export."""
        try:
            found = await self._http.request(
                "GET", "docs", doc_id, "pages", page_id, "export", export_id, repeatable=True
            )
        except CodaError as error:
            if not error.retryable and error.status != 404:
                self._ended(export_id)
            raise
        if found.get("downloadLink") or found.get("error"):
            self._ended(export_id)
        return found

    def _ended(self, export_id: str) -> None:
        for key, running in list(self._started.items()):
            if running[0] == export_id:
                del self._started[key]

    async def _download(self, doc_id: str, page_id: str, export_id: str) -> LongText:
        link = await self._link(doc_id, page_id, export_id)
        text = await self._fetch(link)
        if text is None:  # The link is good for minutes; a new status brings a new one.
            text = await self._fetch(await self._link(doc_id, page_id, export_id))
        if text is None:
            raise CodaError("unavailable", "Coda's link to the exported page does not work. Try again.", retryable=True)
        return text

    async def _link(self, doc_id: str, page_id: str, export_id: str) -> str:
        """Goes by the link or the error and not by the status, whose words are not reliable."""
        call = self._calls.current
        started, pause = self._timing.now(), FIRST_LOOK_SECONDS
        while self._timing.now() + pause < call.deadline:
            try:
                status = await self.status(doc_id, page_id, export_id)
            except CodaError as error:
                # Right after the beginning the export may not be found yet.
                if error.status != 404 or self._timing.now() - started > UNKNOWN_SECONDS:
                    raise
                status = {}
            if link := status.get("downloadLink"):
                return str(link)
            if error_text := status.get("error"):
                raise CodaError("export_failed", "Coda could not export this page.", message=str(error_text)[:500])
            await call.tell("Coda is exporting the page")
            await self._timing.sleep(pause)
            pause = min(pause * 1.5, LONGEST_LOOK_SECONDS)
        raise CodaError("timeout", "Coda has not finished the export in time. Try again.", retryable=True)

    async def _fetch(self, link: str) -> LongText | None:
        """The text behind a link, None when the link has expired. Never with a token: the link itself is the key."""
        self._require_allowed(link)
        seconds = max(1.0, self._calls.current.deadline - self._timing.now())
        timeout = self._settings.coda_timeout_seconds
        try:
            with anyio.fail_after(seconds):
                async with self._downloads.stream("GET", link, timeout=timeout) as response:
                    if response.status_code in (403, 404):
                        return None
                    if response.is_success:
                        return await self._read(response)
        except (httpx.HTTPError, TimeoutError) as error:
            hint = f"The exported page is out of reach ({type(error).__name__}). Try again."
            raise CodaError("unreachable", hint, retryable=True) from None
        raise CodaError("unavailable", "The exported page cannot be read now.", retryable=True)

    async def _read(self, response: httpx.Response) -> LongText | None:
        text, most = LongText(), self._settings.coda_export_max_bytes
        async for piece in response.aiter_bytes(65_536):
            if text.bytes == 0 and EXPIRED.match(piece):
                return None
            text.add(piece)
            if text.bytes > most:
                hint = f"The page is larger than {most:,} bytes, the most that is read here."
                raise CodaError("too_large", f"{hint} Read it with coda_list_page_elements.")
        text.close()
        return text

    def _require_allowed(self, link: str) -> None:
        """The link comes out of an answer: only https to where Coda keeps exports, or the API's own origin."""
        try:
            parts = urlsplit(link)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", None
        api = urlsplit(self._settings.upstream_url)
        if (parts.scheme, host, port) == (api.scheme, api.hostname, api.port):
            return
        codas = any(host == domain or host.endswith(f".{domain}") for domain in DOWNLOAD_DOMAINS)
        known = codas or S3.fullmatch(host)
        if parts.scheme != "https" or port not in (None, 443) or not known or parts.username or _is_address(host):
            raise CodaError("bad_answer", "Coda's link to the exported page leads to a host that is not Coda's.")

    def _require_canvas(self, page: dict[str, Any]) -> None:
        kind = page.get("contentType", "canvas")
        if kind != "canvas":
            hint = f"Only canvas pages can be exported, this one is of the kind {kind!r}."
            raise CodaError("bad_argument", f"{hint} Its tables can be read with coda_list_rows.")

    @asynccontextmanager
    async def _one_at_a_time(self, doc_id: str, page_id: str) -> AsyncIterator[None]:
        key = (doc_id, page_id)
        lock, users = self._running.get(key, (anyio.Lock(), 0))
        self._running[key] = (lock, users + 1)
        try:
            async with lock, self._all:
                yield
        finally:
            lock, users = self._running.pop(key)
            if users > 1:
                self._running[key] = (lock, users - 1)

    def _from_cache(self, key: Key) -> LongText | None:
        kept = self._kept.get(key)
        if kept is None or self._timing.now() - kept[0] > CACHE_SECONDS:
            return None
        self._kept.move_to_end(key)
        return kept[1]

    def _keep(self, key: Key, text: LongText) -> None:
        self._kept[key] = (self._timing.now(), text)
        self._kept.move_to_end(key)
        while sum(each.size for _, each in self._kept.values()) > CACHE_BYTES and len(self._kept) > 1:
            self._kept.popitem(last=False)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
