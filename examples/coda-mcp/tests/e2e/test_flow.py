"""The whole flow with the real client, server and local Stytch, over HTTP."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
import httpx
import pytest
from mcp.client.auth import OAuthClientProvider, OAuthRegistrationError
from mcp.shared.auth import OAuthClientInformationFull
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from stytch_mcp_kit.local.config import PROJECT_ID, SECRET
from tests.sdk_client import REDIRECT_URI, Browser, Memory, Mode, call_as, connect, http_client, logged_in
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
async def test_every_older_revision_is_served_without_sessions(dev: dict[str, Any], version: str) -> None:
    """No answer gives a session ID, and a request goes without `initialize`: its token alone says who calls."""
    client_info = {"name": "test", "version": "1"}
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": client_info}
    begun = await post(dev["mcp_url"], await mint(dev), method="initialize", params=params)
    assert begun.json()["result"]["protocolVersion"] == version
    listed = await post(dev["mcp_url"], await mint(dev), version=version, method="tools/list")
    assert listed.json()["result"]["tools"]
    assert listed.headers["content-type"] == "application/json"
    assert "mcp-session-id" not in {*begun.headers, *listed.headers}


@pytest.mark.parametrize("kind", ["session", "m2m", "id"])
async def test_other_tokens_of_the_same_issuer_are_refused(dev: dict[str, Any], kind: str) -> None:
    answer = await post(dev["mcp_url"], await mint(dev, kind=kind))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "forgery",
    [
        {"key": "foreign"},
        {"key": "none"},
        {"key": "hs256_public"},
        {"algorithm": "PS256"},
        {"header": {"typ": "logout+jwt"}},
        {"header": {"kid": None}},
        {"claims": {"iss": "https://evil.example"}},
        {"claims": {"aud": ["project-test-of-somebody-else"]}},
        {"claims": {"exp": 1}},
        {"claims": {"nbf": 2**40}},
    ],
    ids=str,
)
async def test_wrong_tokens_are_refused(dev: dict[str, Any], forgery: dict[str, Any]) -> None:
    answer = await post(dev["mcp_url"], await mint(dev, **forgery))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_token_without_the_scope_is_403(dev: dict[str, Any]) -> None:
    answer = await post(dev["mcp_url"], await mint(dev, scope="openid"))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


ODD_REQUESTS = {
    "two headers": "Authorization: Bearer {t}\r\nAuthorization: Bearer {t}\r\n",
    "a NUL": "Authorization: Bearer {t}\0\r\n",
    "60 kB": "Authorization: Bearer {t}" + "x" * 60_000 + "\r\n",
    "1 MB": "Authorization: Bearer {t}" + "x" * 1_000_000 + "\r\n",
    "no colon": "Authorization Bearer {t}\r\n",
    "a folded header": "Authorization: Bearer\r\n {t}x\r\n",
    "the token as a header": "{t}: Bearer\r\n",
}


@pytest.mark.parametrize("headers", ODD_REQUESTS.values(), ids=ODD_REQUESTS)
@pytest.mark.parametrize("query", ["", "?access_token={t}"])
async def test_what_no_client_library_sends_is_refused_on_the_wire_too(
    dev: dict[str, Any], headers: str, query: str
) -> None:
    """That nothing of it is logged, and no traceback, is asserted when the server ends: see `servers.process`."""
    token, url = await mint(dev), httpx.URL(dev["mcp_url"])
    head = f"POST /mcp{query} HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nContent-Length: 0\r\n{headers}\r\n"
    async with await anyio.connect_tcp(url.host, url.port or 80) as stream:
        answer = b""
        with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream):
            await stream.send(head.format(t=token).encode("latin-1"))
            answer = await stream.receive()
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 401", b"HTTP/1.1 431", b"")
    assert (await post(dev["mcp_url"], token)).status_code == 200, "the server goes on"


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


async def test_a_disconnected_application_asks_again(dev: dict[str, Any]) -> None:
    memory = Memory()
    async with http_client(dev["mcp_url"], memory) as http, connect(dev["mcp_url"], http) as client:
        who = await call_as(client, memory)
    assert memory.tokens is not None
    apps = f"/v1/users/{who['sub']}/connected_apps"
    auth = httpx.BasicAuth(PROJECT_ID, SECRET)
    async with httpx.AsyncClient(base_url=dev["issuer"], auth=auth) as stytch:
        listed = (await stytch.get(apps)).json()["connected_apps"]
        assert who["client_id"] in [app["connected_app_id"] for app in listed]
        assert (await stytch.post(f"{apps}/{who['client_id']}/revoke")).status_code == 200
    old = memory.tokens.refresh_token
    memory.tokens.access_token = "gone"
    async with http_client(dev["mcp_url"], memory) as http, connect(dev["mcp_url"], http) as client:
        again = await call_as(client, memory)
    assert (again["sub"], again["client_id"]) == (who["sub"], who["client_id"])
    assert memory.tokens.refresh_token != old


async def test_a_client_refreshes_an_expired_token_without_the_browser(
    dev: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory()
    async with http_client(dev["mcp_url"], memory) as http, connect(dev["mcp_url"], http) as client:
        await client.list_tools()
        assert memory.tokens is not None
        first = memory.tokens
        monkeypatch.setattr(Browser, "open", None)
        assert isinstance(http.auth, OAuthClientProvider)
        http.auth.context.token_expiry_time = 1.0
        await client.list_tools()
    assert memory.tokens.access_token != first.access_token
    assert memory.tokens.refresh_token != first.refresh_token, "Stytch rotates those of public clients"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_confidential_client_known_beforehand_logs_in(dev: dict[str, Any], method: str) -> None:
    auth = httpx.BasicAuth(PROJECT_ID, SECRET)
    body = {"client_type": "third_party", "client_name": "Known", "redirect_urls": [REDIRECT_URI]}
    async with httpx.AsyncClient(base_url=dev["issuer"], auth=auth) as stytch:
        app = (await stytch.post("/v1/connected_apps/clients", json=body)).json()["connected_app"]
    memory = Memory()
    memory.client_info = OAuthClientInformationFull(
        client_id=app["client_id"],
        client_secret=app["client_secret"],
        redirect_uris=[REDIRECT_URI],  # type: ignore[list-item]
        token_endpoint_auth_method=method,
        issuer=dev["issuer"],
    )
    async with http_client(dev["mcp_url"], memory) as http, connect(dev["mcp_url"], http) as client:
        who = await call_as(client, memory)
    assert who["client_id"] == app["client_id"]


@pytest.mark.parametrize(
    ("switched", "expected"),
    [
        ({"auto_consent": False}, "access_denied"),
        ({"dcr_enabled": False}, "dynamic_client_registration_not_enabled|Registration"),
    ],
    ids=["consent denied", "registration off"],
)
async def test_a_client_that_is_not_let_in_is_told_why(
    dev: dict[str, Any], switched: dict[str, bool], expected: str
) -> None:
    memory = Memory()
    async with httpx.AsyncClient(base_url=f"{dev['test_controls']}/") as controls:
        assert (await controls.post("settings", json=switched)).status_code == 200
        try:
            with pytest.RaisesGroup(
                pytest.RaisesExc((AssertionError, OAuthRegistrationError), match=expected), flatten_subgroups=True
            ):
                async with http_client(dev["mcp_url"], memory) as http, connect(dev["mcp_url"], http) as client:
                    await client.list_tools()
        finally:
            await controls.post("settings", json=dict.fromkeys(switched, True))
    assert memory.tokens is None


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
