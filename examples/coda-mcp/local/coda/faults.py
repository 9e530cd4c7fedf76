"""Faults on demand, as pure-ASGI middleware."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

import anyio
import httpx
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.coda.log import CONTROLS
from local.coda.wire import answer, phrase
from local.coda.world import World, world_of


class Fault(BaseModel):
    """What happens to requests of a route instead of the usual answer, or before (latency, hold), or after it."""

    model_config = ConfigDict(extra="forbid")

    latency_seconds: float = Field(0, ge=0, le=600)
    hold: bool = False
    """Wait until the faults are taken away."""
    status: int | None = Field(None, ge=200, le=599)
    body: Any = None
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = {}
    malformed: bool = False
    """The usual answer, cut in the middle."""
    drop: str | None = Field(None, pattern="^(before|after)$")
    """Close the connection without an answer: before anything is done, or after."""
    times: int | None = Field(None, ge=1)
    _released: anyio.Event = PrivateAttr(default_factory=anyio.Event)

    def release(self) -> None:
        self._released.set()

    async def wait(self) -> None:
        if self.hold:
            await self._released.wait()
        if self.latency_seconds:
            await anyio.sleep(self.latency_seconds)

    def response(self) -> Response | None:
        if self.status is None and self.body is None:
            return None
        status = self.status or 200
        if self.body is None and status >= 400:
            content = {"statusCode": status, "statusMessage": phrase(status), "message": phrase(status)}
            return answer(content, status, self.headers)
        text = self.body if isinstance(self.body, str) else json.dumps(self.body or {})
        return Response(text, status, {"content-type": self.content_type, **self.headers})


class Faults:
    """Applies the fault whose route matches. A longer route wins over a shorter one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        world = world_of(HTTPConnection(scope)) if scope["type"] == "http" else None
        if world is None or scope["path"].startswith(CONTROLS):
            await self.app(scope, receive, send)
            return
        fault = take(world, scope["method"], scope["path"])
        if fault is None:
            await self.app(scope, receive, send)
            return
        await fault.wait()
        response = fault.response()
        if fault.drop == "before":
            await drop(world, send)
        elif fault.drop == "after":
            await self.app(scope, receive, _nowhere)
            await drop(world, send)
        elif response is not None:
            await response(scope, receive, send)
        elif fault.malformed:
            await self.app(scope, receive, _cutting(send))
        else:
            await self.app(scope, receive, send)


def take(world: World, method: str, path: str) -> Fault | None:
    """The fault for a request, counted down."""
    names = [f"{method} {path}", path]
    routes = [route for route in world.faults if any(fnmatch.fnmatchcase(name, route) for name in names)]
    if not routes:
        return None
    route = max(routes, key=len)
    fault: Fault = world.faults[route]
    if fault.times is not None:
        fault.times -= 1
        if fault.times <= 0:
            del world.faults[route]
    return fault


async def drop(world: World, send: Send) -> None:
    """Promise a body and end without one: then the server closes the connection."""
    if world.config.in_process:
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})


async def _nowhere(_message: Message) -> None:
    """The answer is lost."""


def _cutting(send: Send) -> Send:
    async def cut(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if name != b"content-length"]
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body":
            body = message.get("body", b"")
            message = {**message, "body": body[: max(1, len(body) // 2)] if body else b""}
        await send(message)

    return cut
