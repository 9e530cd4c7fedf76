"""Tables, views and their columns."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ..upstream import Upstream
from ..upstream.columns import Columns as Schemas
from .fields import ColumnRef, Cursor, DocId, Full, Limit, TableRef, VisibleOnly
from .registry import Registry
from .results import Column, Columns, Table, Tables, Thing, more


class KnownColumn(Thing):
    type: str | None = None
    calculated: bool | None = None
    formula: str | None = None
    options: list[str] | None = None
    table_id: str | None = None


class Description(Thing):
    """A table with what one needs to know to read and write it."""

    table_type: str | None = None
    row_count: int | None = None
    browser_link: str | None = None
    columns: list[KnownColumn]
    sample_rows: list[dict[str, Any]] = Field(description="Values by column name, and the row's id")


def register(tools: Registry, upstream: Upstream, schemas: Schemas) -> None:
    """Adds the tools for tables."""

    @tools.read("List tables")
    async def coda_list_tables(
        doc_id: DocId,
        table_types: Annotated[list[Literal["table", "view"]] | None, Field(description="Only these")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
        full: Full = False,
    ) -> Tables:
        """List a doc's tables and views."""
        types = ",".join(table_types) if table_types else None
        found = await upstream.page("docs", doc_id, "tables", cursor=cursor, limit=limit, tableTypes=types)
        return Tables(items=[Table.read(item, full) for item in found["items"]], **more(found))

    @tools.read("Get a table")
    async def coda_get_table(doc_id: DocId, table: TableRef, full: Full = False) -> Table:
        """Get a table's or view's place, row count and dates."""
        return Table.read(await upstream.get("docs", doc_id, "tables", table), full)

    @tools.read("List columns")
    async def coda_list_columns(
        doc_id: DocId,
        table: TableRef,
        visible_only: VisibleOnly = None,
        limit: Annotated[int, Field(ge=1, le=100, description="Most items")] = 50,
        cursor: Cursor = None,
        full: Full = False,
    ) -> Columns:
        """List a table's columns with types and formulas."""
        found = await upstream.page(
            "docs", doc_id, "tables", table, "columns", cursor=cursor, limit=limit, visibleOnly=visible_only
        )
        return Columns(items=[Column.read(item, full) for item in found["items"]], **more(found))

    @tools.read("Get a column")
    async def coda_get_column(doc_id: DocId, table: TableRef, column: ColumnRef, full: Full = False) -> Column:
        """Get one column's type, formula and options."""
        return Column.read(await upstream.get("docs", doc_id, "tables", table, "columns", column), full)

    @tools.read("Describe a table")
    async def coda_describe_table(
        doc_id: DocId, table: TableRef, sample_rows: Annotated[int, Field(ge=0, le=20, description="How many rows")] = 3
    ) -> Description:
        """Get a table, all of its columns and a few rows in one call. Best before writing rows."""
        found = await upstream.get("docs", doc_id, "tables", table)
        columns = await schemas.of(doc_id, table, fresh=True)
        rows = []
        if sample_rows:
            some = await upstream.get(
                "docs", doc_id, "tables", table, "rows",
                limit=sample_rows, useColumnNames=True, valueFormat="simpleWithArrays",
            )  # fmt: skip
            rows = [{"id": row["id"], "values": row["values"]} for row in some["items"]]
        known = [KnownColumn.model_validate(Column.read(each).model_dump()) for each in columns]
        return Description.read(found, columns=known, sample_rows=rows)
