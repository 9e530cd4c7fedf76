"""What is in a doc, and finding things there by name."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

from pydantic import Field

from ..upstream import Upstream
from ..upstream.http import Json
from .fields import DocId
from .registry import Registry
from .results import Named, Result, Thing, id_of

MOST_PAGES = 500
MOST_TABLES = 200
MOST_OTHERS = 200
TABLES_WITH_COLUMNS = 8
TABLES_SEARCHED = 20
LEAST_SCORE = 0.55
MOST_MATCHES = 20

Kind = Literal["page", "table", "column", "formula", "control"]


class OutlinePage(Thing):
    parent_id: str | None = None
    content_type: str | None = None


class OutlineTable(Thing):
    type: str | None = None
    page_id: str | None = None
    columns: list[str] | None = Field(default=None, description="Name (type)")


class Outline(Result):
    """What a doc consists of."""

    id: str
    name: str
    browser_link: str | None = None
    updated_at: str | None = None
    pages: list[OutlinePage]
    tables: list[OutlineTable]
    formulas: list[Named]
    controls: list[Named]
    truncated: bool = False


class Match(Thing):
    kind: Kind
    table_id: str | None = None
    score: float = Field(description="1 is the same name")


class Matches(Result):
    matches: list[Match]


def register(tools: Registry, upstream: Upstream) -> None:  # noqa: C901 - one tool after the other
    """Adds `coda_get_doc_outline` and `coda_find_in_doc`."""

    @tools.read("Outline of a doc")
    async def coda_get_doc_outline(
        doc_id: DocId,
        include_columns: Annotated[
            Literal["auto", "yes", "no"], Field(description="auto: if there are at most 8 tables")
        ] = "auto",
    ) -> Outline:
        """Get a doc's pages, tables with columns, formulas and controls in one call."""
        return await outline(upstream, doc_id, include_columns)

    @tools.read("Find by name in a doc")
    async def coda_find_in_doc(
        doc_id: DocId,
        query: Annotated[str, Field(min_length=1, max_length=200, description="A name")],
        kinds: Annotated[list[Kind] | None, Field(description="Only these")] = None,
    ) -> Matches:
        """Find pages, tables, columns, formulas and controls by a name that is about right."""
        wanted = kinds or ["page", "table", "column", "formula", "control"]
        matches: list[Match] = []
        for kind, place in (("page", "pages"), ("formula", "formulas"), ("control", "controls")):
            if kind in wanted:
                async for item in upstream.items("docs", doc_id, place, most=MOST_PAGES, limit=100):
                    matches += _match(query, kind, item)
        if "table" in wanted or "column" in wanted:
            tables = [table async for table in upstream.items("docs", doc_id, "tables", most=MOST_TABLES, limit=100)]
            if "table" in wanted:
                matches += [match for table in tables for match in _match(query, "table", table)]
            if "column" in wanted:
                for table in [table for table in tables if table.get("tableType") != "view"][:TABLES_SEARCHED]:
                    path = ("docs", doc_id, "tables", table["id"], "columns")
                    async for column in upstream.items(*path, limit=100):
                        matches += _match(query, "column", column, str(table["id"]))
        matches.sort(key=lambda match: -match.score)
        return Matches(matches=matches[:MOST_MATCHES])


async def outline(upstream: Upstream, doc_id: str, include_columns: str = "auto") -> Outline:
    """The outline of a doc."""
    doc = await upstream.get("docs", doc_id)
    pages = await _all(upstream, doc_id, "pages", MOST_PAGES)
    tables = await _all(upstream, doc_id, "tables", MOST_TABLES)
    formulas = await _all(upstream, doc_id, "formulas", MOST_OTHERS)
    controls = await _all(upstream, doc_id, "controls", MOST_OTHERS)
    with_columns = include_columns == "yes" or (include_columns == "auto" and len(tables) <= TABLES_WITH_COLUMNS)
    outlined = []
    for table in tables:
        columns = await _column_names(upstream, doc_id, table) if with_columns else None
        outlined.append(
            OutlineTable(
                id=table["id"],
                name=table.get("name", ""),
                type=table.get("tableType"),
                page_id=id_of(table.get("parent")),
                columns=columns,
            )
        )
    return Outline(
        id=doc["id"],
        name=doc.get("name", ""),
        browser_link=doc.get("browserLink"),
        updated_at=doc.get("updatedAt"),
        pages=[OutlinePage.read(page, parent_id=id_of(page.get("parent"))) for page in pages],
        tables=outlined,
        formulas=[Named.read(each) for each in formulas],
        controls=[Named.read(each) for each in controls],
        truncated=len(pages) == MOST_PAGES or len(tables) == MOST_TABLES,
    )


async def _all(upstream: Upstream, doc_id: str, kind: str, most: int) -> list[Json]:
    return [item async for item in upstream.items("docs", doc_id, kind, most=most, limit=100)]


async def _column_names(upstream: Upstream, doc_id: str, table: Json) -> list[str]:
    found = upstream.items("docs", doc_id, "tables", table["id"], "columns", limit=100)
    return [f"{column.get('name', '')} ({(column.get('format') or {}).get('type', '?')})" async for column in found]


def score(query: str, name: str) -> float:
    """How near a name is, from 0 to 1."""
    wanted, given = query.casefold(), name.casefold()
    if wanted == given:
        return 1.0
    near = difflib.SequenceMatcher(None, wanted, given).ratio()
    return max(near, 0.9) if wanted in given else near


def _match(query: str, kind: str, item: Json, table_id: str | None = None) -> list[Match]:
    found = score(query, str(item.get("name", "")))
    if found < LEAST_SCORE:
        return []
    fields = {"id": item["id"], "name": item.get("name", ""), "kind": kind, "table_id": table_id}
    return [Match.model_validate({**fields, "score": round(found, 2)})]
