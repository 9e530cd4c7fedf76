"""Rows, read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Literal

from starlette.responses import Response

from local.coda import paging
from local.coda.call import Call, Flag, Paged, Query, operation
from local.coda.model import Column, Doc, Row, Table
from local.coda.references import row_link, table_reference, table_url
from local.coda.tables import rows_of, visible_columns
from local.coda.values import equals, name_of, render, stored
from local.coda.wire import ApiError, answer, bad_request, not_found
from local.coda.world import iso

ValueFormat = Literal["simple", "simpleWithArrays", "rich"]


class RowQuery(Query):
    use_column_names: Flag = False
    value_format: ValueFormat = "simple"


class RowsQuery(Paged):
    query: str | None = None
    sort_by: Literal["createdAt", "natural", "updatedAt"] | None = None
    use_column_names: Flag = False
    value_format: ValueFormat = "simple"
    visible_only: Flag | None = None
    sync_token: str | None = None


def find_row(call: Call[Any], doc: Doc, table: Table, key: str) -> Row:
    """By id, else the first with that text in the display column. Raises ApiError 404."""
    row = doc.base_of(table).rows.get(key)
    if row is not None:
        return row
    for row in rows_of(call.world, doc, table):
        if name_of(call.world, doc, table, row) == key:
            return row
    raise not_found("row")


def show(
    call: Call[Any], doc: Doc, table: Table, columns: list[Column], by_name: bool, value_format: str
) -> Callable[[tuple[int, Row]], dict[str, Any]]:
    """How a row with its place is shown."""
    url = table_url(call.api, doc, table)

    def one(numbered: tuple[int, Row]) -> dict[str, Any]:
        index, row = numbered
        return {
            "id": row.row_id,
            "type": "row",
            "href": f"{url}/rows/{row.row_id}",
            "name": name_of(call.world, doc, table, row),
            "index": index,
            "browserLink": row_link(doc, table, row),
            "createdAt": iso(row.created_at),
            "updatedAt": iso(row.updated_at),
            "values": {
                column.name if by_name else column.column_id: render(
                    call.world, doc, column, stored(doc, row, column), value_format
                )
                for column in columns
            },
        }

    return one


async def list_rows(call: Call[RowsQuery]) -> Response:
    doc, asked = call.doc(), call.query
    table = call.table_of(doc)
    ceiling = call.world.settings.rows_504_above
    if ceiling is not None and asked.limit > ceiling:
        raise ApiError(504, why=f"rows_504_above is {ceiling}")
    if asked.sort_by == "natural" and asked.visible_only is False:
        raise bad_request("natural needs visibleOnly", "Natural sorting is only available for visible rows.")
    visible_only = asked.visible_only or asked.sort_by == "natural"
    columns = visible_columns(doc, table) if visible_only else list(doc.base_of(table).columns.values())
    found: Iterable[tuple[int, Row]] = enumerate(rows_of(call.world, doc, table))
    if asked.query is not None:
        column, wanted = read_query(doc, table, asked.query)
        found = (
            (index, row) for index, row in found if equals(call.world, doc, column, stored(doc, row, column), wanted)
        )
    if asked.sync_token is not None:
        since = _since(asked.sync_token)
        found = ((index, row) for index, row in found if row.updated_at > since)
    if asked.sort_by == "updatedAt":
        found = sorted(found, key=lambda numbered: numbered[1].updated_at)
    elif asked.sort_by == "natural" and table.sort:
        column = doc.base_of(table).columns[table.sort]
        found = sorted(found, key=lambda numbered: str(stored(doc, numbered[1], column)))
    content = call.listing(found, show(call, doc, table, columns, asked.use_column_names, asked.value_format))
    return answer(content | {"nextSyncToken": paging.encode({"since": call.world.now()})})


def _since(token: str) -> float:
    since = paging.decode(token).get("since")
    if not isinstance(since, int | float):
        raise ApiError(400, "Invalid pageToken.")
    return since


def read_query(doc: Doc, table: Table, text: str) -> tuple[Column, Any]:
    """`<column id>:<JSON>` or `"<column name>":<JSON>`. Raises ApiError 400."""
    columns = doc.base_of(table).columns
    decoder = json.JSONDecoder()
    try:
        if text.startswith('"'):
            name, end = decoder.raw_decode(text)
            column = next((one for one in columns.values() if one.name == name), None)
        else:
            end = text.index(":")
            column = columns.get(text[:end])
        if text[end : end + 1] != ":":
            raise ValueError
        wanted = json.loads(text[end + 1 :])
    except ValueError:
        raise bad_request('query: neither <column id>:<JSON> nor "<name>":<JSON>') from None
    if column is None:
        raise bad_request("query: no such column; a name has to be quoted")
    return column, wanted


async def get_row(call: Call[RowQuery]) -> Response:
    doc, asked = call.doc(), call.query
    table = call.table_of(doc)
    row = find_row(call, doc, table, call.path["row"])
    index = next((place for place, one in enumerate(rows_of(call.world, doc, table)) if one is row), 0)
    columns = list(doc.base_of(table).columns.values())
    one = show(call, doc, table, columns, asked.use_column_names, asked.value_format)
    return answer(one((index, row)) | {"parent": table_reference(call.api, doc, table)})


ROUTES = [
    operation("GET", "/docs/{doc}/tables/{table}/rows", list_rows, query=RowsQuery),
    operation("GET", "/docs/{doc}/tables/{table}/rows/{row}", get_row, query=RowQuery),
]
