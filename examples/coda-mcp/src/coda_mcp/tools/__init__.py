"""The tools, one module per subject. To add one: write it, register it here."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer

from ..upstream import Upstream
from ..upstream.columns import Columns
from . import (
    account,
    actions,
    analytics,
    docs,
    domains,
    elements,
    folders,
    formulas,
    guide,
    outline,
    page_reading,
    page_writing,
    pages,
    publishing,
    row_writing,
    rows,
    search,
    sharing,
    table_writing,
    tables,
    workspace,
)
from .registry import Registry
from .scopes import SCOPES

__all__ = ["SCOPES", "register"]


def register(server: MCPServer, upstream: Upstream) -> None:
    """Adds the tools that the settings ask for to the server."""
    columns = Columns(upstream)
    core = Registry(server, upstream, "core")
    search.register(core, upstream, columns)
    guide.register(core, upstream)
    for module in (account, docs, outline, pages, page_reading, page_writing, elements, formulas, actions):
        module.register(core, upstream)
    for module in (tables, table_writing, rows, row_writing):
        module.register(core, upstream, columns)
    admin = Registry(server, upstream, "admin")
    for module in (sharing, publishing, folders, domains):
        module.register(admin, upstream)
    workspace.register(Registry(server, upstream, "workspace"), upstream)
    analytics.register(Registry(server, upstream, "analytics"), upstream)
