"""Organizations and members in local Stytch: who they are, how they log in, and what their tokens say."""

from __future__ import annotations

from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from stytch_mcp_kit.local import Config, Seed, create_app
from stytch_mcp_kit.local.wire import s256
from tests.kit.conftest import CONSENT, DOMAIN, REDIRECT, VERIFIER, Local, claims, query, stytch_error

pytestmark = pytest.mark.anyio

BASE = "/v1/b2b/organizations"
BACK = "https://notes.example.com/back"
BO = "bo@corp.example"


async def seeded(local: Local, email: str = BO, organization: str = "corp", **fields: Any) -> dict[str, Any]:
    return await local.control("users", email=email, organization=organization, replace=False, **fields)


async def mail(local: Local, email: str = BO) -> dict[str, Any]:
    return dict((await local.http.get("/_test/otp", params={"email": email})).json())


async def post(local: Local, path: str, **body: Any) -> dict[str, Any]:
    response = await local.api(f"/v1/b2b/{path}", **body)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def logged_in(local: Local, organization_id: str, email: str = BO) -> dict[str, Any]:
    who = {"organization_id": organization_id, "email_address": email}
    await post(local, "otps/email/login_or_signup", **who)
    return await post(local, "otps/email/authenticate", **who, code=(await mail(local, email))["code"])


async def proved(local: Local, email: str = BO) -> dict[str, Any]:
    """An intermediate session."""
    await post(local, "otps/email/discovery/send", email_address=email)
    code = (await mail(local, email))["code"]
    return await post(local, "otps/email/discovery/authenticate", email_address=email, code=code)


# Tokens and look-ups


async def test_a_members_token_names_the_organization(local: Local) -> None:
    member = await local.control("users", email="bo@corp.example", organization="corp")
    client_id = (await local.register())["client_id"]
    identity = {"organization_id": member["organization_id"], "member_id": member["member_id"]}
    request = {"client_id": client_id, "redirect_uri": REDIRECT, "response_type": "code", "scopes": CONSENT}
    start = (await local.api("/v1/b2b/idp/oauth/authorize/start", **request, **identity)).json()
    assert start["member"]["email_address"] == "bo@corp.example"
    assert start["organization"]["organization_slug"] == "corp"
    submit = await local.api(
        "/v1/b2b/idp/oauth/authorize",
        **{**request, **identity, "consent_granted": True, "code_challenge": s256(VERIFIER)},
    )
    body = (await local.token(client_id, code=submit.json()["authorization_code"])).json()
    found = claims(body["access_token"])
    assert found["sub"].startswith("member-test-")
    assert found["https://stytch.com/organization"] == {
        "organization_id": member["organization_id"],
        "slug": "corp",
    }
    apps = f"/v1/b2b/organizations/{identity['organization_id']}/members/{identity['member_id']}/connected_apps"
    assert len((await local.api(apps, "GET")).json()["connected_apps"]) == 1
    await local.api(f"{apps}/{client_id}/revoke")
    assert (await local.introspect(client_id, body["access_token"]))["active"] is False


async def test_a_member_is_found_in_the_own_organization_only(local: Local) -> None:
    one = await local.control("users", email="bo@corp.example", organization="corp", verified=False)
    two = await local.control("users", email="cy@firm.example", organization="firm")
    base = "/v1/b2b/organizations"
    found = await local.api(f"{base}/{one['organization_id']}/member?member_id={one['member_id']}", "GET")
    assert found.json()["member"]["email_address_verified"] is False
    by_email = await local.api(f"{base}/{one['organization_id']}/member?email_address=bo@corp.example", "GET")
    assert by_email.json()["member_id"] == one["member_id"]
    foreign = await local.api(f"{base}/{two['organization_id']}/member?member_id={one['member_id']}", "GET")
    assert stytch_error(foreign) == (404, "member_not_found")
    assert stytch_error(await local.api(f"/v1/users/{one['member_id']}", "GET")) == (404, "user_not_found")


