"""Page exports: begin one, then ask until there is a link."""

from __future__ import annotations

import secrets
from uuid import uuid4

from starlette.responses import Response

from local.coda import rendering
from local.coda.blobs import BLOBS
from local.coda.call import Call, Query, operation
from local.coda.page_bodies import ExportBegin
from local.coda.wire import ApiError, answer, bad_request
from local.coda.world import Export

SERVER = {"x-coda-server": "api-doc"}


async def begin(call: Call[Query]) -> Response:
    """Only canvas pages. UNCONFIRMED: the text for the others."""
    doc = call.doc()
    page, body = call.page_of(doc), await call.body(ExportBegin)
    if page.content_type != "canvas":
        raise bad_request(f"the page is of type {page.content_type}", "Only canvas pages can be exported.")
    world, now = call.world, call.world.now()
    fate = world.fates.popleft() if world.fates and "export_error" in world.fates[0] else {}
    export = Export(
        str(uuid4()),
        doc.doc_id,
        page.page_id,
        body.output_format,
        now,
        now + world.settings.export_seconds,
        fate.get("export_error"),
    )
    world.exports[export.export_id] = export
    href = f"{call.url}/{export.export_id}"
    return answer({"id": export.export_id, "status": "inProgress", "href": href}, 202, SERVER)


async def status(call: Call[Query]) -> Response:
    """A new link each time it is asked for."""
    doc, world, now = call.doc(), call.world, call.world.now()
    page = call.page_of(doc)
    export = world.exports.get(call.path["export"])
    if export is None or (export.doc_id, export.page_id) != (doc.doc_id, page.page_id):
        raise ApiError(404)
    if now < export.begun + world.settings.export_404_seconds:
        raise ApiError(404)
    content = {"id": export.export_id, "status": "inProgress", "href": call.url}
    if export.due > now:
        return answer(content, headers=SERVER)
    if export.error is not None:
        return answer(content | {"status": "failed", "error": export.error}, headers=SERVER)
    # One place for each page: of two exports at once both links lead to what was begun last.
    place = f"{doc.doc_id}-{page.page_id}"
    last = [one for one in world.exports.values() if (one.doc_id, one.page_id) == (doc.doc_id, page.page_id)][-1]
    world.blobs[place] = rendering.export(world, doc, page, last.format).encode()
    signature = secrets.token_urlsafe(16)
    world.signatures[signature] = now + world.settings.link_seconds
    origin = world.settings.blob_origin or call.origin
    link = f"{origin}{BLOBS}/{place}?X-Amz-Expires={world.settings.link_seconds:.0f}&X-Amz-Signature={signature}"
    return answer(content | {"status": "complete", "downloadLink": link}, headers=SERVER)


ROUTES = [
    operation("POST", "/docs/{doc}/pages/{page}/export", begin, "none"),
    operation("GET", "/docs/{doc}/pages/{page}/export/{export}", status),
]
