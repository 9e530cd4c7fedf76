"""Local Stytch's API: log-in, sessions, and what the project's backend may do."""

from __future__ import annotations

from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from starlette.routing import Route

from stytch_mcp_kit.local import Config, create_app
from stytch_mcp_kit.local.wire import s256
from tests.kit.conftest import DOMAIN, VERIFIER, Local, claims, query, stytch_error

pytestmark = pytest.mark.anyio

# Log-in and sessions


async def test_a_code_by_mail_is_random_spent_and_short_lived(local: Local) -> None:
    sent = (await local.api("/v1/otps/email/login_or_create", email="new@example.com")).json()
    assert sent["user_created"] is True
    user = (await local.api(f"/v1/users/{sent['user_id']}", "GET")).json()
    assert user["emails"][0]["verified"] is False
    mail = (await local.http.get("/_test/otp", params={"email": "new@example.com"})).json()
    assert mail["method_id"] == sent["email_id"]
    login = {"method_id": sent["email_id"], "session_duration_minutes": 60}
    wrong = f"{(int(mail['code']) + 1) % 10**6:06}"
    refused = await local.api("/v1/otps/authenticate", **login, code=wrong)
    assert stytch_error(refused) == (401, "unable_to_auth_otp_code")
    good = (await local.api("/v1/otps/authenticate", **login, code=mail["code"])).json()
    assert good["user"]["emails"][0]["verified"] is True
    assert good["session"]["authentication_factors"][0]["email_factor"]["email_address"] == "new@example.com"
    assert (await local.api("/v1/otps/authenticate", **login, code=mail["code"])).status_code == 401
    again = (await local.api("/v1/otps/email/login_or_create", email="NEW@example.com")).json()
    assert (again["user_created"], again["user_id"]) == (False, sent["user_id"])
    code = (await local.http.get("/_test/otp", params={"email": "new@example.com"})).json()["code"]
    local.clock.now += 120
    assert (await local.api("/v1/otps/authenticate", **login, code=code)).status_code == 401


async def test_the_default_users_have_a_fixed_code(local: Local) -> None:
    sent = (await local.api("/v1/otps/email/login_or_create", email="ada@example.com")).json()
    body = (await local.api("/v1/otps/authenticate", method_id=sent["email_id"], code="000000")).json()
    assert body["user_id"] == local.user_id
    assert (body["session_token"], body["session"]) == ("", None), "no session was asked for"


async def session(local: Local) -> dict[str, Any]:
    sent = (await local.api("/v1/otps/email/login_or_create", email="ada@example.com")).json()
    login = {"method_id": sent["email_id"], "code": "000000", "session_duration_minutes": 60}
    return dict((await local.api("/v1/otps/authenticate", **login)).json())


async def test_a_session_jwt_has_the_keys_issuer_and_audience_of_an_access_token(local: Local) -> None:
    body = await session(local)
    found = claims(body["session_jwt"])
    assert (found["iss"], found["aud"], found["sub"]) == (DOMAIN, [local.config.project_id], local.user_id)
    assert found["exp"] - found["iat"] == 300
    assert found["https://stytch.com/session"]["id"] == body["session"]["session_id"]
    kid = jwt.get_unverified_header(body["session_jwt"])["kid"]
    assert kid == (await local.http.get("/.well-known/jwks.json")).json()["keys"][0]["kid"]


async def test_a_session_is_known_by_token_or_jwt_until_it_ends(local: Local) -> None:
    body = await session(local)
    for name in ("session_token", "session_jwt"):
        found = await local.api("/v1/sessions/authenticate", **{name: body[name]})
        assert found.json()["session"]["session_id"] == body["session"]["session_id"]
    both = {"session_token": body["session_token"], "session_jwt": body["session_jwt"]}
    assert stytch_error(await local.api("/v1/sessions/authenticate", **both)) == (400, "bad_request")
    local.clock.now += 3600
    late = await local.api("/v1/sessions/authenticate", session_token=body["session_token"])
    assert stytch_error(late) == (404, "session_not_found")


async def test_an_expired_session_jwt_is_renewed_while_the_session_lasts_and_is_nobody_elsewhere(local: Local) -> None:
    body = await session(local)
    client_id = (await local.register())["client_id"]
    local.clock.now += 301
    old = {"session_jwt": body["session_jwt"]}
    assert (await local.submit(client_id, user_id=None, **old)).status_code == 404
    renewed = (await local.api("/v1/sessions/authenticate", **old)).json()["session_jwt"]
    assert claims(renewed)["exp"] == int(local.clock.now) + 300
    assert (await local.submit(client_id, user_id=None, session_jwt=renewed)).status_code == 200
    forged = (await local.control("mint", kind="session", key="foreign"))["token"]
    for token in (forged, body["session_token"], (await local.tokens(client_id))["access_token"]):
        refused = await local.api("/v1/sessions/authenticate", session_jwt=token)
        assert stytch_error(refused) == (404, "session_not_found")
    local.clock.now += 3600
    assert (await local.api("/v1/sessions/authenticate", **old)).status_code == 404


