"""The servers that are compared, each as a process: python servers.py KIND, settings from the environment.

`protected` is the baked server. `open` is the same without the gate: a principal is put on the scope instead, and the
message, which the endpoint needs with or without a gate to choose between JSON and a stream. `bare` is the SDK's own
application with one tool. With TOOLS in the environment, the baked server has so many tools: `whoami` and idle ones.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp.server.mcpserver import MCPServer
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Receive, Scope, Send

KINDS: Final = ("protected", "open", "bare")
REPORT: Final = "/bench"
MAX_BODY_BYTES: Final = 1_048_576


def bare() -> None:
    """As small as the SDK's documentation has it."""
    import uvicorn
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("bare")

    @server.tool()
    async def whoami() -> str:
        """Answers."""
        return "nobody"

    app = server.streamable_http_app(stateless_http=True, json_response=True)
    watch(app)
    uvicorn.run(app, port=int(os.environ["PORT"]), access_log=False, log_level="warning")


def baked(*, gate: bool) -> None:
    """The way of `serve`, with a hand on the application."""
    from starlette.middleware import Middleware
    from stytch_mcp import logs, serving
    from stytch_mcp.app import create_app
    from stytch_mcp.settings import load

    server = importlib.import_module("notes_mcp.server").SERVER
    if "TOOLS" in os.environ:
        server = replace(server, build=partial(with_tools, server.build, int(os.environ["TOOLS"])))
    settings = load(server.settings)
    logs.configure(settings.log_format)
    app = create_app(settings, server)
    if not gate:
        (protection,) = app.user_middleware
        app.user_middleware[:] = [Middleware(Inject, mcp=cast("ASGIApp", protection.kwargs["mcp"]))]
    watch(app)
    serving.run(app, settings)


@asynccontextmanager
async def with_tools(build: Any, count: int, settings: Any) -> AsyncIterator[MCPServer]:
    """The server with `whoami` and so many more that there are `count`; none of the others is ever called."""

    async def idle(title: str, text: str = "", limit: int = 10) -> str:
        """A tool as most are: three arguments."""
        return title

    async with build(settings) as server:
        tools = {tool.name: tool for tool in await server.list_tools()}
        for name in tools.keys() - {"whoami"}:
            server.remove_tool(name)
        for number in range(1, count):
            server.add_tool(idle, name=f"idle_{number}", meta=tools["whoami"].meta)
        yield server


class Inject:
    """Stands where the gate stands, and leaves on the scope what it leaves there."""

    def __init__(self, app: ASGIApp, mcp: ASGIApp) -> None:
        from stytch_mcp.protect import gate, issuers

        self._app, self._mcp = app, mcp
        claims = json.loads(os.environ["CLAIMS"])
        self._principal = issuers.stytch(claims["iss"], claims["aud"][0]).principal(claims)
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != "/mcp":
            await self._app(scope, receive, send)
            return
        body = await self._gate.read_body(scope, receive, MAX_BODY_BYTES)
        scope[self._gate.PRINCIPAL] = self._principal
        scope[self._gate.MESSAGE] = self._gate.parse_message(body)
        await self._mcp(scope, self._gate.replay(body, receive), send)


def watch(app: Starlette) -> None:
    """Adds REPORT: the longest stall of the loop since it was last asked, in seconds, and what is imported."""
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route
    from ticker import Ticker

    ticker = Ticker()

    async def report(_: Request) -> JSONResponse:
        return JSONResponse({"stall": ticker.take()[0], "modules": sorted(sys.modules)})

    app.router.routes.append(Route(REPORT, report))


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        bare()
    else:
        baked(gate=sys.argv[1] == "protected")
