"""Changes of pages: create, update, delete, and their content. All are answered before they are made."""

from __future__ import annotations

from starlette.responses import Response

from local.coda import content
from local.coda.call import Call, Query, operation
from local.coda.content import Content
from local.coda.model import Doc, Element, Page, new_id
from local.coda.page_bodies import PageContentDelete, PageCreate, PageUpdate, build_page, place
from local.coda.pages import children
from local.coda.wire import ApiError, answer, bad_request
from local.coda.world import Mutation


def accepted(mutation: Mutation, **more: object) -> Response:
    return answer({"requestId": mutation.request_id, **more}, 202)


async def create_page(call: Call[Query]) -> Response:
    """The id is the final one, but there is no such page until the change is complete."""
    doc, body = call.doc(write=True), await call.body(PageCreate)
    page_id = new_id("canvas-")
    build = build_page(call, doc, page_id, body)
    mutation = call.world.enqueue(doc, call.world.settings.edit_seconds, build.apply, build.warning)
    return accepted(mutation, id=page_id)


async def update_page(call: Call[Query]) -> Response:
    doc = call.doc(write=True)
    page, body = call.page_of(doc), await call.body(PageUpdate)
    update, parsed = body.content_update, Content()
    if update is not None:
        if page.content_type != "canvas":
            raise bad_request(f"the page is of type {page.content_type}")
        if update.element_id is not None:
            check_elements(page, [update.element_id])
        parsed = content.parse(update.canvas_content.content, update.canvas_content.format)

    def apply(now: float) -> None:
        if page.page_id not in doc.pages:
            return
        changes = {
            "name": body.name,
            "subtitle": body.subtitle,
            "icon": body.icon_name,
            "image_url": body.image_url,
            "hidden": body.is_hidden,
        }
        for name, value in changes.items():
            if value is not None:
                setattr(page, name, value)
        if update is not None:
            insert(doc, page, place(doc, page, parsed, now), update.insertion_mode, update.element_id)
        page.updated_at = now

    mutation = call.world.enqueue(doc, call.world.settings.edit_seconds, apply, parsed.warning)
    return accepted(mutation, id=page.page_id)


def check_elements(page: Page, element_ids: list[str]) -> None:
    """UNCONFIRMED: that an unknown element is a 404, and its text."""
    missing = set(element_ids) - {element.element_id for element in page.elements}
    if missing:
        raise ApiError(404, "Could not find an element with the specified ID.", why=f"no {', '.join(sorted(missing))}")


def insert(doc: Doc, page: Page, new: list[Element], mode: str, element_id: str | None) -> None:
    """Put elements relative to one, or to all. What is replaced takes its tables, formulas and controls along."""
    old = page.elements
    start, end = 0, len(old)
    if element_id is not None:
        start = next((place for place, one in enumerate(old) if one.element_id == element_id), len(old))
        end = min(start + 1, len(old))
    if mode == "replace":
        forget(doc, old[start:end])
        page.elements = [*old[:start], *new, *old[end:]]
    else:
        place = end if mode == "append" else start
        page.elements = [*old[:place], *new, *old[place:]]


def forget(doc: Doc, elements: list[Element]) -> None:
    """What was shown by elements that are no more. Views go with their table."""
    for element in elements:
        if element.kind == "table":
            doc.tables.pop(element.ref, None)
        elif element.kind == "formula":
            doc.formulas.pop(element.ref, None)
        elif element.kind == "control":
            doc.controls.pop(element.ref, None)
    lost = {key for key, table in doc.tables.items() if table.base and table.base not in doc.tables}
    for key in lost:
        del doc.tables[key]
    for page in doc.pages.values():
        page.elements = [one for one in page.elements if not (one.kind == "table" and one.ref in lost)]


async def delete_page(call: Call[Query]) -> Response:
    """With its subpages."""
    doc = call.doc(write=True)
    page = call.page_of(doc)

    def apply(_: float) -> None:
        remove(doc, page)

    return accepted(call.world.enqueue(doc, call.world.settings.delete_seconds, apply), id=page.page_id)


def remove(doc: Doc, page: Page) -> None:
    for child in children(doc, page):
        remove(doc, child)
    forget(doc, page.elements)
    doc.pages.pop(page.page_id, None)
    doc.gone_pages.add(page.page_id)


async def delete_content(call: Call[Query]) -> Response:
    """Some elements, or all: then one empty line is left, with the id and style of the first."""
    doc = call.doc(write=True)
    page, body = call.page_of(doc), await call.body(PageContentDelete)
    if page.content_type != "canvas":
        raise bad_request(f"the page is of type {page.content_type}")
    check_elements(page, body.element_ids or [])

    def apply(now: float) -> None:
        unwanted = [one for one in page.elements if not body.element_ids or one.element_id in body.element_ids]
        page.elements = [one for one in page.elements if one not in unwanted]
        if not body.element_ids and unwanted:
            first = unwanted[0]
            page.elements = [Element(first.element_id, style=first.style)]
        forget(doc, unwanted)
        page.updated_at = now

    return accepted(call.world.enqueue(doc, call.world.settings.delete_seconds, apply), id=page.page_id)


ROUTES = [
    operation("POST", "/docs/{doc}/pages", create_page, "content"),
    operation("PUT", "/docs/{doc}/pages/{page}", update_page, "content"),
    operation("DELETE", "/docs/{doc}/pages/{page}", delete_page, "content"),
    operation("DELETE", "/docs/{doc}/pages/{page}/content", delete_content, "content"),
]