async def test_live_sessions_are_listed(local: Local) -> None:
    path = f"/v1/sessions?user_id={local.user_id}"
    first, second = await session(local), await session(local)
    ids = [each["session_id"] for each in (await local.api(path, "GET")).json()["sessions"]]
    assert ids == [first["session"]["session_id"], second["session"]["session_id"]]
    await local.api("/v1/sessions/revoke", session_id=ids[0])
    assert len((await local.api(path, "GET")).json()["sessions"]) == 1
    local.clock.now += 3600
    assert (await local.api(path, "GET")).json()["sessions"] == []


async def test_a_session_can_be_revoked_and_extended(local: Local) -> None:
    body = await session(local)
    token = {"session_token": body["session_token"]}
    longer = await local.api("/v1/sessions/authenticate", **token, session_duration_minutes=120)
    assert longer.json()["session"]["expires_at"] > body["session"]["expires_at"]
    client_id = (await local.register())["client_id"]
    assert (await local.submit(client_id, user_id=None, **token)).status_code == 200
    assert (await local.api("/v1/sessions/revoke", **token)).status_code == 200
    assert (await local.api("/v1/sessions/authenticate", **token)).status_code == 404
    assert (await local.submit(client_id, user_id=None, **token)).status_code == 404


async def test_a_link_by_mail_works_once_and_with_its_verifier(local: Local) -> None:
    request = {"email": "ada@example.com", "login_magic_link_url": "https://notes.example.com/back"}
    await local.api("/v1/magic_links/email/login_or_create", **request, code_challenge=s256(VERIFIER))
    link = (await local.http.get("/_test/otp", params={"email": "ada@example.com"})).json()["magic_link"]
    assert link.startswith("https://notes.example.com/back?")
    assert query(link)["stytch_token_type"] == "magic_links"
    token = {"token": query(link)["token"]}
    for verifier, expected in ((None, 400), ("w" * 64, 400), (VERIFIER, 200), (VERIFIER, 401)):
        extra = {"code_verifier": verifier} if verifier else {}
        assert (await local.api("/v1/magic_links/authenticate", **token, **extra)).status_code == expected
    assert (await local.api("/v1/oauth/authenticate", **token)).status_code == 401
    await local.api("/v1/magic_links/email/login_or_create", **request)
    link = (await local.http.get("/_test/otp", params={"email": "ada@example.com"})).json()["magic_link"]
    token = {"token": query(link)["token"], "code_verifier": VERIFIER}
    unexpected = await local.api("/v1/magic_links/authenticate", **token)
    assert stytch_error(unexpected) == (400, "pkce_did_not_expect_code_verifier")


@pytest.mark.parametrize("product", ["otps", "magic_links"])
async def test_send_makes_nobody_a_user(local: Local, product: str) -> None:
    known = await local.api(f"/v1/{product}/email/send", email="ada@example.com")
    assert known.json()["user_id"] == local.user_id
    assert "user_created" not in known.json()
    nobody = await local.api(f"/v1/{product}/email/send", email="new@example.com")
    assert stytch_error(nobody) == (404, "email_not_found")
    assert len(local.app.state.project.users) == 2


async def test_social_log_in_makes_a_user_of_whom_nobody_knows(local: Local) -> None:
    back, welcome = "https://notes.example.com/back", "https://notes.example.com/welcome"
    await local.control("users", email="bo@corp.example", organization="corp")
    params = {"public_token": local.config.public_token, "login_redirect_url": back, "signup_redirect_url": welcome}
    for email, url, known in (
        ("ada@example.com", back, True),
        ("new@example.com", welcome, False),
        ("bo@corp.example", welcome, False),
    ):
        before = set(local.app.state.project.users)
        start = await local.http.get("/v1/public/oauth/google/start", params={**params, "login_hint": email})
        assert start.headers["location"].startswith(f"{url}?")
        assert set(local.app.state.project.users) == before, "not before the log-in is complete"
        body = (await local.api("/v1/oauth/authenticate", token=query(start.headers["location"])["token"])).json()
        assert (body["user_id"] in before) is known
        assert body["user"]["emails"][0]["email"] == email
        assert body["user"]["emails"][0]["verified"] is True