async def test_a_members_session_is_none_of_the_consumer_api(local: Local) -> None:
    await local.control("users", email="bo@corp.example", organization="corp")
    token = (await local.control("mint", kind="session", email="bo@corp.example"))["token"]
    assert stytch_error(await local.api("/v1/sessions/authenticate", session_jwt=token)) == (404, "session_not_found")
    client_id = (await local.register())["client_id"]
    assert (await local.submit(client_id, user_id=None, session_jwt=token)).status_code == 404


async def test_a_members_consent_is_remembered_like_a_users(local: Local) -> None:
    made = await seeded(local, scopes=["notes:read"])
    client_id = (await local.register())["client_id"]
    session = {"session_token": (await logged_in(local, made["organization_id"]))["session_token"]}
    question = {"client_id": client_id, "redirect_uri": REDIRECT, "response_type": "code", "scopes": CONSENT}

    async def required(**changes: Any) -> bool:
        return bool(
            (await post(local, "idp/oauth/authorize/start", **{**question, **session, **changes}))["consent_required"]
        )

    assert await required()
    denied = await post(local, "idp/oauth/authorize", **question, **session, consent_granted=False, state="s")
    assert query(denied["redirect_uri"])["error"] == "access_denied"
    wide = {**question, "scopes": ["notes:read", "notes:write"]}
    given = await post(
        local, "idp/oauth/authorize", **wide, **session, consent_granted=True, code_challenge=s256(VERIFIER)
    )
    token = (await local.token(client_id, code=given["authorization_code"])).json()
    assert token["scope"] == "notes:read", "what the member's roles do not hold is dropped"
    assert not await required(scopes=wide["scopes"])
    assert await required(prompt="consent", scopes=wide["scopes"])
    for identity in ({"member_id": made["member_id"]}, {}):
        refused = await local.api("/v1/b2b/idp/oauth/authorize/start", **question, **identity)
        assert stytch_error(refused) == (400, "bad_request")


@pytest.mark.parametrize(
    ("rule", "listed", "status"),
    [("ALL_ALLOWED", False, 200), ("RESTRICTED", True, 200), ("RESTRICTED", False, 403), ("NOT_ALLOWED", True, 403)],
)
async def test_an_organization_decides_which_apps_its_members_may_use(
    local: Local, rule: str, listed: bool, status: int
) -> None:
    made = await seeded(local)
    client_id = (await local.register())["client_id"]
    changes: dict[str, Any] = {
        "third_party_connected_apps_allowed_type": rule,
        "allowed_third_party_connected_apps": [client_id] if listed else [],
    }
    changed = await local.api(f"{BASE}/{made['organization_id']}", "PUT", **changes)
    assert changed.json()["organization"]["third_party_connected_apps_allowed_type"] == rule
    question = {"client_id": client_id, "redirect_uri": REDIRECT, "response_type": "code", "scopes": CONSENT}
    identity = {"organization_id": made["organization_id"], "member_id": made["member_id"]}
    answer: dict[str, Any] = {"consent_granted": True, "code_challenge": s256(VERIFIER)}
    for path, fields in (("/start", {}), ("", answer)):
        response = await local.api(f"/v1/b2b/idp/oauth/authorize{path}", **question, **identity, **fields)
        assert response.status_code == status
        if status != 200:
            assert stytch_error(response) == (403, "connected_app_not_allowed_for_org")
    browser = {**question, "scope": "openid", "code_challenge": s256(VERIFIER), "login_hint": BO}
    landed = await local.http.get("/_test/authorize", params={**browser, "scopes": ""})
    assert landed.status_code == (302 if status == 200 else 403)


# Organizations and members


