"""Docs, pages, tables and rows as text: for `fetch` and for resources."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

from ..upstream import Upstream
from ..upstream.columns import Columns
from ..upstream.links import Address
from .outline import Outline, outline
from .page_reading import window

MOST_CHARS = 100_000
MOST_ROWS = 100


@dataclass(frozen=True)
class Text:
    """`truncated`: there is more than this."""

    title: str
    text: str
    link: str
    kind: str
    updated_at: str | None = None
    truncated: bool = False


class Reader:
    """Reads what an address means. Raises CodaError."""

    def __init__(self, upstream: Upstream, columns: Columns) -> None:
        self._upstream = upstream
        self._columns = columns

    async def read(self, address: Address) -> Text:
        """The text of it."""
        if address.page is not None:
            return await self.page(address.doc_id, address.page)
        if address.row is not None:
            return await self._row(address.doc_id, address.table or "", address.row)
        if address.table is not None:
            return await self._table(address.doc_id, address.table)
        return await self._doc(address.doc_id)

    async def page(self, doc_id: str, page: str) -> Text:
        """A page as Markdown."""
        found = await self._upstream.get("docs", doc_id, "pages", page)
        part = await window(await self._upstream.exports.read(doc_id, found, "markdown"), 0, MOST_CHARS)
        link, updated = found.get("browserLink", ""), found.get("updatedAt")
        return Text(found.get("name", ""), part.text, link, "page", updated, part.next_start is not None)

    async def rows(self, doc_id: str, table: str) -> tuple[str, bool]:
        """The first rows of a table as CSV, and whether there are more."""
        names = [str(column.get("name", "")) for column in await self._columns.of(doc_id, table)]
        answer = await self._upstream.get(
            "docs", doc_id, "tables", table, "rows", limit=MOST_ROWS, useColumnNames=True, valueFormat="simple"
        )
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["row_id", *names])
        for row in answer["items"]:
            writer.writerow([row["id"], *(_plain(row["values"].get(name, "")) for name in names)])
        return out.getvalue(), "nextPageToken" in answer

    async def _doc(self, doc_id: str) -> Text:
        found = await outline(self._upstream, doc_id)
        return Text(found.name, as_text(found), found.browser_link or "", "doc", found.updated_at, found.truncated)

    async def _table(self, doc_id: str, table: str) -> Text:
        found = await self._upstream.get("docs", doc_id, "tables", table)
        text, more = await self.rows(doc_id, table)
        return Text(found.get("name", ""), text, found.get("browserLink", ""), "table", found.get("updatedAt"), more)

    async def _row(self, doc_id: str, table: str, row: str) -> Text:
        path = ("docs", doc_id, "tables", table, "rows", row)
        found = await self._upstream.get(*path, useColumnNames=True, valueFormat="simple")
        text = "\n".join(f"{name}: {_plain(value)}" for name, value in found["values"].items())
        return Text(found.get("name", ""), text, found.get("browserLink", ""), "row", found.get("updatedAt"))


def as_text(found: Outline) -> str:
    """An outline for a reader."""
    lines = [found.name, "", "Pages:"]
    lines += [f"- {page.name} ({page.id})" for page in found.pages]
    lines += ["", "Tables:"]
    for table in found.tables:
        columns = f": {', '.join(table.columns)}" if table.columns else ""
        lines.append(f"- {table.name} ({table.id}){columns}")
    for title, things in (("Formulas", found.formulas), ("Controls", found.controls)):
        if things:
            lines += ["", f"{title}:", *(f"- {thing.name} ({thing.id})" for thing in things)]
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)
