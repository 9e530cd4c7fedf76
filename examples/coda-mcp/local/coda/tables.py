"""Tables, views and their columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from local.coda.call import Call, Flag, Paged, Query, Texts, by_key, operation
from local.coda.model import Column, Doc, Row, Table
from local.coda.references import column_reference, table_reference
from local.coda.values import equals, stored
from local.coda.wire import answer, bad_request
from local.coda.world import World, iso

TYPES = {"table", "view", "database"}


class TablesQuery(Paged):
    sort_by: Literal["name"] | None = None
    table_types: Texts | None = None


class TableQuery(Query):
    use_updated_table_layouts: Flag = False


class ColumnsQuery(Paged):
    limit: int = Field(25, ge=1, le=100)
    visible_only: Flag = False
    include_image_ref_columns: Flag = False


def visible_columns(doc: Doc, table: Table) -> list[Column]:
    return [column for column in doc.base_of(table).columns.values() if column.column_id not in table.hidden]


def rows_of(world: World, doc: Doc, table: Table) -> Iterable[Row]:
    """In order of creation; of a view those that its filter lets through."""
    base = doc.base_of(table)
    if table.only is None:
        return base.rows.values()
    column_id, wanted = table.only
    column = base.columns[column_id]
    return (row for row in base.rows.values() if equals(world, doc, column, stored(doc, row, column), wanted))


def render(call: Call[Any], doc: Doc, table: Table) -> dict[str, Any]:
    base = doc.base_of(table)
    content = {
        **table_reference(call.api, doc, table),
        "displayColumn": column_reference(call.api, doc, table, table.display or base.display),
        "rowCount": sum(1 for _ in rows_of(call.world, doc, table)),
        "sorts": [],
        "layout": table.layout,
        "createdAt": iso(table.created_at),
        "updatedAt": iso(table.updated_at),
        "viewId": f"table-{table.table_id.partition('-')[2]}",
    }
    if table.sort:
        reference = column_reference(call.api, doc, table, table.sort)
        content["sorts"] = [{"column": reference, "direction": "ascending"}]
    if table.base:
        content["parentTable"] = table_reference(call.api, doc, base)
    if table.only:
        no = dict.fromkeys(("isVolatile", "hasUserFormula", "hasTodayFormula", "hasNowFormula"), False)
        content["filter"] = {"valid": True, **no}
    return content


def render_column(call: Call[Any], doc: Doc, table: Table, column: Column) -> dict[str, Any]:
    content = {
        **column_reference(call.api, doc, table, column.column_id),
        "name": column.name,
        "format": {"type": column.type, "isArray": column.is_array, **column.format},
    }
    if column.column_id == (table.display or doc.base_of(table).display):
        content["display"] = True
    if column.compute is not None:
        content["calculated"] = True
    if column.formula is not None:
        content["formula"] = column.formula
    if column.default is not None:
        content["defaultValue"] = column.default
    if column.lookup in doc.tables:
        content["format"]["table"] = table_reference(call.api, doc, doc.tables[column.lookup])
    return content


async def list_tables(call: Call[TablesQuery]) -> Response:
    doc, wanted = call.doc(), call.query.table_types
    if wanted is not None and not set(wanted) <= TYPES:
        raise bad_request(f"query: tableTypes: of {sorted(TYPES)}")
    found = [table for table in doc.tables.values() if wanted is None or ("view" if table.base else "table") in wanted]
    if call.query.sort_by:
        found.sort(key=lambda table: table.name.lower())
    return answer(call.listing(found, lambda table: table_reference(call.api, doc, table)))


async def get_table(call: Call[TableQuery]) -> Response:
    doc = call.doc()
    return answer(render(call, doc, call.table_of(doc)))


async def list_columns(call: Call[ColumnsQuery]) -> Response:
    doc = call.doc()
    table = call.table_of(doc)
    found = visible_columns(doc, table) if call.query.visible_only else doc.base_of(table).columns.values()
    return answer(call.listing(found, lambda column: render_column(call, doc, table, column)))


async def get_column(call: Call[Query]) -> Response:
    doc = call.doc()
    table = call.table_of(doc)
    column = by_key(doc.base_of(table).columns, call.path["column"], "column")
    return answer(render_column(call, doc, table, column) | {"parent": table_reference(call.api, doc, table)})


ROUTES = [
    operation("GET", "/docs/{doc}/tables", list_tables, query=TablesQuery),
    operation("GET", "/docs/{doc}/tables/{table}", get_table, query=TableQuery),
    operation("GET", "/docs/{doc}/tables/{table}/columns", list_columns, query=ColumnsQuery),
    operation("GET", "/docs/{doc}/tables/{table}/columns/{column}", get_column),
]
