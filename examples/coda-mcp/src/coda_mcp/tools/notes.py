"""Changing notes: the pattern for a tool that needs more than the basic scope."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from stytch_mcp import needs

from ..upstream import Upstream
from .scopes import WRITE


class Added(BaseModel):
    """What was added."""

    id: str = Field(description="Its id, for fetch.")
    url: str = Field(description="Where a person finds it.")
    message: str


def register(server: MCPServer, upstream: Upstream) -> None:
    """Adds `add_note`."""

    @server.tool(
        title="Add a note",
        annotations=ToolAnnotations(
            read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
        ),
        meta=needs(WRITE),
    )
    async def add_note(
        title: Annotated[str, Field(description="One line.", min_length=1, max_length=200)],
        text: Annotated[str, Field(description="The note itself.", max_length=100_000)],
    ) -> Added:
        """Add a note. Calling it twice adds two notes."""
        note = await upstream.add(title, text)
        return Added(id=note.id, url=upstream.link(note), message=f"Note {note.id} added")
