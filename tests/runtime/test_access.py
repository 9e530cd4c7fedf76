"""AUTH_MODE=cloudflare-access: what Cloudflare Access vouches for comes in, OAuth does not; and the other way round."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from stytch_mcp.app import create_app
from stytch_mcp.settings import Settings
from tests import probe
from tests.asgi import Answer, request
from tests.fake_issuer import DOMAIN, PROJECT_ID, FakeIssuer, down, public_jwk, rsa_key

pytestmark = pytest.mark.anyio

PUBLIC_URL = "https://notes.example.com"
TEAM = "https://acme.cloudflareaccess.com"
CERTS = "/cdn-cgi/access/certs"
AUD = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"
KEY_ID = "f3a3f1bd2f1a3c1d5a0a8f5cbd5f0e8f"
PERSON = "7335d417-61da-459d-899c-0a01c76a2f94"
SERVICE = "e367826f93b8d71185e03fe518aff3b4.access"
OTHER_SERVICE = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.access"
STATIC = "mcp_static-token"
ASSERTION = "Cf-Access-Jwt-Assertion"


@pytest.fixture
def access() -> FakeIssuer:
    """The team's Access: two keys, the current and the previous one."""
    access = FakeIssuer(TEAM)
    access.keys = {KEY_ID: rsa_key("access")}
    publish(access, {KEY_ID: "access", "previous": "access before"})
    return access


def publish(access: FakeIssuer, keys: dict[str, str]) -> None:
    jwks = [public_jwk(rsa_key(name), kid) for kid, name in keys.items()]
    access.answers[CERTS] = lambda _: httpx.Response(200, json={"keys": jwks, "public_cert": {}, "public_certs": []})


def person(access: FakeIssuer, kid: str = KEY_ID, key: str = "access", **changes: Any) -> str:
    """An application token of a person; None takes a claim away."""
    shape = {
        "aud": [AUD],
        "sub": PERSON,
        "email": "ada@example.com",
        "type": "app",
        "identity_nonce": "6ei69kawdKzMIAPF",
        "country": "US",
        "client_id": None,
        "scope": None,
        "jti": None,
    }
    return access.token(headers={"kid": kid}, key=rsa_key(key), **{**shape, **changes})


def service(access: FakeIssuer, **changes: Any) -> str:
    """An application token of a service token: no person, no nbf, an empty sub."""
    shape = {"common_name": SERVICE, "sub": "", "nbf": None, "email": None, "identity_nonce": None, "country": None}
    return person(access, **{**shape, **changes})


SETTINGS: dict[str, Any] = {
    "public_url": PUBLIC_URL,
    "stytch_domain": DOMAIN,
    "stytch_project_id": PROJECT_ID,
    "stytch_secret": "secret-live-value",
    "allowed_email_domains": "example.com",
    "scope_mode": "custom",
    "bearer_tokens": f"ci|{hashlib.sha256(STATIC.encode()).hexdigest()}|notes:read",
    "cf_access_team_domain": TEAM,
    "cf_access_aud": AUD,
    "cf_access_service_tokens": SERVICE,
    "cf_access_scopes": "notes:write",
}


@asynccontextmanager
async def started(asked: FakeIssuer, auth_mode: str = "cloudflare-access", **changes: Any) -> AsyncIterator[Starlette]:
    settings = Settings(**{**SETTINGS, "auth_mode": auth_mode, **changes})
    app = create_app(settings, probe.SERVER, client=asked.client, now=asked.now, clock=asked.clock)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def app(access: FakeIssuer) -> AsyncIterator[Starlette]:
    async with started(access) as app:
        yield app


