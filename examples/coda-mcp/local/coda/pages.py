"""Pages: the list, one of them, its lines."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from local.coda.call import Call, Paged, Query, operation
from local.coda.model import Doc, Element, Page
from local.coda.references import doc_url, icon, page_link, page_reference, person
from local.coda.wire import answer
from local.coda.world import iso

HEADINGS = ("h1", "h2", "h3")
MAX_LINES = 500


class LinesQuery(Paged):
    limit: int = Field(50, ge=1)
    content_format: Literal["plainText"] = "plainText"


def render(call: Call[Any], doc: Doc, page: Page) -> dict[str, Any]:
    author = person(call.world.users[page.author])
    content = {
        "id": page.page_id,
        "type": "page",
        "href": f"{doc_url(call.api, doc)}/pages/{page.page_id}",
        "browserLink": page_link(doc, page),
        "name": page.name,
        **({"subtitle": page.subtitle} if page.subtitle else {}),
        **icon(page.icon),
        "contentType": page.content_type,
        "isHidden": page.hidden,
        "isEffectivelyHidden": any(one.hidden for one in _with_ancestors(doc, page)),
        "children": [page_reference(call.api, doc, one) for one in children(doc, page)],
        "authors": [author],
        "createdAt": iso(page.created_at),
        "createdBy": author,
        "updatedAt": iso(page.updated_at),
        "updatedBy": author,
    }
    if page.image_url:
        content["image"] = {"browserLink": page.image_url}
    if page.parent_id:
        content["parent"] = page_reference(call.api, doc, doc.pages[page.parent_id])
    return content


def children(doc: Doc, page: Page) -> list[Page]:
    return [one for one in doc.pages.values() if one.parent_id == page.page_id]


def _with_ancestors(doc: Doc, page: Page) -> list[Page]:
    found = [page]
    while found[-1].parent_id:
        found.append(doc.pages[found[-1].parent_id])
    return found


def _in_order(doc: Doc) -> list[Page]:
    """Each page before its children, as in the browser."""

    def below(parent_id: str | None) -> list[Page]:
        return [one for page in by_parent.get(parent_id, []) for one in [page, *below(page.page_id)]]

    by_parent: dict[str | None, list[Page]] = {}
    for page in doc.pages.values():
        by_parent.setdefault(page.parent_id, []).append(page)
    return below(None)


async def list_pages(call: Call[Paged]) -> Response:
    doc = call.doc()
    return answer(call.listing(_in_order(doc), lambda page: render(call, doc, page)))


async def get_page(call: Call[Query]) -> Response:
    doc = call.doc()
    return answer(render(call, doc, call.page_of(doc)))


async def list_lines(call: Call[LinesQuery]) -> Response:
    """Lines only: tables, formulas, controls and images do not appear."""
    page = call.page_of(call.doc())
    lines = (element for element in page.elements if element.kind == "line")
    return answer(call.page(lines, _line, min(call.query.limit, MAX_LINES)) | {"href": call.href})


def _line(element: Element) -> dict[str, Any]:
    content: dict[str, Any] = {"style": element.style, "format": "plainText", "content": element.text}
    if element.style not in HEADINGS:
        content["lineLevel"] = element.level
    return {"id": element.element_id, "type": "line", "itemContent": content}


ROUTES = [
    operation("GET", "/docs/{doc}/pages", list_pages, query=Paged),
    operation("GET", "/docs/{doc}/pages/{page}", get_page),
    operation("GET", "/docs/{doc}/pages/{page}/content", list_lines, query=LinesQuery, exclusive_token=True),
]
