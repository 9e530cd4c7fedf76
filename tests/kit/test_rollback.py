"""AUTH_MODE switched both ways, with real MCP clients connected all along."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import httpx2
import jwt
import pytest
from mcp.client.client import Client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stytch_mcp_kit.local import Config, create_app
from stytch_mcp_kit.local.config import PROJECT_ID, SECRET, Seed
from stytch_mcp_kit.local.keys import SigningKey, new_private_key
from tests.sdk_client import Memory, Mode, connect, http_client
from tests.servers import free_port, owners_server, stand_in

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

AUD = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"
SERVICE = "e367826f93b8d71185e03fe518aff3b4.access"
PERSON = "7335d417-61da-459d-899c-0a01c76a2f94"
SCOPES = {"notes:read": "Read notes", "notes:write": "Write notes"}


@dataclass
class Edge:
    """Cloudflare's edge: while Access is in front it adds an assertion to every request. None carries a scope."""

    team: str
    key: SigningKey = field(default_factory=lambda: SigningKey(new_private_key(), time.time()))
    in_front: bool = True

    def assertion(self, **claims: Any) -> str:
        now = int(time.time())
        usual = {"iss": self.team, "aud": [AUD], "iat": now, "exp": now + 60, "type": "app"}
        return jwt.encode({**usual, **claims}, self.key.private, algorithm="RS256", headers={"kid": self.key.kid})

    def person(self) -> str:
        return self.assertion(sub=PERSON, email="ada@example.com", nbf=int(time.time()))

    def service(self) -> str:
        return self.assertion(sub="", common_name=SERVICE)

    def app(self) -> Starlette:
        async def certs(request: Request) -> JSONResponse:
            return JSONResponse({"keys": [self.key.jwk], "public_certs": []})

        return Starlette(routes=[Route("/cdn-cgi/access/certs", certs)])


@dataclass
class Place:
    """The settings of the server in both modes, the stand-ins that it asks, and how often somebody logged in."""

    edge: Edge
    stytch: Starlette
    port: int
    settings: dict[str, str]

    @property
    def log_ins(self) -> int:
        return sum(entry["path"] == "/_test/authorize" for entry in self.stytch.state.project.requests)


@pytest.fixture
def place() -> Iterator[Place]:
    stytch_port, access_port, port = free_port(), free_port(), free_port()
    issuer, edge = f"http://127.0.0.1:{stytch_port}", Edge(f"http://127.0.0.1:{access_port}")
    users = (Seed("ada@example.com"),)
    stytch = create_app(Config(issuer, f"{issuer}/_test/authorize", SCOPES, users=users))
    settings = {
        "STYTCH_DOMAIN": issuer,
        "STYTCH_PROJECT_ID": PROJECT_ID,
        "STYTCH_SECRET": SECRET,
        "ALLOWED_EMAIL_DOMAINS": "example.com",
        "CF_ACCESS_TEAM_DOMAIN": edge.team,
        "CF_ACCESS_AUD": AUD,
        "CF_ACCESS_SERVICE_TOKENS": SERVICE,
        "CF_ACCESS_SCOPES": "notes:read",
    }
    with stand_in(stytch, stytch_port), stand_in(edge.app(), access_port):
        yield Place(edge, stytch, port, settings)


def vouched(edge: Edge, kind: str) -> dict[str, Any]:
    """Hooks that add what the edge adds, for a person or a service token."""

    async def add(request: httpx2.Request) -> None:
        if edge.in_front and request.url.path == "/mcp":
            request.headers["Cf-Access-Jwt-Assertion"] = getattr(edge, kind)()

    return {"request": [add]}


@asynccontextmanager
async def logged_in(place: Place, mode: Mode) -> AsyncIterator[Client]:
    """A client that logs in with OAuth, through the edge."""
    url = f"http://127.0.0.1:{place.port}/mcp"
    async with (
        http_client(url, Memory(), event_hooks=vouched(place.edge, "person")) as http,
        connect(url, http, mode) as client,
    ):
        yield client


@asynccontextmanager
async def without_oauth(place: Place, kind: str, mode: Mode) -> AsyncIterator[Client]:
    """A client that knows nothing but to go through Access."""
    url = f"http://127.0.0.1:{place.port}/mcp"
    async with (
        httpx2.AsyncClient(event_hooks=vouched(place.edge, kind), timeout=30) as http,
        connect(url, http, mode) as client,
    ):
        yield client


async def who(client: Client) -> dict[str, Any]:
    answer = (await client.call_tool("whoami")).structured_content
    assert answer is not None
    return dict(answer)


async def tools(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_there_and_back_with_clients_connected(place: Place, mode: Mode) -> None:
    oauth = {**place.settings, "AUTH_MODE": "oauth"}
    access = {**place.settings, "AUTH_MODE": "cloudflare-access"}
    place.edge.in_front = False
    with owners_server(place.port, **oauth):
        client_cm = logged_in(place, mode)
        client = await client_cm.__aenter__()
        before = await who(client)
        assert before["issuer"] == place.settings["STYTCH_DOMAIN"]
        assert "add_note" in await tools(client)
        place.edge.in_front = True
        assert await who(client) == before, "an assertion changes nothing while OAuth is on"
    try:
        assert place.log_ins == 1
        with owners_server(place.port, **access) as url:
            # The same client, still sending the token of its log-in, is now whom Access vouches for.
            assert (await who(client))["subject"] == PERSON
            assert "add_note" not in await tools(client)
            for kind, subject in (("person", PERSON), ("service", SERVICE)):
                async with without_oauth(place, kind, mode) as other:
                    assert (await who(other))["subject"] == subject
                    assert "add_note" not in await tools(other), "CF_ACCESS_SCOPES has no notes:write"
            await nobody_can_log_in(url)
        place.edge.in_front = False
        with owners_server(place.port, **oauth):
            assert await who(client) == before, "its token still counts"
            place.edge.in_front = True
            with pytest.raises(BaseExceptionGroup):
                async with without_oauth(place, "service", mode) as other:
                    await who(other)
            place.edge.in_front = False
        assert place.log_ins == 1, "nobody had to log in again"
    finally:
        await client_cm.__aexit__(None, None, None)


async def nobody_can_log_in(url: str) -> None:
    origin = url.removesuffix("/mcp")
    async with httpx.AsyncClient(trust_env=False) as http:
        paths = ("oauth-protected-resource/mcp", "oauth-protected-resource", "oauth-authorization-server")
        for path in paths:
            assert (await http.get(f"{origin}/.well-known/{path}")).status_code == 404
        refused = await http.post(url)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        health = (await http.get(f"{origin}/health")).json()
        assert (health["oauth_compliant"], "cloudflare-access" in health["reason"]) == (False, True)
    with pytest.raises(BaseExceptionGroup) as failure:
        async with http_client(url, Memory()) as plain, connect(url, plain) as client:
            await client.list_tools()
    assert failure.value is not None
