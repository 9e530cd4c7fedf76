"""The bodies with which pages are made and changed, and what a new page is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from local.coda import content
from local.coda.call import Body, Call, by_key, find_doc
from local.coda.content import Content, Grid
from local.coda.model import Column, Doc, Element, Page, Row, Table, new_id
from local.coda.wire import bad_request


class CanvasContent(Body):
    format: Literal["html", "markdown"]
    content: str


class Canvas(Body):
    type: Literal["canvas"]
    canvas_content: CanvasContent


class Embed(Body):
    type: Literal["embed"]
    url: str
    render_method: Literal["compatibility", "standard"] | None = None


class SyncPage(Body):
    """A page of another doc; with `mode` document the whole doc."""

    type: Literal["syncPage"]
    mode: Literal["page", "document"]
    source_doc_id: str
    source_page_id: str | None = None
    include_subpages: bool | None = None


class PageCreate(Body):
    name: str | None = None
    subtitle: str | None = None
    icon_name: str | None = None
    image_url: str | None = None
    parent_page_id: str | None = None
    page_content: Annotated[Canvas | Embed | SyncPage, Field(discriminator="type")] | None = None


class ContentUpdate(Body):
    insertion_mode: Literal["append", "replace", "prepend"]
    canvas_content: CanvasContent
    element_id: str | None = None


class PageUpdate(Body):
    name: str | None = None
    subtitle: str | None = None
    icon_name: str | None = None
    image_url: str | None = None
    is_hidden: bool | None = None
    content_update: ContentUpdate | None = None


class PageContentDelete(Body):
    element_ids: list[str] | None = None


class ExportBegin(Body):
    output_format: Literal["html", "markdown"]


@dataclass
class Build:
    """A page that will be, and what `mutationStatus` will say of it."""

    apply: Callable[[float], None]
    warning: str | None = None


def build_page(call: Call[Any], doc: Doc, page_id: str, body: PageCreate) -> Build:
    """Raises ApiError for a parent or a source that is not there, and for content without anything in it."""
    parent = by_key(doc.pages, body.parent_page_id, "page") if body.parent_page_id else None
    parsed = Content()
    kind: Literal["canvas", "embed", "syncPage"] = "canvas"
    match body.page_content:
        case Canvas() as canvas:
            if not canvas.canvas_content.content:
                raise bad_request("pageContent.canvasContent.content is empty")
            parsed = content.parse(canvas.canvas_content.content, canvas.canvas_content.format)
        case Embed():
            kind = "embed"
        case SyncPage() as sync:
            kind = "syncPage"
            source = find_doc(call.world, sync.source_doc_id)
            if sync.mode == "page":
                if sync.source_page_id is None or sync.include_subpages is None:
                    raise bad_request("a sync page of mode page needs sourcePageId and includeSubpages")
                by_key(source.pages, sync.source_page_id, "page")

    def apply(now: float) -> None:
        page = Page(
            page_id=page_id,
            name=body.name or "Untitled page",
            created_at=now,
            updated_at=now,
            author=call.user.email,
            subtitle=body.subtitle or "",
            icon=body.icon_name,
            image_url=body.image_url,
            parent_id=parent.page_id if parent else None,
            content_type=kind,
        )
        doc.pages[page_id] = page
        page.elements = place(doc, page, parsed, now)

    return Build(apply, parsed.warning)


def place(doc: Doc, page: Page, parsed: Content, now: float) -> list[Element]:
    """The elements of new content; tables in it become tables of the doc."""
    return [_table(doc, page, part, now) if isinstance(part, Grid) else part for part in parsed.parts]


def _table(doc: Doc, page: Page, grid: Grid, now: float) -> Element:
    width = max(map(len, [grid.header, *grid.rows]))
    names = [*grid.header, *(f"Column {number + 1}" for number in range(len(grid.header), width))]
    columns = [Column(new_id("c-"), name) for name in names]
    taken = {table.name for table in doc.tables.values()}
    name = next(name for number in range(len(taken) + 1) if (name := f"Table {number + 1}") not in taken)
    table = Table(new_id("grid-"), name, page.page_id, now, now, {column.column_id: column for column in columns})
    table.display = columns[0].column_id if columns else ""
    for cells in grid.rows:
        values = dict(zip(table.columns, cells, strict=False))
        row = Row(new_id("i-"), now, now, dict(values))
        table.rows[row.row_id] = row
    doc.tables[table.table_id] = table
    return Element(new_id("cl-"), "table", ref=table.table_id)
