"""resolveBrowserLink: from an address in the browser to the object of the API."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.responses import Response

from local.coda.call import Call, Flag, Query, access_of, operation
from local.coda.model import Doc, Page, Table
from local.coda.references import (
    PAGE_SUFFIX,
    doc_link,
    doc_url,
    page_link,
    page_reference,
    row_link,
    table_link,
    table_url,
)
from local.coda.values import name_of
from local.coda.wire import ApiError, answer, bad_request
from local.coda.world import World

HOSTS = ("coda.io", "docs.superhuman.com")
DOC = re.compile(r"^/d/([^/]+)(?:/([^/]*))?/?$")
TABLE = re.compile(r"^(.*?)(?:/_ru?(i-[\w-]+))?$")


class LinkQuery(Query):
    url: str
    degrade_gracefully: Flag = False


Resolved = tuple[str, dict[str, Any]]
"""The browser link of what was found, and its resource."""


async def resolve(call: Call[LinkQuery]) -> Response:
    try:
        parts = urlsplit(call.query.url)
    except ValueError:
        raise bad_request("not a URL") from None
    if parts.scheme not in ("http", "https") or parts.hostname not in HOSTS:
        raise bad_request("not a link of Coda")
    found = DOC.match(parts.path)
    doc = _doc(call.world, found[1]) if found else None
    if found is None or doc is None or doc.deleted:
        raise ApiError(404)
    if access_of(call.world, doc, call.user.email) is None or call.token.doc not in (None, doc.doc_id):
        raise ApiError(403)
    link, resource = _resolve(call, doc, found[2] or "", parts.fragment)
    if call.token.table not in (None, resource["id"]):
        raise ApiError(403)
    href = f"{call.url}?url={quote(call.query.url, safe='')}"
    return answer({"type": "apiLink", "href": href, "browserLink": link, "resource": resource})


def _resolve(call: Call[LinkQuery], doc: Doc, page_part: str, fragment: str) -> Resolved:
    """The most special object that is still there; others only when told to degrade."""
    whole: Resolved = (
        doc_link(doc),
        {"type": "doc", "id": doc.doc_id, "name": doc.name, "href": doc_url(call.api, doc)},
    )
    answers = [whole]
    missing = False
    if page_part:
        page = _page(doc, page_part)
        missing = page is None
        if page is not None:
            reference = page_reference(call.api, doc, page)
            answers.append((page_link(doc, page), {key: reference[key] for key in ("type", "id", "name", "href")}))
    found = TABLE.match(fragment)
    if found and found[1]:
        table = _table(doc, found[1])
        missing = missing or table is None
        if table is not None:
            url = table_url(call.api, doc, table)
            answers.append((table_link(doc, table), _resource("table", table.table_id, table.name, url)))
            if found[2]:
                row = _row(call, doc, table, found[2])
                missing = missing or row is None
                answers += [row] if row else []
    if missing and not call.query.degrade_gracefully:
        raise ApiError(404)
    return answers[-1]


def _doc(world: World, part: str) -> Doc | None:
    """A name may have in it what comes before an id, so the id is looked for at the end."""
    return next((doc for doc in world.docs.values() if part.endswith(f"_d{doc.doc_id}")), None)


def _page(doc: Doc, part: str) -> Page | None:
    return next((page for page in doc.pages.values() if part.endswith(f"_su{page.page_id[-PAGE_SUFFIX:]}")), None)


def _table(doc: Doc, part: str) -> Table | None:
    return next((one for one in doc.tables.values() if part.endswith(f"_t{one.table_id.partition('-')[2]}")), None)


def _row(call: Call[LinkQuery], doc: Doc, table: Table, row_id: str) -> Resolved | None:
    row = doc.base_of(table).rows.get(row_id)
    if row is None:
        return None
    href = f"{table_url(call.api, doc, table)}/rows/{row_id}"
    return row_link(doc, table, row), _resource("row", row_id, name_of(call.world, doc, table, row), href)


def _resource(kind: str, object_id: str, name: str, href: str) -> dict[str, Any]:
    return {"type": kind, "id": object_id, "name": name, "href": href}


ROUTES = [operation("GET", "/resolveBrowserLink", resolve, query=LinkQuery)]
