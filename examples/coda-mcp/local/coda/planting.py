"""What seeds are written with."""

from __future__ import annotations

import re
from typing import Any, Literal

from local.coda import content
from local.coda.model import Column, Doc, Element, Page, Permission, Row, Table
from local.coda.world import World

DAY = 86_400.0
THING = re.compile(r"^:(table|formula|control) ([\w-]+)$")


def add_doc(world: World, doc_id: str, name: str, owner: str, folder_id: str, age: float, icon: str) -> Doc:
    """`age`: days since it was made. Its owner may write, as the only one."""
    created = world.now() - age * DAY
    folder = world.folders[folder_id]
    doc = Doc(doc_id, name, owner, folder.workspace_id, folder_id, created, created + age / 2 * DAY, icon)
    permission = Permission(f"AclP-{doc_id}-owner", "write", {"type": "email", "email": owner})
    doc.permissions[permission.permission_id] = permission
    world.docs[doc_id] = doc
    return doc


def add_page(
    doc: Doc,
    page_id: str,
    name: str,
    markdown: str = "",
    subtitle: str = "",
    parent_id: str | None = None,
    kind: Literal["canvas", "embed", "syncPage", "table"] = "canvas",
    hidden: bool = False,
) -> Page:
    """A line like `:table grid-1` stands for what is shown there."""
    page = Page(page_id, name, doc.created_at, doc.updated_at, doc.owner, subtitle, parent_id=parent_id)
    page.content_type, page.hidden = kind, hidden
    lines = [part for part in content.parse(markdown, "markdown").parts if isinstance(part, Element)]
    for number, element in enumerate(lines):
        thing = THING.match(element.text)
        if thing is not None:
            kinds: dict[str, Literal["table", "formula", "control"]]
            kinds = {"table": "table", "formula": "formula", "control": "control"}
            element.kind, element.ref, element.spans = kinds[thing[1]], thing[2], []
        element.element_id = f"cl-{page_id[-5:]}{number:03}"
    page.elements = lines
    doc.pages[page_id] = page
    return page


def add_table(doc: Doc, table_id: str, name: str, page_id: str, columns: list[Column]) -> Table:
    """The first column is the display column."""
    table = Table(table_id, name, page_id, doc.created_at, doc.updated_at)
    table.columns = {column.column_id: column for column in columns}
    table.display = columns[0].column_id
    doc.tables[table_id] = table
    return table


def add_view(doc: Doc, table_id: str, name: str, page_id: str, base: str, only: tuple[str, Any]) -> Table:
    view = Table(table_id, name, page_id, doc.created_at, doc.updated_at, base=base, only=only)
    doc.tables[table_id] = view
    return view


def add_row(table: Table, row_id: str, *values: Any) -> Row:
    """`values` in the order of the columns that hold some."""
    holding = [key for key, column in table.columns.items() if column.compute is None and column.type != "button"]
    row = Row(row_id, table.created_at, table.updated_at, dict(zip(holding, values, strict=False)))
    table.rows[row_id] = row
    return row


def select(*names: str) -> dict[str, Any]:
    return {"options": [{"name": name} for name in names]}
