"""How much docs and pages are used."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ..upstream import CodaError, Upstream
from .fields import Cursor, DocId, WorkspaceId
from .registry import Registry
from .results import Listing, Result, more

Day = Annotated[str | None, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="YYYY-MM-DD")]
Most = Annotated[int, Field(ge=1, le=5000, description="Most items")]
ORDERS = Literal[
    "date", "docId", "title", "createdAt", "publishedAt", "likes", "copies", "views",
    "sessionsDesktop", "sessionsMobile", "sessionsOther", "totalSessions", "aiCredits",
]  # fmt: skip


class Usage(Result):
    """One doc or page, with figures by day, or one set of them when they are cumulative."""

    id: str
    name: str | None = None
    metrics: list[dict[str, Any]] = Field(description="date, views, sessions...: Coda's names")


class Usages(Listing):
    items: list[Usage]


class Summary(Result):
    total_sessions: int


class Updated(Result):
    doc_analytics_last_updated: str


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds the tools for analytics. Those of Packs are left out, like everything about Packs."""

    @tools.read("Usage of docs")
    async def coda_list_doc_analytics(
        doc_ids: Annotated[list[str] | None, Field(description="Only these")] = None,
        workspace_id: WorkspaceId | None = None,
        query: Annotated[str | None, Field(description="Words of the name")] = None,
        is_published: Annotated[bool | None, Field(description="Published ones")] = None,
        since_date: Day = None,
        until_date: Day = None,
        scale: Annotated[
            Literal["daily", "cumulative"] | None, Field(description="Figures by day, or together")
        ] = None,
        order_by: Annotated[ORDERS | None, Field(description="Sort by")] = None,
        direction: Annotated[Literal["ascending", "descending"] | None, Field(description="Of the sorting")] = None,
        limit: Most = 100,
        cursor: Cursor = None,
    ) -> Usages:
        """List views, sessions, copies, likes and AI credits of docs."""
        allowed = upstream.access.doc_ids
        for doc_id in doc_ids or []:
            upstream.access.require(doc_id)
        wanted = doc_ids or sorted(allowed)
        found = await upstream.page(
            "analytics", "docs", cursor=cursor, docIds=",".join(wanted) or None, workspaceId=workspace_id, query=query,
            isPublished=is_published, sinceDate=since_date, untilDate=until_date, scale=scale, orderBy=order_by,
            direction=direction, limit=limit,
        )  # fmt: skip
        items = [
            Usage(id=item["doc"]["id"], name=item["doc"].get("title"), metrics=item["metrics"])
            for item in found["items"]
            if upstream.access.allows(item["doc"]["id"])
        ]
        return Usages(items=items, **more(found))

    @tools.read("Usage of all docs")
    async def coda_get_doc_analytics_summary(
        is_published: Annotated[bool | None, Field(description="Published ones")] = None,
        since_date: Day = None,
        until_date: Day = None,
        workspace_id: WorkspaceId | None = None,
    ) -> Summary:
        """Count the sessions of all docs together."""
        upstream.access.require_unrestricted("summary of all docs")
        found = await upstream.get(
            "analytics", "docs", "summary",
            isPublished=is_published, sinceDate=since_date, untilDate=until_date, workspaceId=workspace_id,
        )  # fmt: skip
        return Summary.model_validate(found)

    @tools.read("Usage of pages")
    async def coda_list_page_analytics(
        doc_id: DocId, since_date: Day = None, until_date: Day = None, limit: Most = 100, cursor: Cursor = None
    ) -> Usages:
        """List views, sessions and reading times of a doc's pages (Enterprise)."""
        found = await upstream.page(
            "analytics", "docs", doc_id, "pages",
            cursor=cursor, sinceDate=since_date, untilDate=until_date, limit=limit,
        )  # fmt: skip
        items = [
            Usage(id=item["page"]["id"], name=item["page"].get("name"), metrics=item["metrics"])
            for item in found["items"]
        ]
        return Usages(items=items, **more(found))

    @tools.read("Age of the analytics")
    async def coda_get_analytics_updated() -> Updated:
        """Tell up to which day analytics have been counted."""
        found = await upstream.get("analytics", "updated")
        if "docAnalyticsLastUpdated" not in found:
            raise CodaError("bad_answer", "Coda does not say when it counted last.")
        return Updated.model_validate(found)
