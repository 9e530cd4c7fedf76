"""Where the download links of exports lead: a place apart from the API, with signed addresses and no tokens."""

from __future__ import annotations

import gzip

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.coda.world import world_of

BLOBS = "/blobs/DOC_EXPORT_RENDERING"


async def download(request: Request) -> Response:
    """Text, gzipped; 403 in XML when the link is over, and 400 for one who brings a token along, as such stores do."""
    world = world_of(request)
    if "authorization" in request.headers:
        request.scope["coda.credential"] = "sent to the blob store"
        return _error(400, "InvalidArgument", "Only one auth mechanism allowed")
    expires = world.signatures.get(request.query_params.get("X-Amz-Signature", ""))
    if expires is None or world.now() > expires:
        return _error(403, "AccessDenied", "Request has expired")
    body = world.blobs.get(request.path_params["place"])
    if body is None:
        return _error(404, "NoSuchKey", "The specified key does not exist.")
    return Response(gzip.compress(body), 200, {"content-encoding": "gzip", "content-type": "text/plain"})


def _error(status: int, code: str, message: str) -> Response:
    """UNCONFIRMED: the message."""
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(text, status, {"content-type": "application/xml"})


ROUTES = [Route(f"{BLOBS}/{{place}}", download, methods=["GET"])]
