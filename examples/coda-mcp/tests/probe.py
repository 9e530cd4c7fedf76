"""A server that exists for tests: tools with which the edges of the protocol can be reached.

Also runs on its own (`python -m tests.probe serve`), so that end-to-end tests drive it under uvicorn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context, MCPServer

from stytch_mcp import Scope, cli, needs
from stytch_mcp.app import ServerDefinition
from stytch_mcp.settings import Settings

READ = Scope("notes:read", "Read")
WRITE = Scope("notes:write", "Write", implies=(READ,), changes=True)
ADMIN = Scope("notes:admin", "Administer", implies=(WRITE,))


@asynccontextmanager
async def build(_: Settings) -> AsyncIterator[MCPServer]:  # noqa: C901 - one small tool after the other
    server = MCPServer("probe", version="1")

    @server.tool()
    async def free() -> str:
        """Needs what every request needs."""
        return "free"

    @server.tool()
    async def rest() -> str:
        """Takes a moment."""
        await anyio.sleep(0.1)
        return "rested"

    @server.tool(meta=needs(READ))
    async def token_seen(ctx: Context) -> dict[str, str | None]:
        """What a tool can see of the caller's token."""
        token = get_access_token()
        assert token is not None
        return {"token": token.token, "header": (ctx.headers or {}).get("authorization"), "subject": token.subject}

    @server.tool()
    async def headers_seen(ctx: Context) -> list[str]:
        """The names of the headers that reach a tool."""
        return sorted(ctx.headers or {})

    @server.tool(meta=needs(WRITE))
    async def write() -> str:
        """Needs the write scope."""
        return "written"

    @server.tool(meta=needs(ADMIN))
    async def administer() -> str:
        """Needs the admin scope."""
        return "administered"

    @server.tool()
    async def count(to: int, ctx: Context) -> int:
        """Reports progress on every step."""
        for step in range(1, to + 1):
            await ctx.report_progress(step, to, f"step {step}")
        return to

    @server.tool()
    async def hold(port: int, ctx: Context, wait: bool = False) -> str:
        """Reports one step (with `wait`: when the test says so over a connection) and ends when that line does."""
        async with await anyio.connect_tcp("127.0.0.1", port) as test:
            try:
                await test.send(b"here")
                if wait:
                    await test.receive()
                await ctx.report_progress(1, 2)
                await test.receive()
            except anyio.get_cancelled_exc_class():
                with anyio.CancelScope(shield=True):
                    await test.send(b"cancelled")
                raise
        return "finished"

    @server.tool()
    async def crash() -> str:
        """Fails with something that no client may see."""
        raise RuntimeError("secret-in-the-traceback")

    yield server


SERVER = ServerDefinition(name="probe", title="Probe", scopes=(READ, WRITE, ADMIN), settings=Settings, build=build)

if __name__ == "__main__":
    cli.main("probe", "tests.probe")
