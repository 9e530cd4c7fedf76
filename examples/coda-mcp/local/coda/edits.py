"""Rows, written: upsert, update, delete, buttons. All are answered before they are made."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.responses import Response

from local.coda.call import Body, Call, Flag, Query, by_key, operation
from local.coda.model import Column, Doc, Row, Table, new_id
from local.coda.page_edits import accepted
from local.coda.rows import find_row
from local.coda.values import flat, parse, stored
from local.coda.wire import bad_request

MAX_ROW_BYTES = 85 * 1024
Scalar = str | int | float | bool
Value = Scalar | list[Scalar | list[Scalar]]


class CellEdit(Body):
    column: str
    value: Value


class RowEdit(Body):
    cells: list[CellEdit]


class RowsUpsert(Body):
    """Without `rowIds`, which only undocumented types have. UNCONFIRMED: what Coda does with it."""

    rows: list[RowEdit]
    key_columns: list[str] | None = None


class RowUpdate(Body):
    row: RowEdit


class RowsDelete(Body):
    row_ids: list[str] = Field(min_length=1)


class ParseQuery(Query):
    disable_parsing: Flag = False


def read_cells(doc: Doc, table: Table, edit: RowEdit) -> dict[str, Any]:
    """Column id to value. Raises ApiError 400: row too large, column unknown, calculated or a button."""
    texts = [str(value) for cell in edit.cells for value in flat(cell.value)]
    size = sum(len(text.encode("utf-8", "surrogatepass")) + text.count("\n") for text in texts)
    if size > MAX_ROW_BYTES:
        kilobytes = -(-size // 1024)
        raise bad_request("row too large", f"Row edit of size {kilobytes} KB exceeds maximum size of 85 KB.")
    values: dict[str, Any] = {}
    for cell in edit.cells:
        column = column_of(doc, table, cell.column)
        if column.compute is not None or column.type == "button":
            raise bad_request(f"{column.name} cannot be written", f"Column {column.name} is not editable.")
        values[column.column_id] = cell.value
    return values


def column_of(doc: Doc, table: Table, key: str) -> Column:
    """UNCONFIRMED: that an unknown column of a body is a 400, and the text."""
    columns = doc.base_of(table).columns
    column = columns.get(key) or next((one for one in columns.values() if one.name == key), None)
    if column is None:
        raise bad_request(f"no column {key}", "Could not find a column with the specified ID or name.")
    return column


def _understood(call: Call[ParseQuery], doc: Doc, table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """As the columns understand it, when the change is made. Unparsed it stays text, so relations break."""
    if call.query.disable_parsing:
        return {key: ",".join(map(str, flat(value))) for key, value in values.items()}
    columns = doc.base_of(table).columns
    return {key: parse(call.world, doc, columns[key], value) for key, value in values.items() if key in columns}


async def upsert(call: Call[ParseQuery]) -> Response:
    """All rows or, if one is refused, none. With key columns every row that matches is changed."""
    doc = call.doc(write=True)
    table, body = call.table_of(doc), await call.body(RowsUpsert)
    if table.base is not None:
        raise bad_request("the table is a view", "Rows can only be upserted into base tables.")
    rows = [read_cells(doc, table, edit) for edit in body.rows]
    keys = [column_of(doc, table, key).column_id for key in body.key_columns or []]
    new_ids = [new_id("i-") for _ in rows]

    def apply(now: float) -> None:
        for row_id, values in zip(new_ids, rows, strict=True):
            wanted = _understood(call, doc, table, values)
            matching = [row for row in table.rows.values() if _matches(doc, table, row, wanted, keys)] if keys else []
            for row in matching or [_new_row(table, row_id, now)]:
                row.values |= wanted
                row.updated_at = now
        table.updated_at = now

    mutation = call.world.enqueue(doc, call.world.settings.insert_seconds, apply)
    return accepted(mutation) if keys else accepted(mutation, addedRowIds=new_ids)


def _matches(doc: Doc, table: Table, row: Row, wanted: dict[str, Any], keys: list[str]) -> bool:
    return all(stored(doc, row, table.columns[key]) == wanted.get(key, "") for key in keys)


def _new_row(table: Table, row_id: str, now: float) -> Row:
    row = Row(row_id, now, now)
    table.rows[row_id] = row
    return row


async def update(call: Call[ParseQuery]) -> Response:
    doc = call.doc(write=True)
    table, body = call.table_of(doc), await call.body(RowUpdate)
    row = find_row(call, doc, table, call.path["row"])
    values = read_cells(doc, table, body.row)

    def apply(now: float) -> None:
        row.values |= _understood(call, doc, table, values)
        row.updated_at = now

    return accepted(call.world.enqueue(doc, call.world.settings.insert_seconds, apply), id=row.row_id)


async def delete(call: Call[Query]) -> Response:
    doc = call.doc(write=True)
    table = call.table_of(doc)
    row = find_row(call, doc, table, call.path["row"])
    return accepted(_delete(call, doc, table, [row.row_id]), id=row.row_id)


async def delete_many(call: Call[Query]) -> Response:
    """UNCONFIRMED: ids that are not there change nothing."""
    doc = call.doc(write=True)
    table, body = call.table_of(doc), await call.body(RowsDelete)
    return accepted(_delete(call, doc, table, body.row_ids), rowIds=body.row_ids)


def _delete(call: Call[Query], doc: Doc, table: Table, row_ids: list[str]) -> Any:
    def apply(_: float) -> None:
        for row_id in row_ids:
            doc.base_of(table).rows.pop(row_id, None)

    return call.world.enqueue(doc, call.world.settings.delete_seconds, apply)


async def push(call: Call[Query]) -> Response:
    doc = call.doc(write=True)
    table = call.table_of(doc)
    row = find_row(call, doc, table, call.path["row"])
    column = by_key(doc.base_of(table).columns, call.path["column"], "column")
    press = column.press
    if press is None:
        raise bad_request(f"{column.name} is no button", "Column is not a button.")

    def apply(now: float) -> None:
        press(doc, row, now)

    mutation = call.world.enqueue(doc, call.world.settings.insert_seconds, apply)
    return accepted(mutation, rowId=row.row_id, columnId=column.column_id)


ROUTES = [
    operation("POST", "/docs/{doc}/tables/{table}/rows", upsert, "content", ParseQuery),
    operation("DELETE", "/docs/{doc}/tables/{table}/rows", delete_many, "content"),
    operation("PUT", "/docs/{doc}/tables/{table}/rows/{row}", update, "content", ParseQuery),
    operation("DELETE", "/docs/{doc}/tables/{table}/rows/{row}", delete, "content"),
    operation("POST", "/docs/{doc}/tables/{table}/rows/{row}/buttons/{column}", push, "content"),
]
