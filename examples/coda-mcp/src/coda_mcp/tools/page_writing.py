"""Changing the content of pages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..upstream import CodaError, Upstream
from ..upstream.http import Json
from .fields import Content, DocId, Format, PageRef, Title, Wait
from .guard import Loss, require_allowed_loss
from .registry import Registry
from .results import Change, change

MOST_COPIED_BYTES = 1_900_000

ElementId = Annotated[str | None, Field(description="From coda_list_page_elements")]


def register(tools: Registry, upstream: Upstream) -> None:  # noqa: C901 - one tool after the other
    """Adds the tools that change content."""

    @tools.write("Add to a page")
    async def coda_append_page_content(
        doc_id: DocId,
        page: PageRef,
        content: Content,
        format: Format = "html",
        position: Annotated[
            Literal["append", "prepend"], Field(description="At the end or the beginning; after or before element_id")
        ] = "append",
        element_id: ElementId = None,
        wait: Wait = True,
    ) -> Change:
        """Add content to a page, or next to one of its elements."""
        return await _edit(upstream, doc_id, page, position, content, format, element_id, wait)

    @tools.write("Replace a page's content", destructive=True, idempotent=True)
    async def coda_replace_page_content(
        doc_id: DocId,
        page: PageRef,
        content: Content,
        format: Format = "html",
        element_id: ElementId = None,
        confirm_overwrite: Annotated[bool, Field(description="Needed for the whole page, without element_id")] = False,
        may_lose: Loss = (),
        wait: Wait = True,
    ) -> Change:
        """Replace one element of a page, or the whole page: then everything on it goes."""
        if element_id is None:
            if not confirm_overwrite:
                raise CodaError(
                    "would_lose",
                    "Nothing was changed: without element_id the whole page is replaced. Ask the person, then set "
                    "confirm_overwrite; or give an element_id from coda_list_page_elements.",
                )
            found = await upstream.get("docs", doc_id, "pages", page)
            await require_allowed_loss(upstream, doc_id, found, may_lose)
            page = found["id"]
        return await _edit(upstream, doc_id, page, "replace", content, format, element_id, wait, repeatable=True)

    @tools.write("Delete page content", destructive=True)
    async def coda_delete_page_content(
        doc_id: DocId,
        page: PageRef,
        element_ids: Annotated[list[str] | None, Field(description="From coda_list_page_elements")] = None,
        all: Annotated[bool, Field(description="Clear the page")] = False,
        may_lose: Loss = (),
        wait: Wait = True,
    ) -> Change:
        """Delete elements of a page, or with all=true its content down to one empty line."""
        if bool(element_ids) == all:
            raise CodaError("bad_argument", "Give either element_ids, or all=true to clear the page.")
        if all:
            found = await upstream.get("docs", doc_id, "pages", page)
            await require_allowed_loss(upstream, doc_id, found, may_lose)
            page = found["id"]
        body: Json = {"elementIds": element_ids} if element_ids else {}
        deleted = await upstream.send("DELETE", "docs", doc_id, "pages", page, "content", body=body, repeatable=True)
        return change(deleted, await upstream.outcome(deleted, wait))

    @tools.write("Duplicate a page")
    async def coda_duplicate_page(
        doc_id: DocId,
        page: PageRef,
        new_name: Title,
        parent_page_id: Annotated[str | None, Field(description="Where to put it")] = None,
        wait: Wait = True,
    ) -> Change:
        """Copy a page's text into a new page, through HTML: tables become new ones, controls and views are lost."""
        found = await upstream.get("docs", doc_id, "pages", page)
        text = await upstream.exports.read(doc_id, found, "html")
        if text.bytes > MOST_COPIED_BYTES:
            raise CodaError("too_large", f"The page has {text.bytes:,} bytes; Coda takes at most 2 MB at once.")
        body: Json = {"name": new_name}
        if parent_page_id:
            body["parentPageId"] = parent_page_id
        if content := text.whole():
            body["pageContent"] = {"type": "canvas", "canvasContent": {"format": "html", "content": content}}
        created = await upstream.send("POST", "docs", doc_id, "pages", body=body)
        said = "Copied through HTML: text and simple tables come along, controls, views, comments and buttons do not."
        return change(created, await upstream.outcome(created, wait), message=said)


async def _edit(
    upstream: Upstream,
    doc_id: str,
    page: str,
    mode: str,
    content: str,
    content_format: str,
    element_id: str | None,
    wait: bool,
    *,
    repeatable: bool = False,
) -> Change:
    update: Json = {"insertionMode": mode, "canvasContent": {"format": content_format, "content": content}}
    if element_id is not None:
        update["elementId"] = element_id
    body = {"contentUpdate": update}
    edited = await upstream.send("PUT", "docs", doc_id, "pages", page, body=body, repeatable=repeatable)
    return change(edited, await upstream.outcome(edited, wait))
