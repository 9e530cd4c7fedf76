"""Docs as public web pages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..upstream import Upstream
from .fields import DocId, Wait
from .registry import Registry
from .results import Change, Result, change


class Categories(Result):
    names: list[str]


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds the tools for publishing."""

    @tools.read("List categories")
    async def coda_list_categories() -> Categories:
        """List the categories that a published doc can have."""
        return Categories(names=[item["name"] for item in (await upstream.get("categories"))["items"]])

    @tools.write("Publish a doc", idempotent=True)
    async def coda_publish_doc(
        doc_id: DocId,
        slug: Annotated[str | None, Field(description="Its part of the URL", max_length=200)] = None,
        mode: Annotated[Literal["view", "play", "edit"], Field(description="What visitors may do")] = "view",
        discoverable: Annotated[bool, Field(description="Show it in Coda's gallery and to search engines")] = False,
        category_names: Annotated[list[str] | None, Field(description="From coda_list_categories")] = None,
        wait: Wait = True,
    ) -> Change:
        """Make a doc public to the whole web. Ask the person first."""
        body = {"slug": slug, "mode": mode, "discoverable": discoverable, "categoryNames": category_names}
        body = {name: value for name, value in body.items() if value is not None}
        published = await upstream.send("PUT", "docs", doc_id, "publish", body=body, repeatable=True)
        return change(published, await upstream.outcome(published, wait), id=doc_id)

    @tools.write("Unpublish a doc", destructive=True, idempotent=True)
    async def coda_unpublish_doc(doc_id: DocId) -> Change:
        """Take a doc off the public web."""
        await upstream.send("DELETE", "docs", doc_id, "publish", repeatable=True)
        return Change(status="applied", id=doc_id)