async def test_a_session_tells_what_its_person_may(local: Local) -> None:
    await local.control("users", email="ada@example.com", scopes=["notes:read"], code="000000")
    token = {"session_token": (await session(local))["session_token"]}

    async def asked(**check: str) -> httpx.Response:
        return await local.api("/v1/sessions/authenticate", **token, authorization_check=check)

    allowed = await asked(resource_id="notes", action="read")
    assert allowed.json()["verdict"] == {"authorized": True, "granting_roles": ["may_notes_read"]}
    for action in ("write", "burn"):
        assert stytch_error(await asked(resource_id="notes", action=action)) == (403, "session_authorization_error")
    made = await local.control("users", email="bo@corp.example", organization="corp")
    token = {"session_jwt": (await local.control("mint", kind="session", email="bo@corp.example"))["token"]}
    for organization, status in ((made["organization_id"], 200), ("organization-test-other", 403)):
        check = {"organization_id": organization, "resource_id": "notes", "action": "write"}
        response = await local.api("/v1/b2b/sessions/authenticate", **token, authorization_check=check)
        assert response.status_code == status


async def test_social_log_in_comes_straight_back(local: Local) -> None:
    params = {"public_token": local.config.public_token, "login_redirect_url": "https://notes.example.com/back"}
    start = await local.http.get("/v1/public/oauth/google/start", params=params)
    token = query(start.headers["location"])["token"]
    login: dict[str, Any] = {"token": token, "session_duration_minutes": 5}
    body = (await local.api("/v1/oauth/authenticate", **login)).json()
    assert (body["provider_type"], body["user_id"]) == ("Google", local.user_id)
    assert body["user_session"]["authentication_factors"][0]["delivery_method"] == "oauth_google"
    assert (await local.api("/v1/oauth/authenticate", **login)).status_code == 401
    wrong = await local.http.get("/v1/public/oauth/google/start", params={**params, "public_token": "x"})
    assert wrong.status_code == 401
    assert (await local.http.get("/v1/public/oauth/nobody/start", params=params)).status_code == 404


async def test_log_in_returns_to_configured_urls_only(signing_key: RSAPrivateKey) -> None:
    config = Config(domain=DOMAIN, signing_key=signing_key, login_redirect_urls=("https://notes.example.com/back",))
    transport = httpx.ASGITransport(create_app(config))
    async with httpx.AsyncClient(transport=transport, base_url=DOMAIN) as http:
        params = {"public_token": config.public_token, "login_redirect_url": "https://evil.example/"}
        social = await http.get("/v1/public/oauth/google/start", params=params)
        assert stytch_error(social) == (400, "no_match_for_provided_oauth_url")
        link = await http.post(
            "/v1/magic_links/email/login_or_create",
            json={"email": "ada@example.com", "login_magic_link_url": "https://evil.example/"},
            auth=httpx.BasicAuth(config.project_id, config.secret),
        )
        assert stytch_error(link) == (400, "no_match_for_provided_magic_link_url")


async def test_another_issuers_jwt_can_be_attested(signing_key: RSAPrivateKey) -> None:
    pem = signing_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    profile = "trusted-token-profile-test-1"
    config = Config(domain=DOMAIN, signing_key=signing_key, trusted_token_profiles={profile: pem.decode()})
    transport = httpx.ASGITransport(create_app(config))
    async with httpx.AsyncClient(transport=transport, base_url=DOMAIN) as http:
        auth = httpx.BasicAuth(config.project_id, config.secret)
        now = int(config.clock())
        good = jwt.encode({"email": "ada@example.com", "exp": now + 60}, signing_key, algorithm="RS256")
        late = jwt.encode({"email": "ada@example.com", "exp": now - 60}, signing_key, algorithm="RS256")
        for token, name, status in (
            (good, profile, 200),
            (late, profile, 401),
            (good, "x", 401),
            ("x", profile, 401),
        ):
            body = {"profile_id": name, "token": token, "session_duration_minutes": 5}
            response = await http.post("/v1/sessions/attest", json=body, auth=auth)
            assert response.status_code == status, response.text


