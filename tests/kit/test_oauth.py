"""Local Stytch as an authorization server: documents, clients, consent, tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import anyio
import anyio.lowlevel
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from stytch_mcp_kit.local.config import M2M_CLIENT_ID, M2M_CLIENT_SECRET
from stytch_mcp_kit.local.wire import s256
from tests.kit.conftest import (
    CONSENT,
    DOMAIN,
    PAGE,
    REDIRECT,
    RESOURCE,
    VERIFIER,
    Local,
    claims,
    consent_required,
    oauth_error,
    query,
    stytch_error,
)

pytestmark = pytest.mark.anyio

DOCUMENT_URL = "https://client.example/metadata.json"

# Discovery and keys


async def test_the_authorization_server_metadata_echoes_the_page_and_names_this_issuer(local: Local) -> None:
    body = (await local.http.get("/.well-known/oauth-authorization-server")).json()
    assert body["authorization_endpoint"] == PAGE
    assert body["issuer"] == DOMAIN
    assert body["token_endpoint"] == f"{DOMAIN}/v1/oauth2/token"
    assert body["registration_endpoint"] == f"{DOMAIN}/v1/oauth2/register"
    assert body["jwks_uri"] == f"{DOMAIN}/.well-known/jwks.json"
    assert body["code_challenge_methods_supported"] == ["S256"]
    assert body["client_id_metadata_document_supported"] is True
    assert body["scopes_supported"][-2:] == ["notes:read", "notes:write"]
    assert body["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post", "none"]
    assert body["status_code"] == 200
    assert body["request_id"].startswith("request-id-test-")
    for absent in ("revocation_endpoint", "introspection_endpoint", "authorization_response_iss_parameter_supported"):
        assert absent not in body


async def test_the_openid_document_names_neither_pkce_nor_registration(local: Local) -> None:
    body = (await local.http.get("/.well-known/openid-configuration")).json()
    assert body["issuer"] == DOMAIN
    assert "code_challenge_methods_supported" not in body
    assert "registration_endpoint" not in body
    legacy = (await local.http.get(f"/v1/public/{local.config.project_id}/.well-known/openid-configuration")).json()
    assert legacy["issuer"] == f"stytch.com/{local.config.project_id}"
    assert legacy["token_endpoint"] == f"{DOMAIN}/v1/public/{local.config.project_id}/oauth2/token"


@pytest.mark.parametrize("path", ["oauth-authorization-server", "openid-configuration"])
async def test_without_an_authorization_url_discovery_is_refused(local: Local, path: str) -> None:
    await local.control("settings", authorization_url=None)
    response = await local.http.get(f"/.well-known/{path}")
    assert stytch_error(response) == (400, "authorization_endpoint_not_configured_for_project")


async def test_discovery_has_no_path_suffixed_form(local: Local) -> None:
    response = await local.http.get("/.well-known/oauth-authorization-server/mcp")
    assert stytch_error(response) == (404, "route_not_found")


async def test_metadata_follows_the_switches(local: Local) -> None:
    await local.control("settings", dcr_enabled=False, cimd_enabled=False)
    body = (await local.http.get("/.well-known/oauth-authorization-server")).json()
    assert "registration_endpoint" not in body
    assert body["client_id_metadata_document_supported"] is False


async def test_the_key_set_is_the_same_everywhere_and_as_stytch_writes_it(local: Local) -> None:
    project_id = local.config.project_id
    paths = [
        "/.well-known/jwks.json",
        f"/v1/public/{project_id}/.well-known/jwks.json",
        f"/v1/sessions/jwks/{project_id}",
        f"/v1/b2b/sessions/jwks/{project_id}",
    ]
    sets = [(await local.http.get(path)).json()["keys"] for path in paths]
    assert all(keys == sets[0] for keys in sets)
    (key,) = sets[0]
    assert key["kid"].startswith("jwk-test-")
    assert (key["kty"], key["use"], key["alg"], key["key_ops"]) == ("RSA", "sig", "RS256", ["verify"])
    assert len(key["x5c"]) == 1
    assert key["x5tS256"]
    assert not {"d", "p", "q"} & set(key)
    assert stytch_error(await local.http.get("/v1/sessions/jwks/project-test-other")) == (404, "project_not_found")


async def test_web_pages_may_use_discovery_and_tokens_but_not_the_api_or_the_controls(local: Local) -> None:
    origin = {"origin": "https://page.example"}
    discovery = await local.http.get("/.well-known/oauth-authorization-server", headers=origin)
    assert discovery.headers["access-control-allow-origin"] == "*"
    preflight = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    for path, status in (("/v1/oauth2/token", 200), ("/v1/users", 405), ("/_test/reset", 405)):
        assert (await local.http.options(path, headers=preflight)).status_code == status
    users = await local.http.get(f"/v1/users/{local.user_id}", headers=origin)
    assert "access-control-allow-origin" not in users.headers


# Registration


async def test_registration_answers_with_the_metadata_and_what_stytch_fixes(local: Local) -> None:
    body = await local.register(client_name="Inspector", grant_types=["implicit"], software_id="x")
    assert body["client_id"].startswith("connected-app-test-")
    assert body["client_name"] == "Inspector"
    assert body["software_id"] == "x"
    assert body["grant_types"] == ["authorization_code", "refresh_token"]
    assert body["response_types"] == ["code"]
    assert body["token_endpoint_auth_method"] == "none"
    assert "client_secret" not in body


async def test_public_clients_with_equal_metadata_are_one_client(local: Local) -> None:
    first, again = await local.register(client_name="a"), await local.register(client_name="a")
    assert first["client_id"] == again["client_id"]
    assert (await local.register(client_name="b"))["client_id"] != first["client_id"]


async def test_confidential_clients_are_always_new_and_get_a_secret(local: Local) -> None:
    one, two = [await local.register(token_endpoint_auth_method="client_secret_post") for _ in range(2)]
    assert one["client_id"] != two["client_id"]
    assert one["client_secret"] != two["client_secret"]


async def test_registration_can_be_off_or_answer_201(local: Local) -> None:
    await local.control("settings", dcr_status=201)
    body = {"redirect_uris": [REDIRECT]}
    assert (await local.http.post("/v1/oauth2/register", json=body)).status_code == 201
    await local.control("settings", dcr_enabled=False)
    response = await local.http.post("/v1/oauth2/register", json=body)
    assert stytch_error(response) == (400, "dynamic_client_registration_not_enabled")


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("http://client.example/cb", "connected_app_redirect_url_http_scheme_must_use_loopback"),
        ("client.example/cb", "connected_app_redirect_url_must_include_scheme"),
        ("javascript:alert(1)", "connected_app_redirect_url_must_use_http_or_https_scheme"),
        ("https://client.example/cb#here", "connected_app_invalid_redirect_url"),
        ("https://client.example:port/", "connected_app_invalid_redirect_url"),
        ("https:///cb", "connected_app_invalid_redirect_url"),
        ("https://client.example/a b", "connected_app_invalid_redirect_url"),
    ],
)
async def test_redirect_uris_that_cannot_be_registered(local: Local, uri: str, error: str) -> None:
    response = await local.http.post("/v1/oauth2/register", json={"redirect_uris": [uri]})
    assert stytch_error(response) == (400, error)


async def test_custom_schemes_are_a_switch(local: Local) -> None:
    uri = "cursor://anysphere.cursor/callback"
    assert (await local.register(redirect_uris=[uri]))["redirect_uris"] == [uri]
    await local.control("settings", dcr_custom_schemes=False)
    response = await local.http.post("/v1/oauth2/register", json={"redirect_uris": [uri]})
    assert stytch_error(response)[0] == 400


# Consent


async def test_start_tells_what_a_page_has_to_ask(local: Local) -> None:
    await local.control("users", email="ada@example.com", scopes=["notes:read"], code="123456")
    client = await local.register(client_name="Inspector")
    user = (await local.api("/v1/users/search", query={"operator": "AND", "operands": []})).json()["results"][-1]
    response = await local.api(
        "/v1/idp/oauth/authorize/start",
        client_id=client["client_id"],
        redirect_uri=REDIRECT,
        response_type="code",
        scopes=["openid", "notes:read", "notes:write"],
        user_id=user["user_id"],
    )
    body = response.json()
    assert body["consent_required"] is True
    assert body["client"]["client_name"] == "Inspector"
    assert body["client"]["client_type"] == "third_party_public"
    assert [(result["scope"], result["is_grantable"]) for result in body["scope_results"]] == [
        ("openid", True),
        ("notes:read", True),
        ("notes:write", False),
    ]
    assert body["scope_results"][1]["description"] == "Read notes"


async def test_consent_is_remembered_per_user_client_and_set_of_scopes(local: Local) -> None:
    client_id, other = [(await local.register(client_name=name))["client_id"] for name in "ab"]
    assert await consent_required(local, client_id, CONSENT)
    await local.code(client_id)
    assert not await consent_required(local, client_id, CONSENT)
    assert not await consent_required(local, client_id, CONSENT[::-1])
    assert await consent_required(local, client_id, CONSENT[:1]), "another set of scopes"
    assert await consent_required(local, other, CONSENT), "another client"
    assert await consent_required(local, client_id, CONSENT, prompt="consent")
    other_user = list(local.app.state.project.users)[1]
    assert await consent_required(local, client_id, CONSENT, user_id=other_user), "another user"


async def test_offline_access_is_asked_for_each_time(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    scopes = [*CONSENT, "offline_access"]
    await local.code(client_id, scopes=scopes)
    assert await consent_required(local, client_id, scopes)


async def test_first_party_clients_ask_only_for_offline_access(local: Local) -> None:
    client = await local.create_app()
    assert not await consent_required(local, client["client_id"], CONSENT)
    assert await consent_required(local, client["client_id"], ["offline_access"])
    bypassing = await local.create_app(bypass_consent_for_offline_access=True)
    assert not await consent_required(local, bypassing["client_id"], ["offline_access"])


async def test_a_refusal_is_a_redirect_with_an_error_and_no_code(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    response = await local.submit(client_id, consent_granted=False, state="s&t")
    body = response.json()
    assert response.status_code == 200
    assert "authorization_code" not in body
    assert query(body["redirect_uri"])["error"] == "access_denied"
    assert query(body["redirect_uri"])["state"] == "s&t"
    assert query(body["redirect_uri"])["error_description"]


async def test_where_no_consent_is_required_false_succeeds(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    await local.code(client_id)
    body = (await local.submit(client_id, consent_granted=False, state="s")).json()
    assert query(body["redirect_uri"]) == {"code": body["authorization_code"], "state": "s"}


@pytest.mark.parametrize("identity", [{"user_id": None}, {"session_token": "x"}])
async def test_exactly_one_identity_is_required(local: Local, identity: dict[str, Any]) -> None:
    client_id = (await local.register())["client_id"]
    assert stytch_error(await local.submit(client_id, **identity)) == (400, "bad_request")


async def test_unknown_scopes_are_refused_and_ungrantable_ones_dropped(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    wrong = await local.submit(client_id, scopes=["notes:delete"])
    assert stytch_error(wrong) == (400, "oauth_invalid_scope_requested")
    full = await local.submit(client_id, scopes=["full_access"])
    assert stytch_error(full) == (400, "oauth_invalid_scope_requested")
    user = await local.control("users", email="eve@example.com", scopes=["notes:read"])
    body = await local.tokens(client_id, scopes=["notes:read", "notes:write"], user_id=user["user_id"])
    assert body["scope"] == "notes:read"
    nothing = await local.submit(client_id, scopes=["notes:write"], user_id=user["user_id"])
    assert stytch_error(nothing) == (400, "oauth_invalid_scope_requested")


async def test_unknown_clients_and_redirects_are_refused_without_a_redirect(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    nobody = await local.submit("connected-app-test-nobody")
    assert stytch_error(nobody) == (404, "connected_app_not_found")
    elsewhere = await local.submit(client_id, redirect_uri=f"{REDIRECT}/")
    assert stytch_error(elsewhere) == (400, "connected_app_supplied_redirect_url_not_found_in_client")


@pytest.mark.parametrize(
    ("registered", "given", "accepted"),
    [
        ("http://127.0.0.1/cb", "http://127.0.0.1:51000/cb", True),
        ("http://[::1]:1/cb", "http://[::1]:51000/cb", True),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51000/other", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example:80/cb", False),
        ("http://127.0.0.1/cb", "http://user@127.0.0.1:51000/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51000/cb?x=1", False),
        ("http://localhost:3000/cb", "http://localhost:3001/cb", False),
        ("https://client.example/cb", "https://client.example:8443/cb", False),
    ],
)
async def test_redirects_match_exactly_but_for_a_loopback_port(
    local: Local, registered: str, given: str, accepted: bool
) -> None:
    client_id = (await local.register(redirect_uris=[registered]))["client_id"]
    assert (await local.submit(client_id, redirect_uri=given)).status_code == (200 if accepted else 400)


async def test_the_port_of_localhost_is_a_switch(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    await local.control("settings", localhost_any_port=True)
    assert (await local.submit(client_id, redirect_uri="http://localhost:4/callback")).status_code == 200


async def test_a_redirect_uri_keeps_its_query_and_may_get_a_second_question_mark(local: Local) -> None:
    uri = "https://client.example/cb?tenant=1"
    client_id = (await local.register(redirect_uris=[uri]))["client_id"]
    body = (await local.submit(client_id, redirect_uri=uri)).json()
    assert body["redirect_uri"].startswith(f"{uri}&code=")
    await local.control("settings", quirk_double_question=True)
    body = (await local.submit(client_id, redirect_uri=uri)).json()
    assert body["redirect_uri"].startswith(f"{uri}?code=")


@pytest.mark.parametrize("challenge", [None, "short", "v" * 42 + "+"])
async def test_public_clients_must_bring_a_sha256_challenge(local: Local, challenge: str | None) -> None:
    client_id = (await local.register())["client_id"]
    status, error = stytch_error(await local.submit(client_id, code_challenge=challenge))
    assert status == 400
    assert error == ("invalid_pkce_code_challenge" if challenge else "pkce_required_for_idp_authorization_flow")


# Tokens


async def test_an_access_token_has_exactly_stytchs_claims(local: Local, signing_key: RSAPrivateKey) -> None:
    client_id = (await local.register())["client_id"]
    response = await local.token(client_id, code=await local.code(client_id))
    body = response.json()
    assert response.headers["cache-control"] == "no-store"
    assert set(body) == {
        *("access_token", "id_token", "expires_in", "scope", "token_type", "request_id", "status_code"),
    }
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("bearer", 3600, "openid email notes:read")
    header = jwt.get_unverified_header(body["access_token"])
    keys = (await local.http.get("/.well-known/jwks.json")).json()["keys"]
    assert header == {"alg": "RS256", "kid": keys[0]["kid"], "typ": "JWT"}
    found = jwt.decode(
        body["access_token"], signing_key.public_key(), algorithms=["RS256"], audience=local.config.project_id
    )
    now = int(local.clock.now)
    assert isinstance(found.pop("jti"), str)
    assert found == {
        "iss": DOMAIN,
        "sub": local.user_id,
        "aud": [local.config.project_id],
        "client_id": client_id,
        "exp": now + 3600,
        "iat": now,
        "nbf": now,
        "scope": "openid email notes:read",
    }


async def test_an_id_token_is_for_the_client_and_only_with_openid(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    body = await local.tokens(client_id, nonce="n")
    found = claims(body["id_token"])
    assert found["aud"] == [client_id]
    assert (found["email"], found["email_verified"], found["nonce"]) == ("ada@example.com", True, "n")
    assert "id_token" not in await local.tokens(client_id, scopes=["notes:read"])


async def test_the_issuer_follows_the_host_form_of_the_token_request(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    response = await local.http.post(
        f"/v1/public/{local.config.project_id}/oauth2/token",
        json={
            "grant_type": "authorization_code",
            "client_id": client_id,
            "code": await local.code(client_id),
            "code_verifier": VERIFIER,
            "redirect_uri": REDIRECT,
        },
    )
    assert claims(response.json()["access_token"])["iss"] == f"stytch.com/{local.config.project_id}"


async def test_resources_join_the_audience_only_behind_the_switch_and_from_authorize(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    project_id = local.config.project_id
    assert claims((await local.tokens(client_id, resources=[RESOURCE]))["access_token"])["aud"] == [project_id]
    await local.control("settings", aud_resources="append")
    body = await local.tokens(client_id, resources=[RESOURCE])
    assert claims(body["access_token"])["aud"] == [project_id, RESOURCE]
    response = await local.token(client_id, code=await local.code(client_id), resource=RESOURCE)
    assert claims(response.json()["access_token"])["aud"] == [project_id]


async def test_a_client_may_have_an_audience_a_lifetime_and_a_template_of_its_own(local: Local) -> None:
    client = await local.create_app(
        client_type="first_party_public",
        access_token_custom_audience="https://api.example.com",
        access_token_expiry_minutes=5,
        access_token_template_content='{"mail": {{user.email}}, "ext": {{user.trusted_metadata.no}}, "iss": "no"}',
    )
    body = await local.tokens(client["client_id"])
    found = claims(body["access_token"])
    assert found["aud"] == [local.config.project_id, "https://api.example.com"]
    assert body["expires_in"] == 300
    assert (found["mail"], found["ext"]) == ("ada@example.com", None)
    assert found["iss"] == DOMAIN


async def test_a_template_that_is_no_object_is_refused(local: Local) -> None:
    for template in ("[]", "{", '{"x": {{user}}}'):
        client = await local.create_app(client_type="first_party_public", access_token_template_content=template)
        response = await local.token(client["client_id"], code=await local.code(client["client_id"]))
        assert oauth_error(response) == (400, "idp_invalid_access_token_jwt_template")


async def test_a_person_who_is_gone_gets_no_token(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    refresh = (await local.tokens(client_id, scopes=["offline_access"]))["refresh_token"]
    await local.api(f"/v1/users/{local.user_id}", "DELETE")
    assert (await local.token(client_id, refresh_token=refresh)).status_code == 400


async def test_a_code_works_once_for_its_client_redirect_and_verifier(local: Local) -> None:
    client_id, other = [(await local.register(client_name=name))["client_id"] for name in "ab"]
    code = await local.code(client_id)
    assert oauth_error(await local.token(other, code=code)) == (404, "idp_auth_code_not_found")
    assert (await local.token(client_id, code=code)).status_code == 200
    assert oauth_error(await local.token(client_id, code=code)) == (404, "idp_auth_code_not_found")
    cases: dict[str, dict[str, Any]] = {
        "pkce_mismatch": {"code_verifier": "w" * 64},
        "pkce_expected_code_verifier": {"code_verifier": None},
        "connected_app_supplied_redirect_url_not_found_in_client": {"redirect_uri": f"{REDIRECT}2"},
    }
    for error, fields in cases.items():
        response = await local.token(client_id, code=await local.code(client_id), **fields)
        assert oauth_error(response) == (400, error)


async def test_a_code_expires(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    code = await local.code(client_id)
    local.clock.now += 600
    assert oauth_error(await local.token(client_id, code=code)) == (400, "idp_auth_code_expired")


async def test_without_a_challenge_a_verifier_is_not_expected(local: Local) -> None:
    client = await local.create_app()
    secret = client["client_secret"]
    code = await local.code(client["client_id"], code_challenge=None)
    response = await local.token(client["client_id"], code=code, client_secret=secret)
    assert oauth_error(response) == (400, "pkce_did_not_expect_code_verifier")
    code = await local.code(client["client_id"], code_challenge=None)
    response = await local.token(client["client_id"], code=code, client_secret=secret, code_verifier=None)
    assert response.status_code == 200


async def test_a_confidential_client_proves_itself_in_the_body_or_by_basic(local: Local) -> None:
    client = await local.create_app()
    client_id, secret = client["client_id"], client["client_secret"]
    for wrong in (None, "wrong"):
        response = await local.token(client_id, code=await local.code(client_id), client_secret=wrong)
        assert oauth_error(response) == (401, "invalid_client_secret")
    good = await local.token(client_id, code=await local.code(client_id), client_secret=secret)
    assert good.status_code == 200
    body = {"grant_type": "authorization_code", "code": await local.code(client_id), "code_verifier": VERIFIER}
    basic = await local.http.post(
        "/v1/oauth2/token", data={**body, "redirect_uri": REDIRECT}, auth=httpx.BasicAuth(client_id, secret)
    )
    assert basic.status_code == 200


async def test_a_refresh_token_comes_only_with_offline_access(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    assert "refresh_token" not in await local.tokens(client_id)
    assert "refresh_token" in await local.tokens(client_id, scopes=["offline_access"])


async def test_public_clients_rotate_refresh_tokens(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    first = (await local.tokens(client_id, scopes=["offline_access", "notes:read"]))["refresh_token"]
    other = (await local.register(client_name="other"))["client_id"]
    stolen = await local.token(other, refresh_token=first)
    assert oauth_error(stolen) == (404, "idp_refresh_token_not_found")
    body = (await local.token(client_id, refresh_token=first)).json()
    assert body["refresh_token"] != first
    assert body["scope"] == "offline_access notes:read"
    assert oauth_error(await local.token(client_id, refresh_token=first)) == (
        400,
        "idp_refresh_token_already_used",
    )
    local.clock.now += 90 * 24 * 3600
    expired = await local.token(client_id, refresh_token=body["refresh_token"])
    assert oauth_error(expired) == (400, "idp_refresh_token_expired")
    unknown = await local.token(client_id, refresh_token="x")
    assert oauth_error(unknown) == (404, "idp_refresh_token_not_found")


async def test_confidential_clients_keep_theirs_and_extend_it(local: Local) -> None:
    client = await local.create_app(bypass_consent_for_offline_access=True)
    secret = {"client_secret": client["client_secret"]}
    code = await local.code(client["client_id"], scopes=["offline_access"])
    refresh = (await local.token(client["client_id"], code=code, **secret)).json()["refresh_token"]
    for _ in range(3):
        local.clock.now += 60 * 24 * 3600
        body = (await local.token(client["client_id"], refresh_token=refresh, **secret)).json()
        assert body["refresh_token"] == refresh


async def test_a_refresh_may_narrow_the_scope_and_never_widen_it(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    refresh = (await local.tokens(client_id, scopes=["offline_access", "notes:read"]))["refresh_token"]
    wider = await local.token(client_id, refresh_token=refresh, scope="notes:write")
    assert oauth_error(wider) == (400, "oauth_invalid_scope_requested")
    body = (await local.token(client_id, refresh_token=refresh, scope="notes:read")).json()
    assert body["scope"] == "notes:read"
    again = (await local.token(client_id, refresh_token=body["refresh_token"])).json()
    assert again["scope"] == "offline_access notes:read"


async def test_errors_at_the_token_endpoint_may_use_rfc_6749s_codes(local: Local) -> None:
    await local.control("settings", token_errors="oauth")
    client_id = (await local.register())["client_id"]
    assert oauth_error(await local.token(client_id, code="x")) == (400, "invalid_grant")
    assert oauth_error(await local.token("nobody", code="x")) == (401, "invalid_client")
    assert oauth_error(await local.token(client_id)) == (400, "invalid_request")
    assert oauth_error(await local.token(client_id, grant_type="password")) == (400, "unsupported_grant_type")


async def test_machine_tokens_look_like_access_tokens_but_for_the_subject(local: Local) -> None:
    body = {"grant_type": "client_credentials", "client_secret": M2M_CLIENT_SECRET, "scope": "notes:read"}
    good = await local.token(M2M_CLIENT_ID, **body)
    found = claims(good.json()["access_token"])
    assert (found["sub"], found["aud"], found["iss"]) == (M2M_CLIENT_ID, [local.config.project_id], DOMAIN)
    assert "client_id" not in found
    wider = await local.token(M2M_CLIENT_ID, **{**body, "scope": "notes:delete"})
    assert oauth_error(wider) == (400, "oauth_invalid_scope_requested")
    bad = await local.token(M2M_CLIENT_ID, **{**body, "client_secret": "wrong"})
    assert oauth_error(bad) == (400, "invalid_client_id")


# Revocation, introspection, userinfo


async def test_introspection_tells_a_client_about_its_own_live_tokens(local: Local) -> None:
    client_id, other = [(await local.register(client_name=name))["client_id"] for name in "ab"]
    body = await local.tokens(client_id, scopes=["openid", "offline_access"])
    found = await local.introspect(client_id, body["access_token"])
    assert found["active"] is True
    assert found["aud"] == [local.config.project_id]
    assert (found["token_type"], found["sub"], found["client_id"]) == ("access_token", local.user_id, client_id)
    assert (await local.introspect(client_id, body["refresh_token"]))["active"] is True
    for token in (body["id_token"], "garbage"):
        assert (await local.introspect(client_id, token))["active"] is False
    assert (await local.introspect(other, body["access_token"]))["active"] is False
    local.clock.now += 3600
    assert (await local.introspect(client_id, body["access_token"]))["active"] is False


async def test_revoking_a_refresh_token_takes_its_access_token_along(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    body = await local.tokens(client_id, scopes=["openid", "offline_access"])
    revoked = await local.http.post("/v1/oauth2/revoke", data={"client_id": client_id, "token": body["refresh_token"]})
    assert set(revoked.json()) == {"request_id", "status_code"}
    for token in (body["access_token"], body["refresh_token"]):
        assert (await local.introspect(client_id, token))["active"] is False
    assert (await local.token(client_id, refresh_token=body["refresh_token"])).status_code == 404
    unknown = await local.http.post("/v1/oauth2/revoke", data={"client_id": client_id, "token": "x"})
    assert unknown.status_code == 200


async def test_an_access_token_can_be_revoked_by_its_client_only(local: Local) -> None:
    client_id, other = [(await local.register(client_name=name))["client_id"] for name in "ab"]
    token = (await local.tokens(client_id))["access_token"]
    await local.http.post("/v1/oauth2/revoke", data={"client_id": other, "token": token})
    assert (await local.introspect(client_id, token))["active"] is True
    await local.http.post("/v1/oauth2/revoke", data={"client_id": client_id, "token": token})
    assert (await local.introspect(client_id, token))["active"] is False
    userinfo = await local.http.get("/v1/oauth2/userinfo", headers={"authorization": f"Bearer {token}"})
    assert stytch_error(userinfo) == (401, "unauthorized_credentials")


async def test_userinfo_follows_the_scopes(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    for method in ("GET", "POST"):
        token = (await local.tokens(client_id, scopes=["openid", "email", "profile"]))["access_token"]
        response = await local.http.request(method, "/v1/oauth2/userinfo", headers={"authorization": f"Bearer {token}"})
        body = response.json()
        assert (body["sub"], body["email"], body["name"]) == (local.user_id, "ada@example.com", "Ada Lovelace")
    bare = (await local.tokens(client_id, scopes=["openid"]))["access_token"]
    response = await local.http.get("/v1/oauth2/userinfo", headers={"authorization": f"Bearer {bare}"})
    assert set(response.json()) == {"sub", "request_id", "status_code"}
    session = (await local.control("mint", kind="session"))["token"]
    response = await local.http.get("/v1/oauth2/userinfo", headers={"authorization": f"Bearer {session}"})
    assert response.status_code == 401


async def test_revoking_an_app_ends_consent_refresh_and_introspection(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    scopes = ["notes:read", "offline_access"]
    body = await local.tokens(client_id, scopes=scopes)
    await local.code(client_id, scopes=["notes:read"])
    pending = await local.code(client_id, scopes=["notes:read"])
    apps = (await local.api(f"/v1/users/{local.user_id}/connected_apps", "GET")).json()["connected_apps"]
    assert [(app["connected_app_id"], app["scopes_granted"]) for app in apps] == [
        (client_id, "notes:read offline_access")
    ]
    revoked = await local.api(f"/v1/users/{local.user_id}/connected_apps/{client_id}/revoke")
    assert revoked.status_code == 200
    assert (await local.introspect(client_id, body["access_token"]))["active"] is False
    refused = await local.token(client_id, refresh_token=body["refresh_token"])
    assert oauth_error(refused) == (400, "connected_app_consent_revoked")
    assert (await local.token(client_id, code=pending)).status_code == 400
    assert await consent_required(local, client_id, ["notes:read"])
    apps = (await local.api(f"/v1/users/{local.user_id}/connected_apps", "GET")).json()["connected_apps"]
    assert apps == []


async def test_the_legacy_paths_of_the_oauth_endpoints_do_the_same(local: Local) -> None:
    legacy = f"/v1/public/{local.config.project_id}/oauth2"
    registered = await local.http.post(f"{legacy}/register", json={"redirect_uris": [REDIRECT]})
    client_id = registered.json()["client_id"]
    token = (await local.tokens(client_id, scopes=["openid", "phone"]))["access_token"]
    userinfo = await local.http.get(f"{legacy}/userinfo", headers={"authorization": f"Bearer {token}"})
    assert set(userinfo.json()) == {"sub", "phone_number", "phone_number_verified", "request_id", "status_code"}
    form = {"client_id": client_id, "token": token}
    project = httpx.BasicAuth(local.config.project_id, local.config.secret)  # what the SDK sends along
    nobody = await local.http.post(f"{legacy}/introspect", data={"token": token}, auth=project)
    assert oauth_error(nobody) == (400, "invalid_client_id")
    assert (await local.http.post(f"{legacy}/introspect", data=form, auth=project)).json()["active"] is True
    assert (await local.http.post(f"{legacy}/revoke", data=form)).status_code == 200
    assert (await local.http.post(f"{legacy}/introspect", data=form)).json() == {
        "active": False,
        "request_id": mock.ANY,
        "status_code": 200,
    }
    elsewhere = legacy.replace(local.config.project_id, "project-test-other")
    for name in ("register", "token", "introspect", "revoke"):
        response = await local.http.post(f"{elsewhere}/{name}", data=form)
        assert response.status_code == 404, name


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"response_type": "token"}, "bad_request"),
        ({"response_type": None}, "bad_request"),
        ({"scopes": "openid"}, "bad_request"),
        ({"consent_granted": "yes"}, "bad_request"),
        ({"resources": "https://notes.example.com/mcp"}, "bad_request"),
        ({"client_id": None}, "bad_request"),
    ],
    ids=str,
)
async def test_an_answer_of_the_page_that_is_malformed_is_400(local: Local, fields: dict[str, Any], error: str) -> None:
    client_id = (await local.register())["client_id"]
    assert stytch_error(await local.submit(**{"client_id": client_id, **fields})) == (400, error)


@pytest.mark.parametrize("metadata", [{"redirect_uris": []}, {"token_endpoint_auth_method": "private_key_jwt"}])
async def test_metadata_that_cannot_be_registered(local: Local, metadata: dict[str, Any]) -> None:
    response = await local.http.post("/v1/oauth2/register", json={"redirect_uris": [REDIRECT], **metadata})
    assert stytch_error(response) == (400, "bad_request")


# Client ID metadata documents


def document(**fields: Any) -> httpx.Response:
    return httpx.Response(200, json={"client_id": DOCUMENT_URL, "redirect_uris": [REDIRECT], **fields})


async def test_a_metadata_document_makes_an_internal_client(local: Local) -> None:
    local.documents.answers[DOCUMENT_URL] = document(client_name="By document")
    body = await local.tokens(DOCUMENT_URL)
    client_id = claims(body["access_token"])["client_id"]
    assert client_id.startswith("connected-app-test-")
    found = (await local.api(f"/v1/connected_apps/clients/{client_id}", "GET")).json()["connected_app"]
    assert found["client_id_metadata_url"] == DOCUMENT_URL
    assert (found["client_name"], found["client_type"]) == ("By document", "third_party_public")
    again = await local.tokens(DOCUMENT_URL)
    assert claims(again["access_token"])["client_id"] == client_id


@pytest.mark.parametrize(
    "answer",
    [
        document(client_id="https://client.example/other.json"),
        document(redirect_uris="no list"),
        document(client_secret="everybody-can-read-it"),
        httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
        httpx.Response(200, text="not json"),
        httpx.Response(200, json=["no object"]),
        httpx.Response(200, content=b" " * 70_000),
        httpx.Response(500),
    ],
)
async def test_a_bad_metadata_document_is_refused(local: Local, answer: httpx.Response) -> None:
    local.documents.answers[DOCUMENT_URL] = answer
    assert stytch_error(await local.submit(DOCUMENT_URL)) == (400, "connected_app_misconfigured_client")
    assert local.documents.asked == [DOCUMENT_URL]


@pytest.mark.parametrize(
    "url",
    [
        "https://client.example",
        "https://client.example/",
        "https://client.example/metadata.json#x",
        "https://ada@client.example/metadata.json",
        "https://client.example/a/../metadata.json",
        "https://client.example/./metadata.json",
    ],
)
async def test_a_url_that_cannot_name_a_client_is_never_asked(local: Local, url: str) -> None:
    local.documents.answers[url] = document(client_id=url)
    assert stytch_error(await local.submit(url)) == (400, "connected_app_misconfigured_client")
    assert local.documents.asked == []


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "http://client.example/cb"])
async def test_a_document_may_not_name_a_redirect_that_could_not_be_registered(local: Local, uri: str) -> None:
    local.documents.answers[DOCUMENT_URL] = document(redirect_uris=[REDIRECT, uri])
    status, error = stytch_error(await local.submit(DOCUMENT_URL))
    assert (status, error.startswith("connected_app_redirect_url_")) == (400, True)


async def test_a_document_that_goes_on_and_on_is_given_up_as_a_whole(local: Local) -> None:
    """The limit is for all of it: each piece may come in time."""
    left = anyio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b" "
                await anyio.lowlevel.checkpoint()
        finally:
            left.set()

    local.documents.answers[DOCUMENT_URL] = httpx.Response(200, content=pieces())
    await local.control("settings", cimd_seconds=0.0)
    response = await local.submit(DOCUMENT_URL)
    assert stytch_error(response) == (400, "connected_app_misconfigured_client")
    assert "took longer than 0.0 s" in response.json()["error_message"]
    await left.wait()


async def test_a_document_must_be_reachable_and_list_the_redirect(local: Local) -> None:
    assert stytch_error(await local.submit(DOCUMENT_URL)) == (400, "connected_app_misconfigured_client")
    local.documents.answers[DOCUMENT_URL] = document(redirect_uris=["https://client.example/cb"])
    refused = await local.submit(DOCUMENT_URL)
    assert stytch_error(refused) == (400, "connected_app_supplied_redirect_url_not_found_in_client")


async def test_http_documents_are_for_loopback_behind_a_switch(local: Local) -> None:
    loopback, elsewhere = "http://127.0.0.1:9/c.json", "http://client.example/c.json"
    local.documents.answers[loopback] = document(client_id=loopback)
    assert (await local.submit(loopback)).status_code == 200
    assert (await local.submit(elsewhere)).status_code == 404
    await local.control("settings", cimd_allow_http=False)
    await local.control("reset")
    await local.control("settings", cimd_allow_http=False, cimd_enabled=True)
    assert (await local.submit(loopback)).status_code == 404
    await local.control("settings", cimd_enabled=False)
    assert (await local.submit(DOCUMENT_URL)).status_code == 404
    assert local.documents.asked == [loopback]


# The page that says yes


async def approve(local: Local, client_id: str, **params: str) -> httpx.Response:
    request = {"client_id": client_id, "redirect_uri": REDIRECT, "response_type": "code", "state": "s"}
    request |= {"code_challenge": s256(VERIFIER), "code_challenge_method": "S256", "scope": "notes:read"}
    return await local.http.get("/_test/authorize", params={**request, **params})


async def test_the_test_page_redirects_with_code_and_state(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    response = await approve(local, client_id)
    answer = query(response.headers["location"])
    assert response.status_code == 302
    assert answer["state"] == "s"
    body = (await local.token(client_id, code=answer["code"])).json()
    assert (body["scope"], claims(body["access_token"])["sub"]) == ("notes:read", local.user_id)


async def test_the_test_page_takes_a_hint_or_the_setting_for_who_is_logged_in(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    ada, grace = list(local.app.state.project.users)
    for params, setting, expected in (
        ({"login_hint": "grace@example.org"}, "ada@example.com", grace),
        ({}, "grace@example.org", grace),
        ({"login_hint": "ADA@example.com"}, "grace@example.org", ada),
    ):
        await local.control("settings", auto_login=setting)
        answer = query((await approve(local, client_id, **params)).headers["location"])
        body = (await local.token(client_id, code=answer["code"])).json()
        assert claims(body["access_token"])["sub"] == expected
    assert stytch_error(await approve(local, client_id, login_hint="x@y.example")) == (404, "user_not_found")


async def test_the_test_page_can_say_no_and_insists_on_s256(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    plain = await approve(local, client_id, code_challenge_method="plain")
    assert query(plain.headers["location"])["error"] == "invalid_request"
    await local.control("settings", auto_consent=False)
    denied = query((await approve(local, client_id)).headers["location"])
    assert (denied["error"], denied["state"]) == ("access_denied", "s")


async def test_the_test_page_never_redirects_to_an_unknown_place(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    for params in ({"redirect_uri": "https://evil.example/"}, {"client_id": "nobody"}, {"code_challenge": ""}):
        response = await approve(local, **{"client_id": client_id, **params})
        assert 400 <= response.status_code < 500
        assert "location" not in response.headers