async def test_organizations_are_made_found_and_changed(local: Local) -> None:
    made = (await local.api(BASE, organization_name="Acme Corp", organization_external_id="x-1")).json()["organization"]
    assert made["organization_slug"] == "acme-corp"
    for name in (made["organization_id"], "acme-corp", "x-1"):
        found = (await local.api(f"{BASE}/{name}", "GET")).json()["organization"]
        assert found["organization_id"] == made["organization_id"]
    again = await local.api(BASE, organization_name="Acme Corp")
    assert stytch_error(again) == (400, "organization_slug_already_used")
    wrong = await local.api(f"{BASE}/acme-corp", "PUT", organization_name="New", email_jit_provisioning="x")
    assert stytch_error(wrong) == (400, "bad_request")
    assert (await local.api(f"{BASE}/acme-corp", "GET")).json()["organization"]["organization_name"] == "Acme Corp"
    await local.api(BASE, organization_name="Other")
    operand = {"filter_name": "organization_slugs", "filter_value": ["acme-corp"]}
    found = await local.api(f"{BASE}/search", query={"operator": "AND", "operands": [operand]})
    assert [each["organization_id"] for each in found.json()["organizations"]] == [made["organization_id"]]
    assert (await local.api(f"{BASE}/search", limit=1)).json()["results_metadata"] == {"total": 2, "next_cursor": "1"}
    assert stytch_error(await local.api(f"{BASE}/nobody", "GET")) == (404, "organization_not_found")


async def test_members_are_made_found_and_deleted(local: Local) -> None:
    await local.api(BASE, organization_name="corp")
    path = f"{BASE}/corp/members"
    made = (await local.api(path, email_address=BO, name="Bo", roles=["may_notes_read"], external_id="b-1")).json()
    assert made["member"]["status"] == "active"
    assert made["member"]["email_address_verified"] is False
    assert [role["role_id"] for role in made["member"]["roles"]] == ["stytch_member", "may_notes_read"]
    assert stytch_error(await local.api(path, email_address=BO.upper())) == (400, "duplicate_email")
    await seeded(local, email="cy@firm.example", organization="firm")
    for organizations, expected in ((["corp"], 1), (["corp", "firm"], 2)):
        found = (await local.api(f"{BASE}/members/search", organization_ids=organizations)).json()
        assert (len(found["members"]), len(found["organizations"])) == (expected, expected)
    operand = {"filter_name": "member_emails", "filter_value": [BO]}
    asked: dict[str, Any] = {"organization_ids": ["corp", "firm"], "query": {"operator": "AND", "operands": [operand]}}
    found = (await local.api(f"{BASE}/members/search", **asked)).json()
    assert [member["member_id"] for member in found["members"]] == [made["member_id"]]
    assert (await local.api(f"{path}/b-1/connected_apps", "GET")).json()["connected_apps"] == []
    token = (await logged_in(local, "corp"))["session_token"]
    assert (await local.api(f"{path}/{made['member_id']}", "DELETE")).json()["member_id"] == made["member_id"]
    gone = await local.api(f"{BASE}/corp/member?member_id={made['member_id']}", "GET")
    assert stytch_error(gone) == (404, "member_not_found")
    assert (await local.api("/v1/b2b/sessions/authenticate", session_token=token)).status_code == 404


# Log-in to one organization


async def test_a_member_logs_in_with_a_code_for_that_organization_only(local: Local) -> None:
    corp, firm = await seeded(local, verified=False), await seeded(local, organization="firm")
    who = {"organization_id": "corp", "email_address": BO}
    sent = await post(local, "otps/email/login_or_signup", **who)
    assert (sent["member_id"], sent["member_created"]) == (corp["member_id"], False)
    code = (await mail(local))["code"]
    wrong = f"{(int(code) + 1) % 10**6:06}"
    for fields in ({**who, "code": wrong}, {**who, "organization_id": firm["organization_id"], "code": code}):
        refused = await local.api("/v1/b2b/otps/email/authenticate", **fields)
        assert stytch_error(refused) == (401, "unable_to_auth_otp_code")
    consumer = await local.api("/v1/otps/authenticate", method_id=(await mail(local))["method_id"], code=code)
    assert stytch_error(consumer) == (401, "unable_to_auth_otp_code")
    body = await post(local, "otps/email/authenticate", **who, code=code)
    assert body["member_authenticated"] is True
    assert body["member"]["email_address_verified"] is True
    assert (body["organization_id"], body["member_id"]) == (corp["organization_id"], corp["member_id"])
    assert body["member_session"]["authentication_factors"][0]["email_factor"]["email_address"] == BO
    found = claims(body["session_jwt"])
    assert (found["sub"], found["aud"]) == (corp["member_id"], [local.config.project_id])
    assert found["https://stytch.com/organization"]["slug"] == "corp"
    assert (await local.api("/v1/b2b/otps/email/authenticate", **who, code=code)).status_code == 401
    await post(local, "otps/email/login_or_signup", **who)
    code = (await mail(local))["code"]
    local.clock.now += 600
    assert (await local.api("/v1/b2b/otps/email/authenticate", **who, code=code)).status_code == 401


