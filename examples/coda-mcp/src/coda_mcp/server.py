"""The server: its name, its scopes, and what it opens when it starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server.mcpserver import MCPServer

from stytch_mcp.app import ServerDefinition

from . import __version__, tools
from .constants import DESCRIPTION, NAME, TITLE
from .upstream import Upstream, UpstreamSettings


@asynccontextmanager
async def build_server(settings: UpstreamSettings) -> AsyncIterator[MCPServer]:
    """Opens the upstream client once for all requests, and gives it to the tools."""
    async with Upstream(settings) as upstream:
        server = MCPServer(NAME, title=TITLE, version=__version__, instructions=DESCRIPTION)
        tools.register(server, upstream)
        yield server


SERVER = ServerDefinition(name=NAME, title=TITLE, scopes=tools.SCOPES, settings=UpstreamSettings, build=build_server)
