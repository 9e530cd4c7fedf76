"""The content of pages, as Markdown, HTML or plain text."""

from __future__ import annotations

from typing import Annotated, Literal

import anyio.to_thread
from pydantic import Field

from ..upstream import Upstream
from ..upstream.http import Json
from ..upstream.text import LongText, Window
from .fields import DocId, Format, PageRef
from .registry import Registry
from .results import Result

WINDOW_CHARS = 20_000
LINES_AT_ONCE = 500
MOST_LINES = 50_000
LARGE_BYTES = 1_000_000

ExportId = Annotated[str, Field(description="From coda_start_page_export")]


class PageText(Result):
    """A page's content, or a part of it."""

    id: str
    name: str
    browser_link: str | None = None
    text: str
    start: int
    total_chars: int
    next_start: int | None = Field(default=None, description="Where to go on")


class Export(Result):
    export_id: str
    status: Literal["in_progress", "complete", "failed"]
    download_link: str | None = Field(default=None, description="Good for 5 minutes, for anyone who has it")
    error: str | None = None


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds `coda_read_page` and the two export tools."""

    @tools.read("Read a page")
    async def coda_read_page(
        doc_id: DocId,
        page: PageRef,
        format: Annotated[
            Literal["markdown", "html", "text"], Field(description="text: lines alone, without tables; fastest")
        ] = "markdown",
        start: Annotated[int, Field(ge=0, description="next_start of the part before")] = 0,
        max_chars: Annotated[int, Field(ge=1, le=100_000, description="Of this part")] = WINDOW_CHARS,
    ) -> PageText:
        """Read a page's content, a part at a time if it is long. Subpages are not in it. Do not write back what this
        returned: tables and widgets do not survive."""
        found = await upstream.get("docs", doc_id, "pages", page)
        if format == "text":
            text = await _lines(upstream, doc_id, found["id"])
        else:
            text = await upstream.exports.read(doc_id, found, format)
        part = await window(text, start, max_chars)
        return PageText(
            id=found["id"],
            name=found.get("name", ""),
            browser_link=found.get("browserLink"),
            text=part.text,
            start=part.start,
            total_chars=part.total,
            next_start=part.next_start,
        )

    @tools.read("Start a page export", idempotent=False)
    async def coda_start_page_export(doc_id: DocId, page: PageRef, format: Format = "markdown") -> Export:
        """Start rendering a page to a file with a download link. coda_read_page does all of that in one call."""
        found = await upstream.get("docs", doc_id, "pages", page)
        return Export(export_id=await upstream.exports.start(doc_id, found, format), status="in_progress")

    @tools.read("Get a page export")
    async def coda_get_page_export(doc_id: DocId, page: PageRef, export_id: ExportId) -> Export:
        """Get the download link of an export, once it is complete."""
        return exported(export_id, await upstream.exports.status(doc_id, page, export_id))


def exported(export_id: str, status: Json) -> Export:
    """Goes by the link and the error, which are reliable; the words of the status are not."""
    link, error = status.get("downloadLink"), status.get("error")
    done = "complete" if link else "failed" if error else "in_progress"
    return Export.model_validate({"export_id": export_id, "status": done, "download_link": link, "error": error})


async def window(text: LongText, start: int, most: int) -> Window:
    """A part of a text; of a large one it is cut out in a thread, so that no other call waits for it."""
    if text.bytes < LARGE_BYTES:
        return text.window(start, most)
    return await anyio.to_thread.run_sync(text.window, start, most)


async def _lines(upstream: Upstream, doc_id: str, page_id: str) -> LongText:
    text = LongText()
    path = ("docs", doc_id, "pages", page_id, "content")
    async for element in upstream.items(*path, most=MOST_LINES, limit=LINES_AT_ONCE):
        content = (element.get("itemContent") or {}).get("content", "")
        text.add(f"{content}\n".encode(errors="replace"))
    text.close()
    return text