async def test_a_link_logs_a_member_in_once_and_with_its_verifier(local: Local) -> None:
    await seeded(local)
    request = {"organization_id": "corp", "email_address": BO, "login_redirect_url": BACK}
    await post(local, "magic_links/email/login_or_signup", **request, pkce_code_challenge=s256(VERIFIER))
    link = (await mail(local))["magic_link"]
    assert link.startswith(f"{BACK}?")
    assert query(link)["stytch_token_type"] == "multi_tenant_magic_links"
    token = query(link)["token"]
    assert (await local.api("/v1/magic_links/authenticate", token=token, code_verifier=VERIFIER)).status_code == 401
    for verifier, expected in ((None, 400), ("w" * 64, 400), (VERIFIER, 200), (VERIFIER, 401)):
        extra = {"pkce_code_verifier": verifier} if verifier else {}
        response = await local.api("/v1/b2b/magic_links/authenticate", magic_links_token=token, **extra)
        assert response.status_code == expected


async def test_social_log_in_leads_a_member_straight_back(local: Local) -> None:
    made = await seeded(local)
    params = {"public_token": local.config.public_token, "slug": "corp", "login_redirect_url": BACK, "login_hint": BO}
    start = await local.http.get("/v1/b2b/public/oauth/google/start", params=params)
    back = query(start.headers["location"])
    assert back["stytch_token_type"] == "oauth"
    assert (await local.api("/v1/oauth/authenticate", token=back["token"])).status_code == 401
    body = await post(local, "oauth/authenticate", oauth_token=back["token"])
    assert (body["provider_type"], body["member_id"]) == ("Google", made["member_id"])
    assert (await local.api("/v1/b2b/oauth/authenticate", oauth_token=back["token"])).status_code == 401
    wrong = await local.http.get("/v1/b2b/public/oauth/google/start", params={**params, "public_token": "x"})
    assert wrong.status_code == 401


async def test_who_is_no_member_joins_only_where_the_organization_lets_the_domain_in(local: Local) -> None:
    await seeded(local)
    stranger = {"organization_id": "corp", "email_address": "new@corp.example"}
    ways = ("otps/email/login_or_signup", "magic_links/email/login_or_signup")
    for way in ways:
        refused = await local.api(f"/v1/b2b/{way}", **stranger)
        assert stytch_error(refused) == (403, "email_jit_provisioning_not_allowed")
    await local.api(f"{BASE}/corp", "PUT", email_allowed_domains=["corp.example"])
    assert (await local.api(f"/v1/b2b/{ways[0]}", **stranger)).status_code == 403
    await local.api(f"{BASE}/corp", "PUT", email_jit_provisioning="RESTRICTED")
    for address in ("eve@evil.example", "eve@corp.example.evil.example", "eve@sub.corp.example"):
        assert (await local.api(f"/v1/b2b/{ways[0]}", **{**stranger, "email_address": address})).status_code == 403
    sent = await post(local, ways[0], **stranger)
    assert (sent["member_created"], sent["member"]["status"]) == (True, "pending")
    body = await logged_in(local, "corp", "new@corp.example")
    assert (body["member"]["status"], body["member_id"]) == ("active", sent["member_id"])


# Discovery


