"""Reading rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from ..upstream import CodaError, Upstream
from ..upstream.columns import Columns
from ..upstream.http import Json
from .fields import Cursor, DocId, Limit, RowRef, Scalar, TableRef, ValueFormat, VisibleOnly
from .registry import Registry
from .results import Row, Rows, more

ROWS_AT_ONCE = 200
# What a scan leaves of a call's time for its answer.
ANSWERING_SECONDS = 2.0

Names = Annotated[list[str] | None, Field(description="Only these columns")]
Keys = Annotated[Literal["names", "ids"], Field(description="How values are keyed")]


class FoundRows(Rows):
    """Rows that match, of those that were looked at."""

    scanned: int


def register(tools: Registry, upstream: Upstream, schemas: Columns) -> None:
    """Adds the tools that read rows."""

    @tools.read("List rows")
    async def coda_list_rows(
        doc_id: DocId,
        table: TableRef,
        column: Annotated[str | None, Field(description="With value: only rows where it has that value")] = None,
        value: Annotated[Scalar | None, Field(description="Of that column")] = None,
        visible_only: VisibleOnly = None,
        sort_by: Annotated[
            Literal["createdAt", "natural", "updatedAt"] | None, Field(description="natural: as people see it")
        ] = None,
        value_format: ValueFormat = "simpleWithArrays",
        columns: Names = None,
        keys: Keys = "names",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Rows:
        """List rows of a table or view, all or those where one column has exactly a value."""
        if (column is None) != (value is None):
            raise CodaError("bad_argument", "Give column and value together, or neither.")
        query = None
        if column is not None and cursor is None:
            found = await schemas.find(doc_id, table, column)
            query = f"{found['id']}:{json.dumps(value, ensure_ascii=False)}"
        wanted = await _wanted(schemas, doc_id, table, columns, keys)
        answer = await upstream.page(
            "docs", doc_id, "tables", table, "rows",
            cursor=cursor, query=query, visibleOnly=True if sort_by == "natural" else visible_only, sortBy=sort_by,
            valueFormat=value_format, useColumnNames=keys == "names", limit=limit,
        )  # fmt: skip
        return Rows(items=[_row(item, wanted) for item in answer["items"]], **more(answer))

    @tools.read("Search rows")
    async def coda_search_rows(
        doc_id: DocId,
        table: TableRef,
        text: Annotated[str | None, Field(description="Part of any value, upper or lower case", max_length=500)] = None,
        filters: Annotated[dict[str, Scalar] | None, Field(description="Value by column; all must match")] = None,
        columns: Names = None,
        limit: Annotated[int, Field(ge=1, le=500, description="Stop once so many are found")] = 50,
        max_scanned: Annotated[int, Field(ge=1, le=200_000, description="Rows to look at")] = 1000,
        cursor: Cursor = None,
    ) -> FoundRows:
        """Search rows by text or by several columns, a table of any size: with has_more go on by the cursor."""
        if not text and not filters:
            raise CodaError("bad_argument", "Give a text, or filters by column.")
        named = {(await schemas.find(doc_id, table, name))["name"]: value for name, value in (filters or {}).items()}
        wanted = await _wanted(schemas, doc_id, table, columns, "names")
        call, needle = upstream.calls.current, (text or "").casefold()
        rows: list[Row] = []
        scanned = 0
        while True:
            answer = await upstream.page(
                "docs", doc_id, "tables", table, "rows",
                cursor=cursor, useColumnNames=True, valueFormat="simpleWithArrays",
                limit=min(ROWS_AT_ONCE, max_scanned - scanned),
            )  # fmt: skip
            items = answer["items"]
            rows += [_row(item, wanted) for item in items if _matches(item.get("values") or {}, needle, named)]
            scanned += len(items)
            cursor = answer.get("nextPageToken")
            late = upstream.timing.now() > call.deadline - ANSWERING_SECONDS
            if not cursor or scanned >= max_scanned or len(rows) >= limit or late:
                return FoundRows(items=rows, scanned=scanned, **more(answer))
            await call.tell(f"{len(rows)} found in {scanned} rows", step=len(items))

    @tools.read("Get a row")
    async def coda_get_row(
        doc_id: DocId,
        table: TableRef,
        row: RowRef,
        value_format: ValueFormat = "simpleWithArrays",
        keys: Keys = "names",
    ) -> Row:
        """Get one row. rich gives links, people, images and relations as objects."""
        path = ("docs", doc_id, "tables", table, "rows", row)
        return Row.read(await upstream.get(*path, useColumnNames=keys == "names", valueFormat=value_format))


async def _wanted(
    schemas: Columns, doc_id: str, table: str, columns: Sequence[str] | None, keys: str
) -> frozenset[str] | None:
    if columns is None:
        return None
    found = [await schemas.find(doc_id, table, name) for name in columns]
    return frozenset(str(column["name" if keys == "names" else "id"]) for column in found)


def _row(item: Json, wanted: frozenset[str] | None) -> Row:
    row = Row.read(item)
    if wanted is not None:
        row.values = {name: value for name, value in row.values.items() if name in wanted}
    return row


def _matches(values: Json, needle: str, filters: dict[str, Any]) -> bool:
    if needle and not any(needle in text.casefold() for value in values.values() for text in _texts(value)):
        return False
    return all(_equal(values.get(name), value) for name, value in filters.items())


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, list):
        return any(_equal(each, wanted) for each in value)
    if isinstance(value, str) and isinstance(wanted, str):
        return value.casefold() == wanted.casefold()
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _texts(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [str(value)]
