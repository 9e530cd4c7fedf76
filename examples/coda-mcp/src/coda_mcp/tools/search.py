"""`search` and `fetch`, in the form that ChatGPT's connectors and deep research ask for."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from stytch_mcp import needs

from ..upstream import Upstream
from .scopes import READ

MOST_RESULTS = 20
READ_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


class Hit(BaseModel):
    """One thing that was found."""

    id: str = Field(description="Give it to fetch to read the whole.")
    title: str
    url: str = Field(description="Where a person finds it.")


class Hits(BaseModel):
    """What was found, best first."""

    results: list[Hit]


class Document(BaseModel):
    """One thing in full."""

    id: str
    title: str
    text: str
    url: str = Field(description="Where a person finds it.")


def register(server: MCPServer, upstream: Upstream) -> None:
    """Adds `search` and `fetch`."""

    @server.tool(title="Search", annotations=READ_ONLY, meta=needs(READ))
    async def search(
        query: Annotated[str, Field(description="Words to look for; all of them must occur.", max_length=500)],
    ) -> Hits:
        """Search by words. Returns ids and titles; read one in full with fetch."""
        found = await upstream.search(query, MOST_RESULTS)
        return Hits(results=[Hit(id=note.id, title=note.title, url=upstream.link(note)) for note in found])

    @server.tool(title="Fetch", annotations=READ_ONLY, meta=needs(READ))
    async def fetch(
        id: Annotated[str, Field(description="An id from search.", min_length=1, max_length=200)],
    ) -> Document:
        """Read one search result in full."""
        note = await upstream.get(id)
        return Document(id=note.id, title=note.title, text=note.text, url=upstream.link(note))