async def test_discovery_proves_an_address_and_then_offers_organizations(local: Local) -> None:
    corp = await seeded(local)
    await seeded(local, organization="firm")
    await seeded(local, email="cy@other.example", organization="other")
    open_to: dict[str, Any] = {"email_jit_provisioning": "RESTRICTED", "email_allowed_domains": ["corp.example"]}
    await local.api(BASE, organization_name="open", **open_to)
    found = await proved(local)
    kinds = {
        each["organization"]["organization_slug"]: each["membership"]["type"]
        for each in found["discovered_organizations"]
    }
    assert kinds == {"corp": "active_member", "firm": "active_member", "open": "eligible_to_join_by_email_domain"}
    token = {"intermediate_session_token": found["intermediate_session_token"]}
    listed = await post(local, "discovery/organizations", **token)
    assert len(listed["discovered_organizations"]) == 3
    both = await local.api("/v1/b2b/discovery/organizations", **token, session_token="x")
    assert stytch_error(both) == (400, "bad_request")
    exchange = "discovery/intermediate_sessions/exchange"
    refused = await local.api(f"/v1/b2b/{exchange}", **token, organization_id="other")
    assert refused.status_code == 403
    body = await post(local, exchange, **token, organization_id="corp")
    assert (body["member_id"], body["member_session"]["organization_slug"]) == (corp["member_id"], "corp")
    again = await local.api(f"/v1/b2b/{exchange}", **token, organization_id="corp")
    assert stytch_error(again) == (404, "intermediate_session_not_found")
    mine = await post(local, "discovery/organizations", session_token=body["session_token"])
    slugs = [each["organization"]["organization_slug"] for each in mine["discovered_organizations"]]
    assert slugs == ["corp", "firm"], "a session shows only where somebody is a member"
    token = {"intermediate_session_token": (await proved(local))["intermediate_session_token"]}
    joined = await post(local, exchange, **token, organization_id="open")
    assert (joined["member"]["status"], joined["member"]["email_address_verified"]) == ("active", True)
    token = {"intermediate_session_token": (await proved(local))["intermediate_session_token"]}
    local.clock.now += 600
    assert (await local.api(f"/v1/b2b/{exchange}", **token, organization_id="corp")).status_code == 404


async def test_discovery_by_link_and_by_social_log_in(local: Local) -> None:
    await seeded(local)
    request = {"email_address": BO, "discovery_redirect_url": BACK, "pkce_code_challenge": s256(VERIFIER)}
    await post(local, "magic_links/email/discovery/send", **request)
    link = query((await mail(local))["magic_link"])
    assert link["stytch_token_type"] == "discovery"
    used = {"discovery_magic_links_token": link["token"], "pkce_code_verifier": VERIFIER}
    wrong = await local.api("/v1/b2b/magic_links/discovery/authenticate", **{**used, "pkce_code_verifier": "w" * 64})
    assert stytch_error(wrong) == (400, "pkce_mismatch")
    found = await post(local, "magic_links/discovery/authenticate", **used)
    assert found["email_address"] == BO
    assert (await local.api("/v1/b2b/magic_links/discovery/authenticate", **used)).status_code == 401
    params = {"public_token": local.config.public_token, "discovery_redirect_url": BACK, "login_hint": BO}
    start = await local.http.get("/v1/b2b/public/oauth/google/discovery/start", params=params)
    back = query(start.headers["location"])
    assert back["stytch_token_type"] == "discovery_oauth"
    used = {"discovery_oauth_token": back["token"]}
    assert (await local.api("/v1/b2b/oauth/authenticate", oauth_token=back["token"])).status_code == 401
    found = await post(local, "oauth/discovery/authenticate", **used)
    assert (found["email_address"], found["provider_type"]) == (BO, "Google")
    assert (await local.api("/v1/b2b/oauth/discovery/authenticate", **used)).status_code == 401


async def test_a_code_of_discovery_works_once(local: Local) -> None:
    await post(local, "otps/email/discovery/send", email_address=BO)
    used = {"email_address": BO, "code": (await mail(local))["code"]}
    await post(local, "otps/email/discovery/authenticate", **used)
    again = await local.api("/v1/b2b/otps/email/discovery/authenticate", **used)
    assert stytch_error(again) == (401, "unable_to_auth_otp_code")


async def test_a_code_of_discovery_is_none_for_an_organization_and_the_reverse(local: Local) -> None:
    await seeded(local)
    await post(local, "otps/email/discovery/send", email_address=BO)
    code = (await mail(local))["code"]
    who = {"organization_id": "corp", "email_address": BO}
    assert (await local.api("/v1/b2b/otps/email/authenticate", **who, code=code)).status_code == 401
    assert (await local.api("/v1/otps/authenticate", method_id=BO, code=code)).status_code == 401
    await local.http.post("/_test/reset")
    await seeded(local)
    await post(local, "otps/email/login_or_signup", **who)
    code = (await mail(local))["code"]
    refused = await local.api("/v1/b2b/otps/email/discovery/authenticate", email_address=BO, code=code)
    assert stytch_error(refused) == (401, "unable_to_auth_otp_code")


