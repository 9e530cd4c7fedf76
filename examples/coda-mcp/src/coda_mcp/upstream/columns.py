"""What columns a table has, and whether cells fit them before anything is sent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from .client import Upstream
from .errors import CodaError, refused
from .http import Json

KEPT_SECONDS = 60.0
MOST_COLUMNS = 1000
MOST_TABLES_KEPT = 200
MOST_ROW_BYTES = 85 * 1024


class Columns:
    """Keeps the columns of tables for a minute, per credential."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._kept: dict[tuple[str, str, str], tuple[float, list[Json]]] = {}

    async def of(self, doc_id: str, table: str, fresh: bool = False) -> list[Json]:
        """All columns of a table."""
        self._upstream.access.require(doc_id)
        key = (await self._upstream.credential_name(), doc_id, table)
        now = self._upstream.timing.now()
        kept = self._kept.get(key)
        if kept is None or fresh or now - kept[0] > KEPT_SECONDS:
            found = self._upstream.items("docs", doc_id, "tables", table, "columns", most=MOST_COLUMNS, limit=100)
            kept = now, [column async for column in found]
            if len(self._kept) >= MOST_TABLES_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = kept
        return kept[1]

    async def find(self, doc_id: str, table: str, name: str) -> Json:
        """A column by ID or name. Raises CodaError that names the columns there are."""
        for fresh in (False, True):
            columns = await self.of(doc_id, table, fresh)
            by_id = [column for column in columns if column["id"] == name]
            found = by_id or [column for column in columns if column.get("name") == name]
            if len(found) == 1:
                return found[0]
            if found:
                ids = ", ".join(str(column["id"]) for column in found)
                raise refused(f"{len(found)} columns are called {name!r}: give the ID, one of {ids}.")
        names = [str(column.get("name", "")) for column in columns]
        close = difflib.get_close_matches(name, names, n=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        raise CodaError("unknown_column", f"There is no column {name!r}.{meant} The columns are: {', '.join(names)}.")

    async def edits(self, doc_id: str, table: str, cells: Mapping[str, Any], which: str = "The row") -> list[Json]:
        """Cells as the API takes them, by column ID. Raises CodaError for those that could not be written."""
        edits = []
        for name, value in cells.items():
            column = await self.find(doc_id, table, name)
            check(column, value)
            edits.append({"column": column["id"], "value": "" if value is None else value})
        size = sum(weight(edit["value"]) for edit in edits)
        if size > MOST_ROW_BYTES:
            raise refused(
                f"{which} has {size / 1024:.0f} KB, and Coda takes at most 85 KB in a row. Nothing was written."
            )
        return edits


def check(column: Json, value: Any) -> None:
    """Raises CodaError when a column takes no values, or would read this one differently from what was meant."""
    name, kind = column.get("name"), (column.get("format") or {}).get("type")
    if kind == "button":
        raise refused(f"The column {name!r} is a button: use coda_push_button.")
    if column.get("calculated"):
        raise refused(f"The column {name!r} is calculated by a formula and cannot be written.")
    readers = {"date": (date, datetime), "dateTime": (datetime, date), "time": (time, datetime)}.get(str(kind))
    if readers and isinstance(value, str) and value and not any(_reads(reader, value) for reader in readers):
        raise refused(
            f"{value!r} for the column {name!r} could mean several dates. Write it as ISO 8601, like 2026-12-31 or "
            "2026-12-31T09:30:00."
        )


def weight(value: Any) -> int:
    """How Coda counts a value: bytes of UTF-8, a line break twice."""
    values = value if isinstance(value, list) else [value]
    texts = [each if isinstance(each, str) else str(each) for each in values]
    return sum(len(text.encode(errors="replace")) + text.count("\n") for text in texts)


def _reads(reader: type[date | time], text: str) -> bool:
    try:
        reader.fromisoformat(text)
    except ValueError:
        return False
    return True
