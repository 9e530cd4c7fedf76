"""What was asked of the stand-in, for tests to look at."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import from_json
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.coda.world import world_of

CONTROLS = "/_test/"
NOTED_BYTES = 10_000


class RequestLog:
    """Notes every request but the controls'. Of the credential no more than the name of the token."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(CONTROLS):
            await self.app(scope, receive, send)
            return
        world = world_of(HTTPConnection(scope))
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        entry = {"at": world.now(), "method": scope["method"], "path": scope["path"], "query": query}
        world.requests.append(entry)
        body = bytearray()

        async def reading() -> Message:
            message = await receive()
            if len(body) <= NOTED_BYTES:
                body.extend(message.get("body", b""))
            return message

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.update(status=message["status"])
            await send(message)

        try:
            await self.app(scope, reading, noting)
        finally:
            entry.update(
                body=_readable(bytes(body)),
                limit=scope.get("coda.limit"),
                credential=scope.get("coda.credential"),
                why=scope.get("coda.why"),
            )


def _readable(body: bytes) -> Any:
    """The body as JSON, else as text; None when it is empty or long."""
    if not body or len(body) > NOTED_BYTES:
        return None
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        return body.decode("utf-8", "replace")