async def test_who_has_no_organization_makes_one_and_is_its_admin(local: Local) -> None:
    found = await proved(local, "new@start.example")
    assert found["discovered_organizations"] == []
    token = {"intermediate_session_token": found["intermediate_session_token"]}
    body = await post(local, "discovery/organizations/create", **token, organization_name="Start")
    assert body["organization"]["organization_slug"] == "start"
    assert body["member"]["email_address"] == "new@start.example"
    assert "stytch_admin" in [role["role_id"] for role in body["member"]["roles"]]
    assert (await local.api("/v1/b2b/discovery/organizations/create", **token)).status_code == 404


# Sessions


async def test_a_members_session_is_confirmed_listed_exchanged_and_ended(local: Local) -> None:
    corp, firm = await seeded(local), await seeded(local, organization="firm")
    await seeded(local, email="cy@other.example", organization="other")
    body = await logged_in(local, "corp")
    session = {"session_token": body["session_token"]}
    for one in (session, {"session_jwt": body["session_jwt"]}):
        found = await post(local, "sessions/authenticate", **one)
        assert found["member_session"]["member_session_id"] == body["member_session"]["member_session_id"]
        assert found["member"]["member_id"] == corp["member_id"]
    assert (await local.api("/v1/sessions/authenticate", **session)).status_code == 404
    path = f"/v1/b2b/sessions?organization_id=corp&member_id={corp['member_id']}"
    assert len((await local.api(path, "GET")).json()["member_sessions"]) == 1
    moved = await post(local, "sessions/exchange", **session, organization_id="firm")
    assert moved["member_id"] == firm["member_id"]
    nowhere = await local.api("/v1/b2b/sessions/exchange", **session, organization_id="other")
    assert stytch_error(nowhere) == (404, "member_not_found")
    await post(local, "sessions/revoke", member_id=corp["member_id"])
    assert stytch_error(await local.api("/v1/b2b/sessions/authenticate", **session)) == (404, "session_not_found")
    other = {"session_token": moved["session_token"]}
    await post(local, "sessions/revoke", member_session_id=moved["member_session"]["member_session_id"])
    assert (await local.api("/v1/b2b/sessions/authenticate", **other)).status_code == 404


async def test_a_users_session_is_none_of_the_b2b_api(local: Local) -> None:
    token = (await local.control("mint", kind="session"))["token"]
    assert (await local.api("/v1/sessions/authenticate", session_jwt=token)).status_code == 200
    refused = await local.api("/v1/b2b/sessions/authenticate", session_jwt=token)
    assert stytch_error(refused) == (404, "session_not_found")


async def test_a_member_of_another_issuers_jwt_and_of_a_full_access_token(signing_key: RSAPrivateKey) -> None:
    pem = signing_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    config = Config(
        domain=DOMAIN,
        signing_key=signing_key,
        users=(Seed(BO, organization="corp"), Seed("ada@example.com")),
        trusted_token_profiles={"profile": pem.decode()},
    )
    transport = httpx.ASGITransport(create_app(config))
    auth = httpx.BasicAuth(config.project_id, config.secret)
    async with httpx.AsyncClient(transport=transport, base_url=DOMAIN, auth=auth) as http:
        for email, status in ((BO, 200), ("ada@example.com", 404)):
            token = jwt.encode({"email": email, "exp": config.clock() + 60}, signing_key, algorithm="RS256")
            body = {"profile_id": "profile", "token": token, "organization_id": "corp"}
            assert (await http.post("/v1/b2b/sessions/attest", json=body)).status_code == status
            minted = {"email": email, "scope": "full_access"}
            full = (await http.post("/_test/mint", json=minted)).json()["token"]
            exchanged = await http.post("/v1/b2b/sessions/exchange_access_token", json={"access_token": full})
            assert exchanged.status_code == status
