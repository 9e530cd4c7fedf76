"""Writing rows. What is wrong with a row is said before any is sent: Coda refuses a batch without naming the row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from ..upstream import CodaError, Upstream
from ..upstream.columns import Columns
from ..upstream.http import Json
from .batches import ROWS_AT_ONCE, Batches, RowChangeT, in_batches
from .fields import Cells, ColumnRef, DocId, RowRef, Scalar, TableRef, Wait
from .registry import Registry
from .results import Change, RowChange, change

MOST_ROWS = 5000
MOST_DELETED = 1000

Parsing = Annotated[bool, Field(description="Take values literally; breaks relations")]


class RowCells(BaseModel):
    """A row and its new values."""

    row: RowRef
    cells: Cells


class Deletion(RowChange):
    matched: int | None = Field(default=None, description="Rows that the query found")


def register(tools: Registry, upstream: Upstream, schemas: Columns) -> None:  # noqa: C901 - one tool after the other
    """Adds the tools that write rows."""

    @tools.write("Insert or upsert rows")
    async def coda_upsert_rows(
        doc_id: DocId,
        table: TableRef,
        rows: Annotated[list[Cells], Field(min_length=1, max_length=MOST_ROWS, description="A row each")],
        key_columns: Annotated[
            list[str] | None, Field(description="Update the rows that are equal in these, insert the others")
        ] = None,
        disable_parsing: Parsing = False,
        wait: Wait = True,
    ) -> RowChange:
        """Insert rows; with key_columns update or insert, which is safe to repeat. Base tables only, not views."""
        edits = [
            {"cells": await schemas.edits(doc_id, table, cells, f"Row {number}")} for number, cells in enumerate(rows)
        ]
        keys = [str((await schemas.find(doc_id, table, name))["id"]) for name in key_columns or []]
        for number, edit in enumerate(edits):
            if missing := set(keys) - {cell["column"] for cell in edit["cells"]}:
                raise CodaError("bad_argument", f"Row {number} has no value for the key column {missing.pop()}.")
        path = ("docs", doc_id, "tables", table, "rows")
        more_body: Json = {"keyColumns": keys} if keys else {}
        query = {"disableParsing": True} if disable_parsing else None
        written = Batches(upstream, wait)
        for batch in in_batches(edits):
            body = {"rows": batch, **more_body}
            if not await written.send("POST", path, body, len(batch), query=query, repeatable=bool(keys)):
                break
        return await written.result(len(rows), RowChange)

    @tools.write("Update a row", idempotent=True)
    async def coda_update_row(
        doc_id: DocId,
        table: TableRef,
        row: RowRef,
        cells: Cells,
        disable_parsing: Parsing = False,
        wait: Wait = True,
    ) -> Change:
        """Change cells of one row."""
        answer = await _update(doc_id, table, row, await schemas.edits(doc_id, table, cells), disable_parsing)
        return change(answer, await upstream.outcome(answer, wait))

    @tools.write("Update rows", idempotent=True)
    async def coda_update_rows(
        doc_id: DocId,
        table: TableRef,
        rows: Annotated[list[RowCells], Field(min_length=1, max_length=100, description="Which, and what")],
        disable_parsing: Parsing = False,
        wait: Wait = True,
    ) -> RowChange:
        """Change cells of several rows: a request for each, 3 in 10 s. With a key column coda_upsert_rows is faster."""
        edits = [await schemas.edits(doc_id, table, each.cells, f"Row {number}") for number, each in enumerate(rows)]
        written = Batches(upstream, wait)
        for each, edit in zip(rows, edits, strict=True):
            path = ("docs", doc_id, "tables", table, "rows", each.row)
            query = {"disableParsing": True} if disable_parsing else None
            body = {"row": {"cells": edit}}
            if not await written.send("PUT", path, body, 1, query=query, repeatable=True):
                break
        return await written.result(len(rows), RowChange)

    @tools.write("Delete rows", destructive=True, idempotent=True)
    async def coda_delete_rows(
        doc_id: DocId,
        table: TableRef,
        row_ids: Annotated[
            list[Annotated[str, Field(pattern="^i-")]],
            Field(min_length=1, max_length=MOST_DELETED, description="i-..."),
        ],
        wait: Wait = True,
    ) -> RowChange:
        """Delete rows by their IDs (i-...)."""
        return await _delete(doc_id, table, row_ids, wait, RowChange)

    @tools.write("Delete rows by value", destructive=True)
    async def coda_delete_rows_by_query(
        doc_id: DocId,
        table: TableRef,
        column: ColumnRef,
        value: Annotated[Scalar, Field(description="Of that column")],
        dry_run: Annotated[bool, Field(description="Only tell which rows")] = True,
        max_rows: Annotated[int, Field(ge=1, le=MOST_DELETED, description="Refuse if there are more")] = 100,
        wait: Wait = True,
    ) -> Deletion:
        """Delete the rows where a column has exactly a value. First a dry run, then dry_run=false."""
        found = await schemas.find(doc_id, table, column)
        query = f"{found['id']}:{json.dumps(value, ensure_ascii=False)}"
        path = ("docs", doc_id, "tables", table, "rows")
        matching = upstream.items(*path, most=max_rows + 1, query=query, limit=min(max_rows + 1, 500))
        row_ids = [str(row["id"]) async for row in matching]
        if len(row_ids) > max_rows:
            raise CodaError("bad_argument", f"Nothing was deleted: more than {max_rows} rows match (max_rows).")
        if dry_run or not row_ids:
            said = "Nothing was deleted: this was a dry run." if dry_run else "No row matches."
            return Deletion(status="applied", matched=len(row_ids), row_ids=row_ids, message=said)
        deleted = await _delete(doc_id, table, row_ids, wait, Deletion)
        return deleted.model_copy(update={"matched": len(row_ids)})

    async def _update(doc_id: str, table: str, row: str, edits: list[Json], literally: bool) -> Json:
        query = {"disableParsing": True} if literally else None
        path = ("docs", doc_id, "tables", table, "rows", row)
        return await upstream.send("PUT", *path, body={"row": {"cells": edits}}, query=query, repeatable=True)

    async def _delete(doc_id: str, table: str, ids: Sequence[str], wait: bool, kind: type[RowChangeT]) -> RowChangeT:
        written = Batches(upstream, wait)
        for first in range(0, len(ids), ROWS_AT_ONCE):
            some = list(ids[first : first + ROWS_AT_ONCE])
            path = ("docs", doc_id, "tables", table, "rows")
            if not await written.send("DELETE", path, {"rowIds": some}, len(some), repeatable=True):
                break
        return await written.result(len(ids), kind)
