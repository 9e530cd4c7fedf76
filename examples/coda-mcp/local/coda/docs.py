"""Docs: list, create, copy, change, delete."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from local.coda.call import Body, Call, Flag, Paged, Query, access_of, find_doc, operation
from local.coda.model import Doc, Published, new_id
from local.coda.page_bodies import PageCreate, build_page
from local.coda.references import (
    BROWSER,
    doc_link,
    doc_reference,
    doc_url,
    folder_reference,
    icon,
    workspace_reference,
)
from local.coda.wire import ApiError, answer, bad_request
from local.coda.world import iso


class DocsQuery(Paged):
    is_owner: Flag | None = None
    is_published: Flag | None = None
    query: str | None = None
    source_doc: str | None = None
    is_starred: Flag | None = None
    in_gallery: Flag | None = None
    workspace_id: str | None = None
    folder_id: str | None = None


class DocCreate(Body):
    title: str | None = None
    source_doc: str | None = None
    timezone: str | None = None
    folder_id: str | None = None
    initial_page: PageCreate | None = None


class DocUpdate(Body):
    title: str | None = None
    icon_name: str | None = None


def render(call: Call[Any], doc: Doc) -> dict[str, Any]:
    workspace, folder = call.world.workspaces[doc.workspace_id], call.world.folders[doc.folder_id]
    bases = [table for table in doc.tables.values() if not table.base]
    content = {
        "id": doc.doc_id,
        "type": "doc",
        "href": doc_url(call.api, doc),
        "browserLink": doc_link(doc),
        **icon(doc.icon),
        "name": doc.name,
        "owner": doc.owner,
        "ownerName": call.world.users[doc.owner].name,
        "docSize": {
            "totalRowCount": sum(len(table.rows) for table in bases),
            "tableAndViewCount": len(doc.tables),
            "pageCount": len(doc.pages),
            "overApiSizeLimit": False,
            "baseTableCount": len(bases),
        },
        "createdAt": iso(doc.created_at),
        "updatedAt": iso(doc.updated_at),
        "folder": folder_reference(folder),
        "workspace": workspace_reference(workspace),
        "workspaceId": doc.workspace_id,
        "folderId": doc.folder_id,
    }
    if doc.source:
        content["sourceDoc"] = doc_reference(call.api, doc.source)
    if doc.published:
        content["published"] = _published(doc, doc.published)
    return content


def _published(doc: Doc, published: Published) -> dict[str, Any]:
    return {
        "browserLink": f"{BROWSER}/@{doc.owner.partition('@')[0]}/{published.slug}",
        "discoverable": published.discoverable,
        "earnCredit": False,
        "mode": published.mode,
        "categories": [{"name": name} for name in published.categories],
    }


def _found(call: Call[DocsQuery]) -> Iterator[Doc]:
    asked, email = call.query, call.user.email
    for doc in sorted(call.world.docs.values(), key=lambda one: (-one.updated_at, one.doc_id)):
        if doc.deleted or doc.visible_from > call.world.now() or access_of(call.world, doc, email) is None:
            continue
        wanted = [
            (asked.is_owner, doc.owner == email),
            (asked.is_published, doc.published is not None),
            (asked.is_starred, doc.starred),
            (asked.in_gallery, doc.in_gallery),
            (asked.source_doc, doc.source),
            (asked.workspace_id, doc.workspace_id),
            (asked.folder_id, doc.folder_id),
        ]
        if all(want is None or want == has for want, has in wanted) and _named(asked.query, doc.name):
            yield doc


def _named(query: str | None, name: str) -> bool:
    """By words of the name. UNCONFIRMED whether Coda also looks into docs."""
    return all(word in name.lower() for word in (query or "").lower().split())


async def list_docs(call: Call[DocsQuery]) -> Response:
    return answer(call.listing(_found(call), lambda doc: render(call, doc)))


async def get_doc(call: Call[Query]) -> Response:
    return answer(render(call, call.doc()))


async def create_doc(call: Call[Query]) -> Response:
    """201 at once; the doc is found `create_doc_seconds` later."""
    world, body, now = call.world, await call.body(DocCreate), call.world.now()
    folder = world.folders.get(body.folder_id) if body.folder_id else next(iter(world.folders.values()))
    if folder is None:
        raise bad_request(f"no folder {body.folder_id}")
    member = world.member(folder.workspace_id, call.user.email)
    if member is None or member.role == "Editor":
        raise ApiError(403, why="only a Doc Maker or an Admin creates docs")
    doc = Doc(
        doc_id=new_id(""),
        name=body.title or "Untitled",
        owner=call.user.email,
        workspace_id=folder.workspace_id,
        folder_id=folder.folder_id,
        created_at=now,
        updated_at=now,
        visible_from=now + world.settings.create_doc_seconds,
    )
    warning = None
    if body.source_doc:
        source = find_doc(world, body.source_doc)
        if access_of(world, source, call.user.email) is None or not source.acl.copying:
            raise ApiError(403, why="the source may not be copied")
        copied = copy.deepcopy(source)
        doc.source, doc.name = source.doc_id, body.title or f"Copy of {source.name}"
        doc.pages, doc.tables, doc.formulas = copied.pages, copied.tables, copied.formulas
        doc.controls, doc.automations, doc.icon = copied.controls, copied.automations, copied.icon
    if body.initial_page or not doc.pages:
        initial = body.initial_page or PageCreate(name="Untitled page")
        build = build_page(call, doc, new_id("canvas-"), initial)
        build.apply(now)
        warning = build.warning
    world.docs[doc.doc_id] = doc
    mutation = world.enqueue(doc, world.settings.create_doc_seconds, lambda _: None, warning)
    return answer(render(call, doc) | {"requestId": mutation.request_id}, 201)


async def update_doc(call: Call[Query]) -> Response:
    doc, body = call.doc(write=True), await call.body(DocUpdate)
    if body.title is not None:
        doc.name = body.title
    if body.icon_name is not None:
        doc.icon = body.icon_name
    doc.updated_at = call.world.now()
    return answer({})


async def delete_doc(call: Call[Query]) -> Response:
    """202 without an id to ask for."""
    doc = call.doc(write=True)
    if doc.owner != call.user.email:
        raise ApiError(403, why="only its owner deletes a doc")

    def apply(_: float) -> None:
        doc.deleted = True

    call.world.enqueue(doc, call.world.settings.delete_seconds, apply)
    return answer({}, 202)


ROUTES = [
    operation("GET", "/docs", list_docs, "listing", DocsQuery),
    operation("POST", "/docs", create_doc, "writing"),
    operation("GET", "/docs/{doc}", get_doc),
    operation("PATCH", "/docs/{doc}", update_doc, "writing"),
    operation("DELETE", "/docs/{doc}", delete_doc, "writing"),
]
