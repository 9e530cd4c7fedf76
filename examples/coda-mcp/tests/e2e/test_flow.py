"""The whole flow with the real client, server and local Stytch, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from tests.sdk_client import Memory, Mode, call_as, connect, http_client, logged_in
from tests.servers import STATIC_TOKEN, package

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

MODES: list[Mode] = ["auto", "legacy"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_registers_logs_in_and_calls(dev: dict[str, Any], mode: Mode) -> None:
    memory = Memory()
    async with http_client(dev["mcp_url"], memory) as http, connect(dev["mcp_url"], http, mode) as client:
        who = await call_as(client, memory)
    assert who["iss"] == dev["issuer"]
    assert who["sub"].startswith("user-test-")
    assert memory.client_info is not None
    assert who["client_id"] == memory.client_info.client_id


@pytest.mark.parametrize("mode", MODES)
async def test_every_tool_tells_the_scopes_it_needs(dev: dict[str, Any], mode: Mode) -> None:
    async with logged_in(dev["mcp_url"], mode) as client:
        for tool in (await client.list_tools()).tools:
            assert tool.meta is not None
            assert tool.meta["securitySchemes"][0]["scopes"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_person_of_another_domain_is_not_admitted(dev: dict[str, Any], mode: Mode) -> None:
    memory = Memory()
    with pytest.raises(BaseExceptionGroup) as failure:
        async with (
            http_client(dev["mcp_url"], memory, email="grace@example.org") as http,
            connect(dev["mcp_url"], http, mode) as client,
        ):
            await client.list_tools()
    assert memory.tokens is not None, "Stytch gave a token"
    assert failure.value is not None
    answer = await post(dev["mcp_url"], memory.tokens.access_token)
    assert answer.status_code == 403
    assert answer.json()["error"] == "not_allowed"
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("version", sorted(HANDSHAKE_PROTOCOL_VERSIONS))
async def test_every_older_revision_is_served(dev: dict[str, Any], version: str) -> None:
    token = await mint(dev)
    client_info = {"name": "test", "version": "1"}
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": client_info}
    answer = await post(dev["mcp_url"], token, method="initialize", params=params)
    assert answer.json()["result"]["protocolVersion"] == version
    answer = await post(dev["mcp_url"], token, version=version, method="tools/list")
    assert answer.json()["result"]["tools"]
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("kind", ["session", "m2m", "id"])
async def test_other_tokens_of_the_same_issuer_are_refused(dev: dict[str, Any], kind: str) -> None:
    answer = await post(dev["mcp_url"], await mint(dev, kind=kind))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("key", ["foreign", "none", "hs256_public"])
async def test_forged_tokens_are_refused(dev: dict[str, Any], key: str) -> None:
    assert (await post(dev["mcp_url"], await mint(dev, key=key))).status_code == 401


async def test_a_new_signing_key_is_found(dev: dict[str, Any]) -> None:
    async with httpx.AsyncClient() as http:
        rotated = await http.post(f"{dev['test_controls']}/keys/rotate", json={"keep_old": True})
    assert rotated.status_code == 200, rotated.text
    assert (await post(dev["mcp_url"], await mint(dev))).status_code == 200


async def test_a_static_token_comes_in_beside_oauth(dev: dict[str, Any]) -> None:
    """This one has no scope, so it is known and may do nothing."""
    assert (await post(dev["mcp_url"], STATIC_TOKEN)).status_code == 403
    assert (await post(dev["mcp_url"], STATIC_TOKEN + "x")).status_code == 401


async def test_a_revoked_application_is_out_when_its_token_ends(dev: dict[str, Any]) -> None:
    """The token itself holds until it expires, an hour at most by Stytch's default; it is not renewed any more."""
    memory = Memory()
    async with http_client(dev["mcp_url"], memory) as http, connect(dev["mcp_url"], http) as client:
        await client.list_tools()
    assert memory.tokens is not None
    assert memory.client_info is not None
    form = {"token": memory.tokens.refresh_token, "client_id": memory.client_info.client_id}
    async with httpx.AsyncClient(base_url=dev["issuer"]) as stytch:
        assert (await stytch.post("/v1/oauth2/revoke", data=form)).status_code == 200
        refresh = {"grant_type": "refresh_token", "refresh_token": form["token"], "client_id": form["client_id"]}
        assert (await stytch.post("/v1/oauth2/token", data=refresh)).status_code >= 400
    assert (await post(dev["mcp_url"], memory.tokens.access_token)).status_code == 200
    assert memory.tokens.expires_in is not None
    assert memory.tokens.expires_in <= 3600


async def test_health_says_that_clients_can_log_in(dev: dict[str, Any]) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.get(dev["mcp_url"].replace("/mcp", "/health"))
    assert answer.json() == {"status": "ok", "oauth_compliant": True, "reason": None}


async def test_the_issuers_document_is_served_unchanged(dev: dict[str, Any]) -> None:
    path = "/.well-known/oauth-authorization-server"
    async with httpx.AsyncClient() as http:
        ours = (await http.get(dev["mcp_url"].replace("/mcp", path))).json()
        theirs = (await http.get(dev["issuer"] + path)).json()
    ours.pop("request_id")
    theirs.pop("request_id")
    assert ours == theirs


def test_the_server_under_test_is_the_owners() -> None:
    assert package() != "stytch_mcp"


async def mint(dev: dict[str, Any], **wishes: Any) -> str:
    """A token from local Stytch, of any kind."""
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{dev['test_controls']}/mint", json={"kind": "access", "email": "ada@example.com", **wishes}
        )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


async def post(
    mcp_url: str,
    token: str,
    *,
    version: str | None = None,
    method: str = "tools/list",
    params: dict[str, Any] | None = None,
) -> httpx.Response:
    """One request as a client without the SDK would send it."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    if version is not None:
        headers["MCP-Protocol-Version"] = version
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    async with httpx.AsyncClient() as http:
        return await http.post(mcp_url, json=body, headers=headers)
