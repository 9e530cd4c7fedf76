"""Pages without their content."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ..upstream import CodaError, Upstream
from ..upstream.http import Json
from .fields import Content, Cursor, DocId, Format, Full, Limit, PageRef, Subtitle, Title, Wait
from .guard import Loss, require_allowed_loss
from .registry import Registry
from .results import Change, Page, Pages, change, more

Kind = Literal["canvas", "embed", "sync_page", "sync_doc"]
Icon = Annotated[str | None, Field(description="Icon name, like rocket")]
Image = Annotated[str | None, Field(description="URL of the cover")]


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds the tools for pages."""

    @tools.read("List pages")
    async def coda_list_pages(doc_id: DocId, limit: Limit = 50, cursor: Cursor = None, full: Full = False) -> Pages:
        """List a doc's pages; parent_id tells the tree."""
        found = await upstream.page("docs", doc_id, "pages", cursor=cursor, limit=limit)
        return Pages(items=[Page.read(item, full) for item in found["items"]], **more(found))

    @tools.read("Get a page")
    async def coda_get_page(doc_id: DocId, page: PageRef, full: Full = False) -> Page:
        """Get a page's name, place and dates, without content."""
        return Page.read(await upstream.get("docs", doc_id, "pages", page), full)

    @tools.write("Create a page")
    async def coda_create_page(
        doc_id: DocId,
        name: Title,
        parent_page_id: Annotated[str | None, Field(description="Later it cannot be moved")] = None,
        subtitle: Subtitle = None,
        icon_name: Icon = None,
        image_url: Image = None,
        content: Content | None = None,
        format: Format = "html",
        kind: Annotated[Kind, Field(description="embed shows url, sync_* show another doc")] = "canvas",
        url: Annotated[str | None, Field(description="Of an embed")] = None,
        source_doc_id: Annotated[str | None, Field(description="Of a sync")] = None,
        source_page_id: Annotated[str | None, Field(description="Of a sync_page")] = None,
        wait: Wait = True,
    ) -> Change:
        """Create a page with content, an embedded URL, or a page synced from another doc."""
        shown = _shown(upstream, kind, content, format, url, source_doc_id, source_page_id)
        wishes = {"subtitle": subtitle, "iconName": icon_name, "imageUrl": image_url, "parentPageId": parent_page_id}
        body: Json = {"name": name, **_given({**wishes, "pageContent": shown})}
        created = await upstream.send("POST", "docs", doc_id, "pages", body=body)
        return change(created, await upstream.outcome(created, wait))

    @tools.write("Change a page", idempotent=True)
    async def coda_update_page(
        doc_id: DocId,
        page: PageRef,
        name: Title | None = None,
        subtitle: Subtitle = None,
        icon_name: Icon = None,
        image_url: Image = None,
        is_hidden: Annotated[bool | None, Field(description="Hide it, or not")] = None,
        wait: Wait = True,
    ) -> Change:
        """Rename a page, or change its subtitle, icon, cover or visibility."""
        wishes = {"name": name, "subtitle": subtitle, "iconName": icon_name, "imageUrl": image_url}
        body = _given({**wishes, "isHidden": is_hidden})
        if not body:
            raise CodaError("bad_argument", "Give at least one of name, subtitle, icon_name, image_url, is_hidden.")
        changed = await upstream.send("PUT", "docs", doc_id, "pages", page, body=body, repeatable=True)
        return change(changed, await upstream.outcome(changed, wait))

    @tools.write("Delete a page", destructive=True, idempotent=True)
    async def coda_delete_page(doc_id: DocId, page: PageRef, may_lose: Loss = (), wait: Wait = True) -> Change:
        """Delete a page with its content. Refused while it holds tables and the like that may_lose does not name."""
        found = await upstream.get("docs", doc_id, "pages", page)
        await require_allowed_loss(upstream, doc_id, found, may_lose, subpages=True)
        deleted = await upstream.send("DELETE", "docs", doc_id, "pages", found["id"], repeatable=True)
        return change(deleted, await upstream.outcome(deleted, wait))


def _given(fields: dict[str, Any]) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _shown(
    upstream: Upstream,
    kind: Kind,
    content: str | None,
    content_format: Format,
    url: str | None,
    source_doc_id: str | None,
    source_page_id: str | None,
) -> Json | None:
    """What a new page shows, as the API takes it. Raises CodaError when the arguments do not fit the kind."""
    needed = {"embed": {"url": url}, "sync_doc": {"source_doc_id": source_doc_id}}.get(
        kind, {"source_doc_id": source_doc_id, "source_page_id": source_page_id} if kind == "sync_page" else {}
    )
    lacking = [name for name, value in needed.items() if not value]
    if lacking:
        raise CodaError("bad_argument", f"A page of the kind {kind} needs {' and '.join(lacking)}.")
    if kind == "canvas":
        return (content and {"type": "canvas", "canvasContent": {"format": content_format, "content": content}}) or None
    if content:
        raise CodaError("bad_argument", f"A page of the kind {kind} has no content of its own.")
    if kind == "embed":
        return {"type": "embed", "url": url}
    upstream.access.require(source_doc_id or "")
    synced = {"type": "syncPage", "sourceDocId": source_doc_id}
    if kind == "sync_doc":
        return {**synced, "mode": "document"}
    return {**synced, "mode": "page", "includeSubpages": True, "sourcePageId": source_page_id}
