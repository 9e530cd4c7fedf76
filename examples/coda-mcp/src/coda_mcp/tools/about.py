"""Who is calling."""

from __future__ import annotations

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from stytch_mcp import needs

from .scopes import READ


class Caller(BaseModel):
    """The person and the application behind a request."""

    subject: str = Field(description="The person, as the authorization server names them.")
    client_id: str = Field(description="The application that the person let in.")
    issuer: str = Field(description="The authorization server that says so.")
    scopes: list[str] = Field(description="What the application may do here.")


def register(server: MCPServer) -> None:
    """Adds `whoami`."""

    @server.tool(
        title="Who am I?",
        annotations=ToolAnnotations(
            read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
        meta=needs(READ),
    )
    async def whoami() -> Caller:
        """Tell who is logged in, through which application, and what it may do."""
        token = get_access_token()
        assert token is not None, "the gate lets nobody in without a token"
        return Caller(
            subject=token.subject or "",
            client_id=token.client_id,
            issuer=str((token.claims or {}).get("iss", "")),
            scopes=token.scopes,
        )
