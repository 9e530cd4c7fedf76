"""The tools, one module per subject. To add one: write it, register it here."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer

from ..upstream import Upstream
from . import about, notes, search
from .scopes import SCOPES

__all__ = ["SCOPES", "register"]


def register(server: MCPServer, upstream: Upstream) -> None:
    """Adds every tool to the server."""
    about.register(server)
    search.register(server, upstream)
    notes.register(server, upstream)
