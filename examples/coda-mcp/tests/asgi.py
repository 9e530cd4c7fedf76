"""Requests on raw ASGI: exactly the bytes a test means, and a count of what was read of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.types import ASGIApp, Message

HOST = "notes.example.com"
NO_ANSWER: Message = {"type": "http.response.start", "status": 0, "headers": []}


@dataclass
class Answer:
    """What came back; status 0: nothing at all. `chunks_read` counts how many parts of the body were asked for."""

    status: int
    headers: dict[str, str]
    body: bytes
    chunks_read: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def challenge(self) -> dict[str, str]:
        """The parameters of WWW-Authenticate."""
        scheme, _, parameters = self.headers["www-authenticate"].partition(" ")
        assert scheme == "Bearer"
        return {name: value.strip('"') for name, _, value in (part.partition("=") for part in parameters.split(", "))}


async def request(
    app: ASGIApp,
    method: str,
    path: str,
    *,
    headers: Iterable[tuple[str, str]] = (),
    host: str | None = HOST,
    query: str = "",
    chunks: Iterable[bytes] = (b"",),
) -> Answer:
    """Sends one request and collects the answer. Without any chunk the client leaves before it has sent a body."""
    sent: list[Message] = []
    parts = list(chunks)
    read = 0

    async def receive() -> Message:
        nonlocal read
        if not parts:
            return {"type": "http.disconnect"}
        if read == len(parts):
            await anyio.sleep_forever()
        read += 1
        return {"type": "http.request", "body": parts[read - 1], "more_body": read < len(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    lines = [*([("host", host)] if host is not None else []), *headers]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in lines],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    await app(scope, receive, send)
    start = next((message for message in sent if message["type"] == "http.response.start"), NO_ANSWER)
    return Answer(
        status=start["status"],
        headers={name.decode(): value.decode("latin-1") for name, value in start["headers"]},
        body=b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body"),
        chunks_read=read,
    )