async def call(app: Starlette, *headers: tuple[str, str], tool: str | None = None, query: str = "") -> Answer:
    """`tools/list`, or a call of a tool."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    if tool is not None:
        message |= {"method": "tools/call", "params": {"name": tool, "arguments": {}}}
    usual = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")]
    return await request(
        app, "POST", "/mcp", headers=[*usual, *headers], query=query, chunks=[json.dumps(message).encode()]
    )


def tools(answer: Answer) -> set[str]:
    assert answer.status == 200, answer.body
    return {tool["name"] for tool in answer.json["result"]["tools"]}


def bearer(token: str) -> tuple[str, str]:
    return "Authorization", f"Bearer {token}"


# Whom Access vouches for.


async def test_a_person_comes_in_with_the_scopes_of_the_settings(app: Starlette, access: FakeIssuer) -> None:
    seen = tools(await call(app, (ASSERTION, person(access))))
    assert "write" in seen
    assert "administer" not in seen, "what nobody can get is not shown"
    answer = await call(app, (ASSERTION, person(access)), tool="token_seen")
    found = answer.json["result"]["structuredContent"]
    assert found == {"token": "", "header": None, "subject": PERSON}
    refused = await call(app, (ASSERTION, person(access)), tool="administer")
    assert (refused.status, refused.json["error"]) == (403, "insufficient_scope")
    assert set(refused.challenge) == {"error", "error_description"}


async def test_a_service_token_that_is_named_comes_in_as_itself(app: Starlette, access: FakeIssuer) -> None:
    answer = await call(app, (ASSERTION, service(access)), tool="token_seen")
    assert answer.json["result"]["structuredContent"]["subject"] == SERVICE


@pytest.mark.parametrize("rules", [{}, {"allowed_users": "*"}], ids=["by address", "everyone"])
async def test_a_service_token_that_is_not_named_stays_out_whoever_is_allowed(
    access: FakeIssuer, rules: dict[str, str]
) -> None:
    async with started(access, **rules) as app:
        assert (await call(app, (ASSERTION, service(access, common_name=OTHER_SERVICE)))).status == 401


async def test_a_service_token_gains_nothing_from_an_address(access: FakeIssuer) -> None:
    async with started(access, cf_access_service_tokens="") as app:
        token = service(access, email="ada@example.com", sub=PERSON)
        assert (await call(app, (ASSERTION, token))).status == 401


@pytest.mark.parametrize(
    ("rules", "email", "status"),
    [
        ({"allowed_email_domains": "example.com"}, "ADA@example.com", 200),
        ({"allowed_email_domains": "example.com"}, "ada@sub.example.com", 403),
        ({"allowed_email_domains": "", "allowed_emails": "ada@example.com"}, "ada@example.com", 200),
        ({"allowed_email_domains": "", "allowed_users": PERSON}, "eve@example.net", 200),
        ({"allowed_email_domains": "", "allowed_users": "somebody"}, "ada@example.com", 403),
    ],
    ids=str,
)
async def test_the_rules_of_who_may_come_in_hold_here_too(
    access: FakeIssuer, rules: dict[str, str], email: str, status: int
) -> None:
    async with started(access, **rules) as app:
        answer = await call(app, (ASSERTION, person(access, email=email)))
    assert answer.status == status
    assert status == 200 or answer.json["error"] == "not_allowed"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": ["0" * 64]}, "wrong_audience"),
        ({"aud": []}, "missing_claim"),
        ({"aud": PROJECT_ID}, "wrong_audience"),
        ({"aud": None}, "missing_claim"),
        ({"iss": f"{TEAM}/"}, "unknown_issuer"),
        ({"iss": "https://other.cloudflareaccess.com"}, "unknown_issuer"),
        ({"type": "org"}, "wrong_token_kind"),
        ({"type": None}, "wrong_token_kind"),
        ({"nbf": None}, "wrong_token_kind"),
        ({"sub": ""}, "wrong_token_kind"),
        ({"email": None}, "wrong_token_kind"),
        ({"email": ["ada@example.com"]}, "wrong_token_kind"),
        ({"common_name": ""}, "wrong_token_kind"),
        ({"common_name": ["x"]}, "wrong_token_kind"),
        ({"exp": None}, "missing_claim"),
        ({"exp": 1_799_999_960}, "expired"),
        ({"nbf": 1_800_000_040}, "not_yet_valid"),
        ({"kid": "unknown"}, "unknown_key"),
        ({"key": "somebody else's"}, "wrong_signature"),
        ({"algorithm": "RS512"}, "wrong_algorithm"),
    ],
    ids=str,
)
async def test_what_access_did_not_vouch_for(
    app: Starlette, access: FakeIssuer, changes: dict[str, Any], code: str
) -> None:
    with capture_logs() as logs:
        answer = await call(app, (ASSERTION, person(access, **changes)))
    assert answer.status == 401
    assert [entry["reason"] for entry in logs if entry["event"] == "refused"] == [code]
    assert answer.challenge["error"] == "invalid_token"
    assert "resource_metadata" not in answer.challenge
    assert "scope" not in answer.challenge


async def test_a_global_session_token_is_another_kind_though_all_else_is_right(
    app: Starlette, access: FakeIssuer
) -> None:
    assert (await call(app, (ASSERTION, person(access, type="org")))).status == 401


async def test_keys_rotate_every_six_weeks_and_the_previous_one_counts_for_seven_days(
    app: Starlette, access: FakeIssuer
) -> None:
    assert (await call(app, (ASSERTION, person(access)))).status == 200
    assert (await call(app, (ASSERTION, person(access, kid="previous", key="access before")))).status == 200
    publish(access, {"next": "access after", KEY_ID: "access"})
    assert (await call(app, (ASSERTION, person(access, kid="next", key="access after")))).status == 200
    assert (await call(app, (ASSERTION, person(access)))).status == 200
    gone = person(access, kid="previous", key="access before", jti="not seen before")
    assert (await call(app, (ASSERTION, gone))).status == 401
    assert access.requests[CERTS] == 2, "one fetch for the unknown key, none for the key that is gone"


async def test_without_keys_nobody_comes_in_and_everybody_may_try_again(access: FakeIssuer) -> None:
    access.answers[CERTS] = down
    async with started(access) as app:
        answer = await call(app, (ASSERTION, person(access)))
        ready = await request(app, "GET", "/ready")
    assert (answer.status, ready.status) == (503, 503)
    assert answer.headers["retry-after"]


# Which header counts.


async def test_the_header_twice_is_refused_even_if_both_are_good(app: Starlette, access: FakeIssuer) -> None:
    good = person(access)
    with capture_logs() as logs:
        answer = await call(app, (ASSERTION, good), (ASSERTION, good))
    assert (answer.status, answer.json["error"]) == (401, "invalid_request")
    assert [entry["detail"] for entry in logs] == ["2 assertions of Cloudflare Access"]
    assert (await call(app, (ASSERTION, f"{good}, {good}"))).status == 401


async def test_with_both_headers_the_assertion_alone_counts(app: Starlette, access: FakeIssuer) -> None:
    """A client still sends the token of the log-in it once had, or a static one that may do less."""
    for other in ("stale-oauth-token", STATIC):
        assert "write" in tools(await call(app, (ASSERTION, person(access)), bearer(other)))
    bad = person(access, aud=["0" * 64])
    assert (await call(app, (ASSERTION, bad), bearer(STATIC))).status == 401, "a static token mends nothing"


async def test_a_static_token_comes_in_without_an_assertion(app: Starlette) -> None:
    assert tools(await call(app, bearer(STATIC))) >= {"free", "token_seen"}


async def test_an_assertion_in_the_wrong_header_is_no_token(app: Starlette, access: FakeIssuer) -> None:
    answer = await call(app, bearer(person(access)))
    assert (answer.status, answer.challenge["error"]) == (401, "invalid_token")
    cookie = ("Cookie", f"CF_Authorization={person(access)}")
    assert (await call(app, cookie)).status == 401


async def test_no_token_of_stytch_comes_in(access: FakeIssuer) -> None:
    stytch = FakeIssuer()
    async with started(access) as app:
        with capture_logs() as logs:
            answer = await call(app, bearer(stytch.token()))
            as_assertion = await call(app, (ASSERTION, stytch.token()))
    assert (answer.status, as_assertion.status) == (401, 401)
    assert [entry["reason"] for entry in logs] == ["oauth_is_off", "unknown_issuer"]


async def test_a_token_in_the_address_is_refused_beside_a_good_assertion(app: Starlette, access: FakeIssuer) -> None:
    answer = await call(app, (ASSERTION, person(access)), query="access_token=x")
    assert answer.status == 401


async def test_who_did_not_come_through_access_is_told_and_not_sent_to_log_in(app: Starlette) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = await request(app, method, "/mcp")
        assert (answer.status, answer.json["error"]) == (401, "no_assertion")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_every_way_in_is_counted_and_written_down_and_stytch_is_not_asked(
    access: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    """With all that belongs to OAuth still in the settings: the page, and the question who is connected."""
    caplog.set_level(logging.INFO, "stytch_mcp.audit")
    kept: dict[str, Any] = {"signin_secret": "s" * 32, "stytch_revocation_seconds": 1, "auth_issuers": "workos,stytch"}
    async with started(access, metrics_port=9090, workos_domain="https://a.authkit.app", **kept) as app:
        for header in ((ASSERTION, person(access)), (ASSERTION, service(access)), bearer(STATIC)):
            assert (await call(app, header, tool="token_seen")).status == 200
        assert (await request(app, "GET", "/oauth/authorize")).status == 404
    lines = [json.loads(record.message) for record in caplog.records if record.name == "stytch_mcp.audit"]
    assert [(line["audit"], line["issuer"], line["subject"]) for line in lines] == [
        ("tool_call", TEAM, PERSON),
        ("tool_call", TEAM, SERVICE),
        ("tool_call", "bearer-token", "token:ci"),
    ]
    assert app.state.metrics.requests == {TEAM: 2, "bearer-token": 1}
    assert set(access.requests) == {CERTS}


@pytest.mark.parametrize("auth_mode", ["oauth", "cloudflare-access"])
async def test_no_credential_reaches_a_tool(access: FakeIssuer, auth_mode: str) -> None:
    """Neither what counts in this mode nor what counts in the other: a tool may pass on what it sees."""
    asked = access if auth_mode == "cloudflare-access" else FakeIssuer()
    given = [
        bearer(FakeIssuer().token()),
        (ASSERTION, person(access)),
        ("Cookie", f"CF_Authorization={person(access)}"),
        ("CF-Access-Client-Secret", "secret"),
        ("CF-Access-Token", person(access)),
        ("X-Other", "stays"),
    ]
    async with started(asked, auth_mode) as app:
        answer = await call(app, *given, tool="headers_seen")
    seen = answer.json["result"]["structuredContent"]["result"]
    assert "x-other" in seen
    secret = {"authorization", ASSERTION.lower(), "cookie", "cf-access-client-secret", "cf-access-token"}
    assert not secret & set(seen)


async def test_no_credential_is_in_the_log(app: Starlette, access: FakeIssuer) -> None:
    tokens = [person(access), person(access, aud=["0" * 64]), service(access, common_name=OTHER_SERVICE)]
    with capture_logs() as logs:
        for token in tokens:
            await call(app, (ASSERTION, token), bearer(token))
    assert not any(token in json.dumps(logs) for token in tokens)


# What else is off while this mode is on.


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
        "/oauth/authorize",
    ],
)
async def test_there_is_nowhere_to_log_in(app: Starlette, path: str) -> None:
    assert (await request(app, "GET", path)).status == 404


async def test_health_says_that_oauth_is_off_and_ready_that_people_come_in(app: Starlette, access: FakeIssuer) -> None:
    assert (await call(app, (ASSERTION, person(access)))).status == 200
    health = await request(app, "GET", "/health")
    assert health.json["oauth_compliant"] is False
    assert (
        health.json["reason"] == "AUTH_MODE is cloudflare-access: nobody can log in with OAuth until it is oauth again"
    )
    assert (await request(app, "GET", "/ready")).status == 200
    assert set(access.requests) == {CERTS}, "no metadata is asked for, and nothing of Stytch"


async def test_in_simple_mode_nothing_is_asked_of_scopes(access: FakeIssuer) -> None:
    async with started(access, scope_mode="simple", cf_access_scopes="") as app:
        assert tools(await call(app, (ASSERTION, person(access)))) >= {"write", "administer"}


# OAuth mode: the header counts for nothing.


async def test_in_oauth_mode_the_assertion_is_ignored(access: FakeIssuer) -> None:
    stytch = FakeIssuer()
    async with started(stytch, auth_mode="oauth") as app:
        alone = await call(app, (ASSERTION, person(access)))
        assert alone.status == 401
        assert alone.challenge["resource_metadata"].startswith(PUBLIC_URL)
        assert "error" not in alone.challenge, "as if there had been no credential at all"
        for assertions in ([person(access)], [person(access), person(access)], ["nonsense"]):
            headers = [(ASSERTION, each) for each in assertions]
            answer = await call(app, bearer(stytch.token()), *headers, tool="token_seen")
            assert answer.json["result"]["structuredContent"]["subject"] != PERSON
        assert (await call(app, bearer(person(access)))).status == 401, "its issuer is none of OAuth's"
    assert TEAM not in {f"https://{each.url.host}" for each in stytch.seen}
