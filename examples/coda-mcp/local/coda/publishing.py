"""Publishing a doc for everyone."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field
from starlette.responses import Response

from local.coda.call import Body, Call, Query, operation
from local.coda.model import Doc, Published
from local.coda.page_edits import accepted
from local.coda.wire import ApiError, answer, bad_request

CATEGORIES = ("Education", "Food", "Operations", "Project management", "Science", "Templates")


class DocPublish(Body):
    slug: str | None = Field(None, min_length=1)
    discoverable: bool | None = None
    category_names: list[str] | None = None
    mode: Literal["view", "play", "edit"] | None = None


async def list_categories(_call: Call[Query]) -> Response:
    return answer({"items": [{"name": name} for name in CATEGORIES]})


def _own_doc(call: Call[Query]) -> Doc:
    doc = call.doc(write=True)
    if doc.owner != call.user.email:
        raise ApiError(403, why="only its owner publishes a doc")
    return doc


async def publish(call: Call[Query]) -> Response:
    doc, body = _own_doc(call), await call.body(DocPublish)
    unknown = set(body.category_names or ()) - set(CATEGORIES)
    if unknown:
        raise bad_request(f"no category {', '.join(sorted(unknown))}")
    slug = body.slug or re.sub(r"\W+", "-", doc.name.lower()).strip("-")
    taken = any(one is not doc and one.published and one.published.slug == slug for one in call.world.docs.values())
    if taken:
        raise bad_request(f"the slug {slug} is taken")

    def apply(now: float) -> None:
        doc.published = Published(now, slug, bool(body.discoverable), body.mode or "view", body.category_names or [])

    return accepted(call.world.enqueue(doc, call.world.settings.edit_seconds, apply))


async def unpublish(call: Call[Query]) -> Response:
    _own_doc(call).published = None
    return answer({})


ROUTES = [
    operation("GET", "/categories", list_categories),
    operation("PUT", "/docs/{doc}/publish", publish, "writing"),
    operation("DELETE", "/docs/{doc}/publish", unpublish, "writing"),
]