async def test_full_access_is_exchanged_once_while_fresh(local: Local) -> None:
    client = await local.create_app(client_type="first_party_public", full_access_allowed=True)
    tokens = [
        (await local.tokens(client["client_id"], scopes=scopes))["access_token"]
        for scopes in (["full_access"], ["full_access"], ["openid"])
    ]
    exchange = "/v1/sessions/exchange_access_token"
    first = {"access_token": tokens[0], "session_duration_minutes": 5}
    assert (await local.api(exchange, **first)).json()["session_token"]
    assert (await local.api(exchange, **first)).status_code == 404
    missing = await local.api(exchange, access_token=tokens[2])
    assert stytch_error(missing) == (400, "oauth_access_token_exchange_missing_full_access")
    local.clock.now += 301
    old = await local.api(exchange, access_token=tokens[1])
    assert stytch_error(old) == (400, "oauth_access_token_exchange_token_too_old")


# The project's backend


@pytest.mark.parametrize("auth", [None, ("", ""), ("project", "wrong"), ("é", "ü")])
async def test_the_api_is_for_the_projects_backend(local: Local, auth: tuple[str, str] | None) -> None:
    public = (
        "/.well-known",
        "/v1/oauth2",
        "/v1/public",
        "/v1/b2b/public",
        "/v1/sessions/jwks",
        "/v1/b2b/sessions/jwks",
        "/_test",
    )
    checked = 0
    for route in local.app.routes:
        assert isinstance(route, Route)
        if route.path.startswith(public):
            continue
        for method in route.methods or ():
            response = await local.http.request(method, route.path, auth=httpx.BasicAuth(*auth) if auth else None)
            assert response.status_code == 401, route.path
            checked += 1
            if method != "HEAD":
                assert stytch_error(response) == (401, "unauthorized_credentials")
    assert checked > 30


async def test_users_are_made_found_changed_and_deleted(local: Local) -> None:
    made = (await local.api("/v1/users", email="kim@example.com", external_id="k-1")).json()
    assert stytch_error(await local.api("/v1/users", email="KIM@example.com")) == (400, "duplicate_email")
    operand = {"filter_name": "email_address", "filter_value": ["kim@example.com"]}
    found = await local.api("/v1/users/search", query={"operator": "AND", "operands": [operand]})
    assert [user["user_id"] for user in found.json()["results"]] == [made["user_id"]]
    assert (await local.api("/v1/users/k-1", "GET")).json()["user_id"] == made["user_id"]
    changed = await local.api(f"/v1/users/{made['user_id']}", "PUT", roles=["may_notes_read"])
    assert changed.json()["user"]["roles"] == ["stytch_user", "may_notes_read"]
    named = await local.api(
        f"/v1/users/{made['user_id']}", "PUT", name={"first_name": "Kim"}, trusted_metadata={"a": 1}
    )
    assert (named.json()["user"]["name"]["first_name"], named.json()["user"]["trusted_metadata"]) == ("Kim", {"a": 1})
    for operator, expected in (("AND", 0), ("OR", 2)):
        other = {"filter_name": "user_id", "filter_value": [local.user_id]}
        query = {"operator": operator, "operands": [operand, other]}
        assert (await local.api("/v1/users/search", query=query)).json()["results_metadata"]["total"] == expected
    shouted = {"filter_name": "email_address", "filter_value": ["KIM@example.com"]}
    found = await local.api("/v1/users/search", query={"operator": "AND", "operands": [shouted]})
    assert found.json()["results_metadata"]["total"] == 1
    again = await local.api(f"/v1/users/{made['user_id']}", "PUT", trusted_metadata={"a": None, "b": {"c": 2}})
    assert again.json()["user"]["trusted_metadata"] == {"b": {"c": 2}}
    more = await local.api(f"/v1/users/{made['user_id']}", "PUT", trusted_metadata={"d": 3})
    assert more.json()["user"]["trusted_metadata"] == {"b": {"c": 2}, "d": 3}, "what is not named stays"
    unverified = {"filter_name": "email_verified", "filter_value": False}
    found = await local.api("/v1/users/search", query={"operator": "AND", "operands": [unverified]})
    assert [user["user_id"] for user in found.json()["results"]] == [made["user_id"]]
    unknown: dict[str, Any] = {"query": {"operator": "AND", "operands": [{"filter_name": "x", "filter_value": []}]}}
    assert stytch_error(await local.api("/v1/users/search", **unknown)) == (400, "bad_request")
    assert (await local.api(f"/v1/users/{made['user_id']}", "DELETE")).status_code == 200
    assert (await local.api(f"/v1/users/{made['user_id']}", "GET")).status_code == 404


@pytest.mark.parametrize(
    "wrong", [{"operator": "XOR", "operands": []}, {"operands": ["x"]}, {"operands": {"x": 1}}, []]
)
async def test_a_search_that_is_malformed_is_400(local: Local, wrong: Any) -> None:
    assert stytch_error(await local.api("/v1/users/search", query=wrong)) == (400, "bad_request")


