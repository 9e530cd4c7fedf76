"""The lines that a page consists of: what edits can refer to."""

from __future__ import annotations

from pydantic import Field

from ..upstream import Upstream
from .fields import Cursor, DocId, Limit, PageRef
from .registry import Registry
from .results import Listing, Result, more


class Element(Result):
    id: str
    style: str | None = Field(default=None, description="paragraph, h1, bulletedList...")
    text: str = ""
    level: int | None = None


class Elements(Listing):
    items: list[Element]


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds `coda_list_page_elements`."""

    @tools.read("List a page's elements")
    async def coda_list_page_elements(
        doc_id: DocId, page: PageRef, limit: Limit = 200, cursor: Cursor = None
    ) -> Elements:
        """List a page's lines with the element IDs that edits take. Tables, controls and images do not appear."""
        found = await upstream.page("docs", doc_id, "pages", page, "content", cursor=cursor, limit=limit)
        items = []
        for item in found["items"]:
            content = item.get("itemContent") or {}
            level = content.get("lineLevel")
            items.append(
                Element(id=item["id"], style=content.get("style"), text=content.get("content", ""), level=level)
            )
        return Elements(items=items, **more(found))
