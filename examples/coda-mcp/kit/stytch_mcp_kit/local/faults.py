"""Pure-ASGI middleware: faults on demand, and a log of the requests."""

import fnmatch
import json
from dataclasses import dataclass, field
from typing import Any

import anyio
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stytch_mcp_kit.local.state import project_of
from stytch_mcp_kit.local.wire import ApiError, refuse

CONTROLS = "/_test/"
CUSTOMER_PAGE = "/_test/authorize"


@dataclass
class Fault:
    """What happens to requests of a route instead of, or (latency, hold) before, the usual answer."""

    latency_seconds: float = 0
    hold: bool = False
    """Wait until the fault is taken away."""
    status: int | None = None
    body: Any = None
    content_type: str = "application/json"
    redirect: str | None = None
    times: int | None = None
    released: anyio.Event = field(default_factory=anyio.Event)

    @property
    def replaces(self) -> bool:
        return self.status is not None or self.body is not None or self.redirect is not None


def is_control(path: str) -> bool:
    return path.startswith(CONTROLS) and path != CUSTOMER_PAGE


class Faults:
    """Apply the fault whose route matches: the exact path, a pattern with `*`, or `*` for all but the controls."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_control(scope["path"]):
            await self.app(scope, receive, send)
            return
        fault = take_fault(project_of(HTTPConnection(scope)).faults, scope["path"])
        if fault is not None:
            if fault.hold:
                await fault.released.wait()
            await anyio.sleep(fault.latency_seconds)
            if fault.replaces:
                response = await fault_response(fault, Request(scope, receive))
                await response(scope, receive, send)
                return
        await self.app(scope, receive, send)


def take_fault(faults: dict[str, Fault], path: str) -> Fault | None:
    """The fault for a path, counted down; exact routes win over patterns."""
    patterns = sorted((route for route in faults if fnmatch.fnmatchcase(path, route)), key=len, reverse=True)
    route = path if path in faults else next(iter(patterns), None)
    if route is None:
        return None
    fault = faults[route]
    if fault.times is not None:
        fault.times -= 1
        if fault.times <= 0:
            del faults[route]
    return fault


async def fault_response(fault: Fault, request: Request) -> Response:
    if fault.redirect is not None:
        return Response(status_code=fault.status or 302, headers={"location": fault.redirect})
    status = fault.status or 200
    if fault.body is None and status >= 400:
        kind = {429: "too_many_requests", 500: "internal_server_error"}.get(status, "fault")
        return await refuse(request, ApiError(status, kind, "A fault that was asked for."))
    text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body or {})
    return Response(text, status, media_type=fault.content_type)


class RequestLog:
    """Note method, path and status of every request but the controls'; no query, no body, no header."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_control(scope["path"]):
            await self.app(scope, receive, send)
            return

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry = {"method": scope["method"], "path": scope["path"], "status": message["status"]}
                project_of(HTTPConnection(scope)).requests.append(entry)
            await send(message)

        await self.app(scope, receive, noting)