async def test_a_person_deleted_after_the_mail_does_not_log_in(local: Local) -> None:
    sent = (await local.api("/v1/otps/email/login_or_create", email="ada@example.com")).json()
    await local.api("/v1/magic_links/email/login_or_create", email="ada@example.com")
    link = (await local.http.get("/_test/otp", params={"email": "ada@example.com"})).json()["magic_link"]
    await local.api(f"/v1/users/{sent['user_id']}", "DELETE")
    code = await local.api("/v1/otps/authenticate", method_id=sent["email_id"], code="000000")
    assert stytch_error(code) == (401, "unable_to_auth_otp_code")
    linked = await local.api("/v1/magic_links/authenticate", token=query(link)["token"])
    assert stytch_error(linked) == (401, "unable_to_auth_magic_link")


async def test_what_is_not_there_is_404(local: Local) -> None:
    revoked = await local.api(f"/v1/users/{local.user_id}/connected_apps/nobody/revoke")
    assert stytch_error(revoked) == (404, "connected_app_not_found")
    wrong = await local.api("/v1/connected_apps/clients", client_type="x")
    assert stytch_error(wrong) == (400, "invalid_connected_app_type")


async def test_searches_go_on_from_a_cursor(local: Local) -> None:
    pages = [await local.api("/v1/users/search", limit=1), await local.api("/v1/users/search", limit=1, cursor="1")]
    assert [page.json()["results_metadata"] for page in pages] == [
        {"total": 2, "next_cursor": "1"},
        {"total": 2, "next_cursor": None},
    ]
    assert (await local.api("/v1/users/search", cursor="x")).status_code == 400


async def test_a_clients_secret_is_rotated_in_two_steps(local: Local) -> None:
    client = await local.create_app()
    client_id, old = client["client_id"], client["client_secret"]
    base = f"/v1/connected_apps/clients/{client_id}/secrets/rotate"
    assert stytch_error(await local.api(base)) == (400, "connected_app_not_rotating_secret")
    new = (await local.api(f"{base}/start")).json()["connected_app"]["next_client_secret"]
    assert stytch_error(await local.api(f"{base}/start")) == (400, "connected_app_already_rotating_secret")

    async def status(secret: str) -> int:
        return (await local.token(client_id, code=await local.code(client_id), client_secret=secret)).status_code

    assert [await status(old), await status(new)] == [200, 200]
    await local.api(base)
    assert [await status(old), await status(new)] == [401, 200]
    public = await local.create_app(client_type="first_party_public")
    refused = await local.api(f"/v1/connected_apps/clients/{public['client_id']}/secrets/rotate/start")
    assert stytch_error(refused) == (400, "public_connected_apps_do_not_have_secrets")


async def test_a_refused_change_changes_nothing(local: Local) -> None:
    client = await local.create_app(client_type="third_party_public", client_name="before")
    path = f"/v1/connected_apps/clients/{client['client_id']}"
    assert (await local.api(path, "PUT", client_name="after", full_access_allowed=True)).status_code == 400
    assert (await local.api(path, "PUT", client_name="after", redirect_urls=["x"])).status_code == 400
    assert (await local.api(path, "GET")).json()["connected_app"]["client_name"] == "before"


async def test_a_deleted_client_is_unknown(local: Local) -> None:
    client_id = (await local.register())["client_id"]
    token = (await local.tokens(client_id))["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    assert (await local.http.get("/v1/oauth2/userinfo", headers=bearer)).status_code == 200
    assert (await local.api(f"/v1/connected_apps/clients/{client_id}", "DELETE")).status_code == 200
    assert (await local.http.get("/v1/oauth2/userinfo", headers=bearer)).status_code == 401
    assert (await local.submit(client_id)).status_code == 404
    assert (
        "error"
        in (await local.http.post("/v1/oauth2/introspect", data={"client_id": client_id, "token": token})).json()
    )


async def test_the_policy_ties_scopes_to_permissions_and_roles(local: Local) -> None:
    policy = (await local.api("/v1/rbac/policy", "GET")).json()["policy"]
    assert policy["resources"] == [{"resource_id": "notes", "description": "", "actions": ["read", "write"]}]
    assert policy["scopes"][0]["permissions"] == [{"resource_id": "notes", "actions": ["read"]}]
    role = next(role for role in policy["roles"] if role["role_id"] == "may_notes_write")
    assert role["permissions"] == [{"resource_id": "notes", "actions": ["write"]}]
    who = (await local.api("/v1/debug/whoami", "GET")).json()
    assert who["project_id"] == local.config.project_id
