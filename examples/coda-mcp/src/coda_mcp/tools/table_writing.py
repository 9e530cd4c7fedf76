"""Making tables. Coda's API has no operation for it; HTML content with a table in it makes one."""

from __future__ import annotations

from typing import Annotated

import jinja2
from pydantic import Field

from ..upstream import CodaError, Upstream
from ..upstream.columns import Columns
from .fields import DocId, PageRef, Scalar
from .registry import Registry
from .results import Change, change, id_of

MOST_TABLES = 1000

HTML = jinja2.Environment(autoescape=True).from_string(
    "{% if name %}<h3>{{ name }}</h3>{% endif %}<table><thead><tr>{% for column in columns %}<th>{{ column }}</th>"
    "{% endfor %}</tr></thead><tbody>{% for row in rows %}<tr>{% for cell in row %}<td>"
    "{{ '' if cell is none else cell }}</td>{% endfor %}</tr>{% endfor %}</tbody></table>"
)


def register(tools: Registry, upstream: Upstream, columns_of: Columns) -> None:
    """Adds `coda_create_table`."""

    @tools.write("Create a table")
    async def coda_create_table(
        doc_id: DocId,
        page: PageRef,
        columns: Annotated[
            list[Annotated[str, Field(min_length=1, max_length=200)]],
            Field(min_length=1, max_length=100, description="Names"),
        ],
        rows: Annotated[list[list[Scalar | None]], Field(max_length=500, description="Cells in order of columns")] = [],  # noqa: B006 - never changed
        name: Annotated[str | None, Field(description="Heading above it", max_length=200)] = None,
    ) -> Change:
        """Add a new table with text columns to the end of a page. Its id is in the result once it is applied; types
        and formulas of columns can only be set in Coda itself."""
        long = [number for number, row in enumerate(rows) if len(row) > len(columns)]
        if long:
            raise CodaError("bad_argument", f"Row {long[0]} has more cells than there are columns ({len(columns)}).")
        if len(set(columns)) < len(columns):
            raise CodaError("bad_argument", "Two columns have the same name.")
        found = await upstream.get("docs", doc_id, "pages", page)
        before = await _tables_on(upstream, doc_id, found["id"])
        even = [[*row, *[None] * (len(columns) - len(row))] for row in rows]
        html = HTML.render(name=name, columns=columns, rows=even)
        update = {"insertionMode": "append", "canvasContent": {"format": "html", "content": html}}
        body = {"contentUpdate": update}
        made = await upstream.send("PUT", "docs", doc_id, "pages", found["id"], body=body)
        outcome = await upstream.outcome(made)
        if outcome.status == "pending":
            return change(made, outcome, id=None, message="Find its ID with coda_list_tables once it is applied.")
        new = [table for table in await _tables_on(upstream, doc_id, found["id"]) if table not in before]
        return change(made, outcome, id=new[0] if len(new) == 1 else None)


async def _tables_on(upstream: Upstream, doc_id: str, page_id: str) -> list[str]:
    found = upstream.items("docs", doc_id, "tables", most=MOST_TABLES, limit=100)
    return [str(table["id"]) async for table in found if id_of(table.get("parent")) == page_id]
