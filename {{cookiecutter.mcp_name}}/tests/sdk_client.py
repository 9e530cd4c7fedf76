"""The official MCP client with OAuth, and a browser without a person: `dev --auto-approve` lets it through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx2
import jwt
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

REDIRECT_URI = "http://127.0.0.1:33418/callback"
Mode = Literal["auto", "legacy"]


class Memory:
    """Where the client keeps its registration and its tokens."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client_info: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client_info

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client_info = client_info


class Browser:
    """Opens the authorization URL, and catches the redirect back to the client."""

    def __init__(self, http: httpx2.AsyncClient, email: str | None = None) -> None:
        self._http = http
        self._email = email
        self._landed = httpx2.URL(REDIRECT_URI)
        self.opened: list[httpx2.URL] = []

    async def open(self, url: str) -> None:
        target = httpx2.URL(url)
        self.opened.append(target)
        if self._email is not None:
            target = target.copy_add_param("login_hint", self._email)
        answer = await self._http.get(target, follow_redirects=False)
        assert answer.status_code == 302, answer.text
        self._landed = httpx2.URL(answer.headers["location"])

    async def callback(self) -> AuthorizationCodeResult:
        query = self._landed.params
        assert "code" in query, str(self._landed)
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))


@asynccontextmanager
async def http_client(
    mcp_url: str, memory: Memory, *, email: str | None = None, event_hooks: dict[str, Any] | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client that logs in by itself: dynamic registration, PKCE, resource indicator."""
    async with httpx2.AsyncClient(event_hooks=event_hooks) as plain:
        browser = Browser(plain, email)
        provider = OAuthClientProvider(
            server_url=mcp_url,
            client_metadata=OAuthClientMetadata(
                client_name="Test client",
                redirect_uris=[REDIRECT_URI],  # type: ignore[list-item]
                grant_types=["authorization_code", "refresh_token"],
                token_endpoint_auth_method="none",
            ),
            storage=memory,
            redirect_handler=browser.open,
            callback_handler=browser.callback,
        )
        async with httpx2.AsyncClient(auth=provider, timeout=30, event_hooks=event_hooks) as http:
            yield http


@asynccontextmanager
async def connect(mcp_url: str, http: httpx2.AsyncClient, mode: Mode = "auto") -> AsyncIterator[Client]:
    """The MCP client over that HTTP client. `legacy` speaks the revisions with `initialize`, `auto` 2026-07-28."""
    async with Client(streamable_http_client(mcp_url, http_client=http), mode=mode) as client:
        yield client


@asynccontextmanager
async def logged_in(mcp_url: str, mode: Mode = "auto", email: str | None = None) -> AsyncIterator[Client]:
    """A client that registers and logs in when it is first refused."""
    async with http_client(mcp_url, Memory(), email=email) as http, connect(mcp_url, http, mode) as client:
        yield client


async def call_as(client: Client, memory: Memory) -> dict[str, Any]:
    """Calls a tool that only reads, whatever tools the owner has; returns the claims of the token that let it in."""
    tools = (await client.list_tools()).tools
    harmless = next(
        tool.name
        for tool in tools
        if tool.annotations and tool.annotations.read_only_hint and not tool.input_schema.get("required")
    )
    answer = await client.call_tool(harmless)
    assert not answer.is_error, answer.content
    assert memory.tokens is not None
    claims: dict[str, Any] = jwt.decode(memory.tokens.access_token, options={"verify_signature": False})
    return claims
