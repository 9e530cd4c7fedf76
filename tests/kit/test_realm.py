"""Another authorization server than Stytch, its issuer with a path as Keycloak's realms have it, and a real client."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from stytch_mcp_kit.local.authkit import create_app, metadata
from stytch_mcp_kit.local.config import Seed
from stytch_mcp_kit.local.keys import new_private_key
from stytch_mcp_kit.local.workos import AuthKitConfig, AuthKitSettings
from tests.sdk_client import Memory, connect, http_client
from tests.servers import free_port, owners_server, stand_in

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

PATH = "/realms/acme"
PLACES = [
    "/.well-known/oauth-authorization-server/realms/acme",
    "/.well-known/openid-configuration/realms/acme",
    "/realms/acme/.well-known/openid-configuration",
]
# What a realm's tokens say beside the usual: their kind, and the client as the authorized party.
CLAIMS = '{"typ": "Bearer", "azp": "0b5c8a1e", "email": {{ user.email }}, "email_verified": true}'


def realm(origin: str, place: str, mcp_url: str) -> Starlette:
    """An authorization server below a path, whose metadata is at one of the places where clients look."""
    settings = AuthKitSettings(scope_claim=True)
    users = (Seed("ada@example.com"), Seed("eve@example.net"))
    config = AuthKitConfig(
        origin + PATH,
        users=users,
        resources=(mcp_url,),
        jwt_template=CLAIMS,
        settings=settings,
        signing_key=new_private_key(),
    )
    inner = create_app(config)

    async def document(request: Request) -> JSONResponse:
        return JSONResponse(metadata(inner.state.project))

    async def nothing(request: Request) -> JSONResponse:
        return JSONResponse({}, 404)

    elsewhere = [Route(PATH + "/.well-known/{name}", nothing)]
    return Starlette(routes=[Route(place, document), *elsewhere, Mount(PATH, inner)])


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ports(place: str) -> Iterator[tuple[str, int]]:
    """The issuer, running, and a port for the server."""
    issuer_port, port = free_port(), free_port()
    origin = f"http://127.0.0.1:{issuer_port}"
    with stand_in(realm(origin, place, f"http://127.0.0.1:{port}/mcp"), issuer_port):
        yield origin + PATH, port


async def test_a_client_logs_in_at_a_realm_wherever_its_metadata_is(ports: tuple[str, int]) -> None:
    issuer, port = ports
    rules = {"ALLOWED_EMAIL_DOMAINS": "example.com", "SCOPE_MODE": "simple"}
    with owners_server(port, AUTH_ISSUERS="oidc", OIDC_ISSUER=issuer, **rules) as url:
        async with http_client(url, Memory(), email="ada@example.com") as http, connect(url, http) as client:
            answer = (await client.call_tool("whoami")).structured_content
        assert answer is not None
        assert (answer["issuer"], answer["client_id"]) == (issuer, "0b5c8a1e")
        with pytest.raises(BaseExceptionGroup):
            async with http_client(url, Memory(), email="eve@example.net") as http, connect(url, http) as client:
                await client.list_tools()
        origin = url.removesuffix("/mcp")
        async with httpx.AsyncClient(trust_env=False) as plain:
            ours = (await plain.get(f"{origin}/.well-known/oauth-protected-resource/mcp")).json()
            theirs = (await plain.get(f"{origin}/.well-known/oauth-authorization-server")).json()
            health = (await plain.get(f"{origin}/health")).json()
        assert ours["authorization_servers"] == [theirs["issuer"]] == [issuer]
        assert health["oauth_compliant"] is True
