"""Local AuthKit: an authorization server for MCP, and the users that its API keeps."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from starlette.applications import Starlette

from stytch_mcp_kit.local.authkit import create_app
from stytch_mcp_kit.local.config import Seed
from stytch_mcp_kit.local.wire import s256
from stytch_mcp_kit.local.workos import API_KEY, CLIENT_ID, AuthKitConfig
from tests.kit.conftest import REDIRECT, RESOURCE, VERIFIER, Clock, Documents, claims, query

pytestmark = pytest.mark.anyio

AUTHKIT = "http://127.0.0.1:9103"
ADA = Seed("ada@example.com", name={"first_name": "Ada"}, external_id="user-test-ada")
NEW = Seed("new@example.com", verified=False)
DOCUMENT = "https://client.example/metadata.json"


@dataclass
class AuthKit:
    app: Starlette
    clock: Clock
    documents: Documents
    http: httpx.AsyncClient

    async def register(self, **metadata: Any) -> dict[str, Any]:
        body = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none", **metadata}
        response = await self.http.post("/oauth2/register", json=body)
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def authorize(self, client_id: str, **changes: Any) -> httpx.Response:
        asked = {
            "client_id": client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": "openid offline_access",
            "state": "s",
            "code_challenge": s256(VERIFIER),
            "code_challenge_method": "S256",
            "resource": RESOURCE,
            **changes,
        }
        return await self.http.get("/oauth2/authorize", params={k: v for k, v in asked.items() if v is not None})

    async def token(self, **form: Any) -> httpx.Response:
        if "code" in form:
            form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, "code_verifier": VERIFIER, **form}
        elif "refresh_token" in form:
            form = {"grant_type": "refresh_token", **form}
        return await self.http.post("/oauth2/token", data=form)

    async def tokens(self, client_id: str, **changes: Any) -> dict[str, Any]:
        location = (await self.authorize(client_id, **changes)).headers["location"]
        response = await self.token(client_id=client_id, code=query(location)["code"])
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def api(self, method: str, path: str, key: str = API_KEY, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return await self.http.request(method, f"/user_management/{path}", headers=headers, **request)

    async def settings(self, **switches: Any) -> None:
        assert (await self.http.post("/_test/settings", json=switches)).status_code == 200


@pytest.fixture
async def authkit(signing_key: RSAPrivateKey, anyio_backend: str) -> AsyncIterator[AuthKit]:
    clock, documents = Clock(float(int(time.time()))), Documents()
    config = AuthKitConfig(
        AUTHKIT,
        users=(ADA, NEW),
        resources=(RESOURCE,),
        clock=clock,
        signing_key=signing_key,
        cimd_transport=documents,
        permissions={"new@example.com": ("notes:read",)},
    )
    app = create_app(config)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=AUTHKIT) as http:
        yield AuthKit(app, clock, documents, http)


# Documents.


async def test_the_metadata_is_what_a_client_of_mcp_needs(authkit: AuthKit) -> None:
    body = (await authkit.http.get("/.well-known/oauth-authorization-server")).json()
    assert body["issuer"] == AUTHKIT
    assert body["jwks_uri"] == f"{AUTHKIT}/oauth2/jwks"
    assert body["registration_endpoint"] == f"{AUTHKIT}/oauth2/register"
    assert body["code_challenge_methods_supported"] == ["S256"]
    assert body["client_id_metadata_document_supported"] is True
    assert body["scopes_supported"] == ["email", "offline_access", "openid", "profile"]
    assert "authorization_response_iss_parameter_supported" not in body
    for url in (value for name, value in body.items() if name.endswith("_endpoint")):
        assert (await authkit.http.post(url)).status_code in (400, 401, 405), f"{url} is there"


async def test_the_openid_document_names_neither_pkce_nor_registration(authkit: AuthKit) -> None:
    body = (await authkit.http.get("/.well-known/openid-configuration")).json()
    assert body["issuer"] == AUTHKIT
    assert not {"registration_endpoint", "code_challenge_methods_supported"} & set(body)


async def test_registration_and_documents_can_be_off(authkit: AuthKit) -> None:
    await authkit.settings(dcr_enabled=False, cimd_enabled=False)
    body = (await authkit.http.get("/.well-known/oauth-authorization-server")).json()
    assert "registration_endpoint" not in body
    assert body["client_id_metadata_document_supported"] is False
    assert (await authkit.http.post("/oauth2/register", json={"redirect_uris": [REDIRECT]})).status_code == 400


# Clients, codes, tokens.


async def test_from_registration_to_a_token_with_the_documented_claims(authkit: AuthKit) -> None:
    client = await authkit.register()
    assert client["client_id"].startswith("client_01")
    tokens = await authkit.tokens(client["client_id"])
    found = claims(tokens["access_token"])
    assert set(found) == {"iss", "aud", "sub", "sid", "jti", "exp", "iat", "external_id"}
    assert (found["iss"], found["aud"], found["external_id"]) == (AUTHKIT, RESOURCE, "user-test-ada")
    assert found["sub"].startswith("user_01")
    assert tokens["expires_in"] == found["exp"] - found["iat"] == 3600
    identity = claims(tokens["id_token"])
    assert (identity["aud"], identity["sub"]) == (client["client_id"], found["sub"])


async def test_who_has_no_external_id_gets_no_such_claim(authkit: AuthKit) -> None:
    client = await authkit.register()
    found = claims((await authkit.tokens(client["client_id"], login_hint="new@example.com"))["access_token"])
    assert "external_id" not in found
    assert found["permissions"] == ["notes:read"]


async def test_the_switches_add_what_is_unconfirmed(authkit: AuthKit) -> None:
    await authkit.settings(scope_claim=True, client_id_claim=True)
    client = await authkit.register()
    found = claims((await authkit.tokens(client["client_id"]))["access_token"])
    assert (found["scope"], found["client_id"]) == ("openid offline_access", client["client_id"])


async def test_a_template_overrides_no_claim_that_is_reserved(authkit: AuthKit) -> None:
    template = '{"sub": {{ user.external_id }}, "aud": "x", "iss": "x", "email": {{ user.email }}}'
    assert (await authkit.api("PUT", "jwt_template", json={"content": template})).status_code == 200
    client = await authkit.register()
    found = claims((await authkit.tokens(client["client_id"]))["access_token"])
    assert (found["iss"], found["aud"], found["email"]) == (AUTHKIT, RESOURCE, "ada@example.com")
    assert found["sub"].startswith("user_01")


async def test_a_client_that_names_no_method_gets_a_secret_and_must_show_it(authkit: AuthKit) -> None:
    client = await authkit.register(token_endpoint_auth_method=None)
    assert client["token_endpoint_auth_method"] == "client_secret_basic"
    location = (await authkit.authorize(client["client_id"])).headers["location"]
    code = query(location)["code"]
    refused = await authkit.token(client_id=client["client_id"], code=code)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    answer = await authkit.token(client_id=client["client_id"], client_secret=client["client_secret"], code=code)
    assert answer.status_code == 200


async def test_a_client_by_its_metadata_document(authkit: AuthKit) -> None:
    document = {"client_id": DOCUMENT, "client_name": "Client", "redirect_uris": [REDIRECT]}
    authkit.documents.answers[DOCUMENT] = httpx.Response(200, json=document)
    tokens = await authkit.tokens(DOCUMENT)
    assert claims(tokens["access_token"])["aud"] == RESOURCE
    assert authkit.documents.asked == [DOCUMENT]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "offline_access"}, "invalid_scope"),
        ({"scope": "openid notes:read"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
    ids=str,
)
async def test_a_request_that_is_refused_goes_back_to_the_client(
    authkit: AuthKit, changes: dict[str, str], error: str
) -> None:
    client = await authkit.register()
    location = (await authkit.authorize(client["client_id"], **changes)).headers["location"]
    assert location.startswith(REDIRECT)
    assert query(location) == {"error": error, "state": "s"}


@pytest.mark.parametrize(
    "changes", [{"client_id": "client_01NOBODY"}, {"redirect_uri": "https://evil.example/"}, {"code_challenge": None}]
)
async def test_what_makes_a_redirect_unsafe_is_answered_without_one(
    authkit: AuthKit, changes: dict[str, str | None]
) -> None:
    client = await authkit.register()
    answer = await authkit.authorize(**{"client_id": client["client_id"], **changes})
    assert 400 <= answer.status_code < 500
    assert "location" not in answer.headers


async def test_an_indicator_that_is_not_set_up_gets_no_token(authkit: AuthKit) -> None:
    client = await authkit.register()
    for resource in ("https://other.example.com/mcp", f"{RESOURCE}/"):
        location = (await authkit.authorize(client["client_id"], resource=resource)).headers["location"]
        answer = await authkit.token(client_id=client["client_id"], code=query(location)["code"])
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


async def test_without_indicators_the_audience_is_the_environment(authkit: AuthKit) -> None:
    project = authkit.app.state.project
    project.config = replace(project.config, resources=())
    client = await authkit.register()
    assert claims((await authkit.tokens(client["client_id"]))["access_token"])["aud"] == CLIENT_ID


async def test_a_code_and_a_refresh_token_are_good_once(authkit: AuthKit) -> None:
    client_id = (await authkit.register())["client_id"]
    code = query((await authkit.authorize(client_id)).headers["location"])["code"]
    tokens = (await authkit.token(client_id=client_id, code=code)).json()
    assert (await authkit.token(client_id=client_id, code=code)).json()["error"] == "invalid_grant"
    renewed = (await authkit.token(client_id=client_id, refresh_token=tokens["refresh_token"])).json()
    assert claims(renewed["access_token"])["sub"] == claims(tokens["access_token"])["sub"]
    again = await authkit.token(client_id=client_id, refresh_token=tokens["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    await authkit.settings(rotate_refresh=False)
    kept = (await authkit.token(client_id=client_id, refresh_token=renewed["refresh_token"])).json()
    assert kept["refresh_token"] == renewed["refresh_token"]


async def test_no_offline_access_no_refresh_token(authkit: AuthKit) -> None:
    client_id = (await authkit.register())["client_id"]
    assert "refresh_token" not in await authkit.tokens(client_id, scope="openid")


# The user API.


async def test_only_the_key_opens_the_api(authkit: AuthKit) -> None:
    for key in ("", "sk_test_other"):
        assert (await authkit.api("GET", "users", key=key)).status_code == 401


async def test_a_user_is_made_found_and_changed(authkit: AuthKit) -> None:
    body = {"email": "Eve@example.com", "email_verified": True, "external_id": "user-test-eve", "metadata": {"a": "b"}}
    made = await authkit.api("POST", "users", json=body)
    assert made.status_code == 201
    user = made.json()
    assert {name: user[name] for name in body} == body
    assert (await authkit.api("GET", f"users/{user['id']}")).json() == user
    assert (await authkit.api("GET", "users/external_id/user-test-eve")).json() == user
    found = (await authkit.api("GET", "users", params={"email": "eve@EXAMPLE.com"})).json()
    assert found == {"object": "list", "data": [user], "list_metadata": {"before": None, "after": None}}
    changed = await authkit.api("PUT", f"users/{user['id']}", json={"external_id": "user-test-other"})
    assert changed.json()["external_id"] == "user-test-other"
    assert (await authkit.api("DELETE", f"users/{user['id']}")).status_code == 204
    assert (await authkit.api("GET", f"users/{user['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email": "ADA@example.com"}, 400, "email_not_available"),
        ({"email": "eve@example.com", "external_id": "user-test-ada"}, 400, "external_id_not_available"),
        ({"email": "nobody"}, 422, "email_invalid"),
        ({"email": "eve@example.com", "metadata": {"a": 1}}, 422, "metadata_invalid"),
        ({"email": "eve@example.com", "metadata": {str(n): "" for n in range(11)}}, 422, "metadata_invalid"),
    ],
    ids=["email", "external_id", "no address", "number", "many"],
)
async def test_a_user_that_cannot_be(authkit: AuthKit, body: dict[str, Any], status: int, code: str) -> None:
    refused = await authkit.api("POST", "users", json=body)
    assert (refused.status_code, refused.json()["errors"]) == (status, [{"code": code}])
    assert len((await authkit.api("GET", "users")).json()["data"]) == 2


async def test_users_come_a_page_at_a_time(authkit: AuthKit) -> None:
    first = (await authkit.api("GET", "users", params={"limit": 1})).json()
    after = first["list_metadata"]["after"]
    second = (await authkit.api("GET", "users", params={"limit": 1, "after": after})).json()
    assert [page["data"][0]["email"] for page in (first, second)] == ["ada@example.com", "new@example.com"]
    assert second["list_metadata"]["after"] is None
    assert (await authkit.api("GET", "users", params={"limit": "many"})).status_code == 422


async def test_too_many_writes_in_ten_seconds(authkit: AuthKit) -> None:
    await authkit.settings(writes=2)
    template = {"content": "{}"}
    answers = [(await authkit.api("PUT", "jwt_template", json=template)).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    assert (await authkit.api("GET", "users")).status_code == 200
    authkit.clock.now += 10
    assert (await authkit.api("PUT", "jwt_template", json=template)).status_code == 200


# Controls.


@pytest.mark.parametrize(("kind", "prefix"), [("access", "user_"), ("m2m", "client_"), ("id", "user_")])
async def test_any_token_can_be_minted(authkit: AuthKit, kind: str, prefix: str) -> None:
    minted = (await authkit.http.post("/_test/mint", json={"kind": kind, "claims": {"extra": 1}})).json()
    found = claims(minted["token"])
    assert found["sub"].startswith(prefix)
    assert found["extra"] == 1


async def test_the_shared_controls_are_there(authkit: AuthKit) -> None:
    assert (await authkit.http.post("/_test/keys/rotate", json={})).status_code == 200
    assert len((await authkit.http.get("/oauth2/jwks")).json()["keys"]) == 2
    faults = {"/user_management/users": {"status": 500, "times": 1}}
    assert (await authkit.http.post("/_test/faults", json=faults)).status_code == 200
    assert [(await authkit.api("GET", "users")).status_code for _ in range(2)] == [500, 200]
    assert (await authkit.http.post("/_test/reset")).status_code == 200
    assert (await authkit.http.get("/_test/otp")).status_code == 404
