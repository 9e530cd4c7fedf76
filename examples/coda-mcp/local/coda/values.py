"""Cells: what is stored, how it is shown in the three formats, how what is written is understood.

Stored are plain values: a relation is a row id, a person an address, a date ISO 8601; an array is a list of those.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from typing import Any

from local.coda.model import Column, Doc, Row, Table
from local.coda.references import person, row_link, table_link
from local.coda.world import World

NUMBERS = ("number", "percent", "slider", "scale", "duration")
CURRENCY = {"USD": "$", "EUR": "€", "GBP": "£"}
SCHEMA = "http://schema.org/"


def stored(doc: Doc, row: Row, column: Column) -> Any:
    """A cell's value; of a calculated column it is calculated now."""
    if column.compute is not None:
        return column.compute(doc, row)
    if column.type == "button":
        return column.format.get("label", column.name)
    return row.values.get(column.column_id, False if column.type == "checkbox" else "")


def render(world: World, doc: Doc, column: Column, value: Any, value_format: str) -> Any:
    """`value_format`: simple, simpleWithArrays or rich."""
    one = _rich if value_format == "rich" else _simple
    if not isinstance(value, list):
        return one(world, doc, column, value)
    parts = [one(world, doc, column, part) for part in value]
    return ",".join(map(str, parts)) if value_format == "simple" else parts


def _simple(world: World, doc: Doc, column: Column, value: Any) -> Any:
    match column.type:
        case "currency" if isinstance(value, int | float):
            code = column.format.get("currencyCode", "USD")
            return f"{CURRENCY.get(code, code + ' ')}{value:,.{column.format.get('precision', 2)}f}"
        case "lookup":
            target = _target(doc, column, value)
            return name_of(world, doc, *target) if target else value
        case "person" if value in world.users:
            return world.users[value].name
        case "date" | "dateTime" if value:
            return _moment(value)
    return value


def _moment(value: str) -> str:
    """UNCONFIRMED: Coda's zone is that of the doc; here it is UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    in_utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return in_utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _rich(world: World, doc: Doc, column: Column, value: Any) -> Any:
    match column.type:
        case "currency" if isinstance(value, int | float):
            code = column.format.get("currencyCode", "USD")
            return {"@context": SCHEMA, "@type": "MonetaryAmount", "currency": code, "amount": value}
        case "lookup":
            target = _target(doc, column, value)
            if target:
                table, row = target
                return {
                    "@context": SCHEMA,
                    "@type": "StructuredValue",
                    "additionalType": "row",
                    "name": name_of(world, doc, table, row),
                    "rowId": row.row_id,
                    "tableId": table.table_id,
                    "tableUrl": table_link(doc, table),
                    "url": row_link(doc, table, row),
                }
        case "person" if value in world.users:
            return person(world.users[value])
        case "image" if value:
            name = str(value).rpartition("/")[2]
            return {"@context": SCHEMA, "@type": "ImageObject", "name": name, "url": value, "status": "live"}
        case "link" if value:
            return {"@context": SCHEMA, "@type": "WebPage", "url": value}
    simple = _simple(world, doc, column, value)
    is_text = isinstance(simple, str) and simple and column.type not in ("date", "dateTime", "time", "email")
    return f"```{simple}```" if is_text else simple


def _target(doc: Doc, column: Column, value: Any) -> tuple[Table, Row] | None:
    """The row that a relation's value names; None for text that never found one."""
    table = doc.tables.get(column.lookup or "")
    row = table.rows.get(value) if table and isinstance(value, str) else None
    return (table, row) if table and row else None


def name_of(world: World, doc: Doc, table: Table, row: Row) -> str:
    """What stands in the display column."""
    column = doc.base_of(table).columns.get(table.display or doc.base_of(table).display)
    return str(render(world, doc, column, stored(doc, row, column), "simple")) if column else ""


def parse(world: World, doc: Doc, column: Column, value: Any) -> Any:
    """What a written value becomes. What the column cannot take stays as text, without an error."""
    parts = [_parse_one(world, doc, column, part) for part in flat(value)]
    if column.is_array:
        return [part for part in parts if part != ""]
    return ",".join(map(str, parts)) if isinstance(value, list) else parts[0]


def flat(value: Any) -> list[Any]:
    """The single values of one that is written, which may be an array of arrays."""
    return [one for part in value for one in flat(part)] if isinstance(value, list) else [value]


def _parse_one(world: World, doc: Doc, column: Column, value: Any) -> Any:
    match column.type:
        case "checkbox":
            return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower(), value)
        case "currency":
            return _number(value, re.sub(r"^[$€£]", "", str(value)).replace(",", ""))
        case kind if kind in NUMBERS:
            return _number(value, str(value))
        case "date":
            return _iso(value, date.fromisoformat)
        case "dateTime":
            return _iso(value, datetime.fromisoformat)
        case "lookup":
            return _relation(world, doc, column, value)
        case "person":
            return next((one.email for one in world.users.values() if value in (one.email, one.name)), value)
    return str(value) if not isinstance(value, str) and column.type == "text" else value


def _number(value: Any, text: str) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        number = float(text) if "." in text else int(text)
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def _iso(value: Any, read: Any) -> Any:
    try:
        return read(str(value)).isoformat()
    except ValueError:
        try:
            return datetime.fromisoformat(str(value)).date().isoformat()
        except ValueError:
            return value


def _relation(world: World, doc: Doc, column: Column, value: Any) -> Any:
    """A row id, or the exact text of a display column."""
    table = doc.tables.get(column.lookup or "")
    if table is None or value in table.rows:
        return value
    return next((row.row_id for row in table.rows.values() if name_of(world, doc, table, row) == value), value)


def equals(world: World, doc: Doc, column: Column, value: Any, wanted: Any) -> bool:
    """Whether a cell is what a query asks for: as stored, or as shown. An array is when one of its parts is."""
    if isinstance(value, list):
        return value == wanted or any(equals(world, doc, column, part, wanted) for part in value)
    shown = _simple(world, doc, column, value)
    return any(type(one) is type(wanted) and one == wanted for one in (value, shown)) or (
        _is_number(value) and _is_number(wanted) and value == wanted
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
