"""How docs and pages are used. The figures are made up, but always the same for a doc and a day."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from local.coda.call import Call, Flag, Query, Texts, access_of, operation
from local.coda.model import Doc, Page
from local.coda.references import doc_reference, icon
from local.coda.wire import ApiError, answer
from local.coda.world import iso

DAYS = 30
MAX_LIMIT = 5000
CREDITS = ("aiCreditsChat", "aiCreditsBlock", "aiCreditsColumn", "aiCreditsAssistant", "aiCreditsReviewer", "aiCredits")
OrderBy = Literal[
    "date", "docId", "title", "createdAt", "publishedAt", "likes", "copies", "views", "sessionsDesktop",
    "sessionsMobile", "sessionsOther", "totalSessions", "aiCreditsChat", "aiCreditsBlock", "aiCreditsColumn",
    "aiCreditsAssistant", "aiCreditsReviewer", "aiCredits",
]  # fmt: skip


class DatesQuery(Query):
    since_date: date | None = None
    until_date: date | None = None


class SummaryQuery(DatesQuery):
    is_published: Flag | None = None
    workspace_id: str | None = None


class DocsQuery(SummaryQuery):
    doc_ids: Texts | None = None
    query: str | None = None
    scale: Literal["daily", "cumulative"] = "daily"
    order_by: OrderBy = "date"
    direction: Literal["ascending", "descending"] = "ascending"
    limit: int = Field(1000, ge=1, le=MAX_LIMIT)
    page_token: str | None = None


class PagesQuery(DatesQuery):
    limit: int = Field(1000, ge=1, le=MAX_LIMIT)
    page_token: str | None = None


def last_day(call: Call[Any]) -> date:
    """Yesterday: today's figures are not there yet."""
    return datetime.fromtimestamp(call.world.now(), UTC).date() - timedelta(days=1)


def days(call: Call[Any]) -> list[date]:
    last = last_day(call)
    until = min(call.query.until_date or last, last)
    since = max(call.query.since_date or last - timedelta(days=DAYS - 1), last - timedelta(days=365))
    return [since + timedelta(days=number) for number in range((until - since).days + 1)]


def doc_day(doc: Doc, day: date) -> dict[str, int]:
    def count(what: str, below: int) -> int:
        return zlib.crc32(f"{doc.doc_id} {day} {what}".encode()) % below

    sessions = {"sessionsMobile": count("m", 9), "sessionsDesktop": count("d", 25), "sessionsOther": count("o", 3)}
    credit = {name: count(name, 5) for name in CREDITS[:-1]}
    return {
        "views": count("v", 40) + sum(sessions.values()),
        "copies": count("c", 3),
        "likes": count("l", 4),
        **sessions,
        "totalSessions": sum(sessions.values()),
        **credit,
        "aiCredits": sum(credit.values()),
    }


def _docs(call: Call[Any]) -> list[Doc]:
    asked, email = call.query, call.user.email
    return [
        doc
        for doc in call.world.docs.values()
        if not doc.deleted
        and access_of(call.world, doc, email)
        and asked.workspace_id in (None, doc.workspace_id)
        and asked.is_published in (None, doc.published is not None)
    ]


async def list_docs(call: Call[DocsQuery]) -> Response:
    asked = call.query
    words = (asked.query or "").lower().split()
    found = [
        doc
        for doc in _docs(call)
        if (asked.doc_ids is None or doc.doc_id in asked.doc_ids) and all(word in doc.name.lower() for word in words)
    ]
    items = [_item(call, doc, metrics) for doc in found for metrics in _metrics(doc, days(call), asked.scale)]
    items.sort(key=lambda item: _rank(item, asked.order_by), reverse=asked.direction == "descending")
    return answer(call.page(items, lambda item: item, asked.limit))


def _metrics(doc: Doc, when: list[date], scale: str) -> Iterator[dict[str, Any]]:
    """A day each, or one sum of all."""
    figures = [doc_day(doc, day) for day in when]
    if scale == "daily" or not figures:
        yield from ({"date": day.isoformat(), **figure} for day, figure in zip(when, figures, strict=True))
    else:
        yield {"date": when[-1].isoformat(), **{name: sum(each[name] for each in figures) for name in figures[0]}}


def _item(call: Call[DocsQuery], doc: Doc, metrics: dict[str, Any]) -> dict[str, Any]:
    details = {
        **doc_reference(call.api, doc.doc_id),
        "title": doc.name,
        **icon(doc.icon),
        "createdAt": iso(doc.created_at),
    }
    if doc.published:
        details["publishedAt"] = iso(doc.published.at)
    return {"doc": details, "metrics": [metrics]}


def _rank(item: dict[str, Any], order_by: str) -> Any:
    doc, metrics = item["doc"], item["metrics"][0]
    if order_by == "docId":
        return doc["id"]
    return doc.get(order_by, "") if order_by in ("title", "createdAt", "publishedAt") else metrics[order_by]


async def summary(call: Call[SummaryQuery]) -> Response:
    total = sum(doc_day(doc, day)["totalSessions"] for doc in _docs(call) for day in days(call))
    return answer({"totalSessions": total})


async def list_pages(call: Call[PagesQuery]) -> Response:
    """401 for docs of workspaces without an Enterprise plan."""
    doc = call.doc()
    if not call.world.workspaces[doc.workspace_id].enterprise:
        raise ApiError(401, why="only in Enterprise workspaces")
    items = [(page, day) for page in doc.pages.values() for day in days(call)]
    return answer(call.page(items, lambda item: _page_item(*item), call.query.limit))


def _page_item(page: Page, day: date) -> dict[str, Any]:
    def count(what: str, below: int) -> int:
        return zlib.crc32(f"{page.page_id} {day} {what}".encode()) % below

    users = count("u", 6)
    metrics = {
        "date": day.isoformat(),
        "views": users + count("v", 20),
        "sessions": users + count("s", 8),
        "users": users,
        "averageSecondsViewed": count("a", 240),
        "medianSecondsViewed": count("m", 120),
        "tabs": count("t", 10),
    }
    return {"page": {"id": page.page_id, "name": page.name, **icon(page.icon)}, "metrics": [metrics]}


async def updated(call: Call[Query]) -> Response:
    day = last_day(call).isoformat()
    names = ("docAnalyticsLastUpdated", "packAnalyticsLastUpdated", "packFormulaAnalyticsLastUpdated")
    return answer(dict.fromkeys(names, day))


ROUTES = [
    operation("GET", "/analytics/docs", list_docs, "analytics", DocsQuery),
    operation("GET", "/analytics/docs/summary", summary, "analytics", SummaryQuery),
    operation("GET", "/analytics/docs/{doc}/pages", list_pages, "analytics", PagesQuery),
    operation("GET", "/analytics/updated", updated, "analytics"),
]
