"""A protected server in front of local Stytch, both in this process and by one clock that the test moves.

What the runtime's own tests show with an issuer that says anything, here with the surface of Stytch: every kind of
token, its keys under faults, and what changes while a token is remembered.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from stytch_mcp.app import create_app
from stytch_mcp.settings import Settings
from stytch_mcp_kit.local.config import PROJECT_ID
from stytch_mcp_kit.local.faults import Fault
from tests import probe
from tests.asgi import Answer, request
from tests.kit.conftest import DOMAIN, Local

pytestmark = pytest.mark.anyio

PUBLIC_URL = "https://notes.example.com"
JWKS = "/.well-known/jwks.json"
STATIC_TOKEN = "mcp_static-token"
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"free","arguments":{}}}'
MINUTE, HOUR = 60, 3600
SCOPE = "openid notes:read"


@dataclass
class Protected:
    """The server, and the local Stytch that it trusts."""

    app: Starlette
    local: Local

    async def status(self, token: str) -> int:
        return (await self.call(token)).status

    async def call(self, token: str) -> Answer:
        headers = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]
        headers += [("accept", "application/json, text/event-stream")]
        return await request(self.app, "POST", "/mcp", headers=headers, chunks=[CALL])

    async def mint(self, **wishes: Any) -> str:
        return str((await self.local.control("mint", **{"scope": SCOPE, **wishes}))["token"])

    async def settle(self) -> None:
        """Let what goes on behind the requests come to an end."""
        await request(self.app, "GET", "/ready")
        for _ in range(20):
            await self.local.http.get("/_test/settings")

    async def asked_for_keys(self) -> int:
        log = (await self.local.http.get("/_test/requests")).json()["requests"]
        return sum(entry["path"] == JWKS for entry in log)


@asynccontextmanager
async def protected(local: Local, **changes: Any) -> AsyncIterator[Protected]:
    values = {
        "public_url": PUBLIC_URL,
        "stytch_domain": DOMAIN,
        "stytch_project_id": local.config.project_id,
        "stytch_secret": local.config.secret,
        "allowed_email_domains": "example.com, corp.example",
        "scope_mode": "custom",
        **changes,
    }
    client = httpx.AsyncClient(transport=httpx.ASGITransport(local.app))
    app = create_app(Settings(**values), probe.SERVER, client=client, now=local.clock, clock=local.clock)
    async with app.router.lifespan_context(app):
        yield Protected(app, local)


@pytest.fixture
async def server(local: Local) -> AsyncIterator[Protected]:
    async with protected(local) as server:
        yield server


async def consented(local: Local, **fields: Any) -> tuple[str, dict[str, Any]]:
    """A client that was allowed, and its tokens."""
    client_id = (await local.register())["client_id"]
    scopes = ["openid", "notes:read", "offline_access"]
    return client_id, await local.tokens(client_id, scopes=scopes, **fields)


# Every kind of token.


async def test_a_token_from_consent_comes_in(server: Protected) -> None:
    _, tokens = await consented(server.local)
    assert await server.status(tokens["access_token"]) == 200
    assert await server.status(tokens["id_token"]) == 401
    assert await server.status(tokens["refresh_token"]) == 401


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({"kind": "session"}, "wrong_token_kind"),
        ({"kind": "session", "claims": {"scope": SCOPE}}, "wrong_token_kind"),
        ({"kind": "m2m"}, "wrong_token_kind"),
        ({"kind": "id"}, "wrong_audience"),
        ({"claims": {"iss": f"{DOMAIN}/"}}, "unknown_issuer"),
        ({"claims": {"iss": "stytch.com/project-test-00000000-0000-4000-8000-000000000001"}}, "unknown_issuer"),
        ({"claims": {"aud": ["https://elsewhere.example/mcp"]}}, "wrong_audience"),
        ({"claims": {"client_id": None}}, "wrong_token_kind"),
        ({"claims": {"nbf": None}}, "missing_claim"),
        ({"header": {"kid": "../../etc/passwd"}}, "unknown_key"),
        ({"header": {"typ": "logout+jwt"}}, "wrong_type"),
        ({"key": "foreign"}, "wrong_signature"),
        ({"key": "hs256_public"}, "wrong_algorithm"),
        ({"key": "none"}, "wrong_algorithm"),
        ({"algorithm": "RS512"}, "wrong_algorithm"),
        ({"email": "bo@corp.example", "claims": {"https://stytch.com/organization": None}}, "wrong_token_kind"),
    ],
    ids=str,
)
async def test_any_other_token_of_stytch_is_refused_for_what_it_is(
    server: Protected, wishes: dict[str, Any], reason: str
) -> None:
    await server.local.control("users", email="bo@corp.example", organization="corp")
    answer = await server.call(await server.mint(**wishes))
    assert (answer.status, answer.challenge["error"]) == (401, "invalid_token")
    assert gate(server).refusals == {reason: 1}


def gate(server: Protected) -> Any:
    assert server.app.middleware_stack is not None
    return server.app.middleware_stack.app  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("ahead", "statuses"),
    [(29, [200, 200, 401]), (31, [401, 200, 401])],
)
async def test_clocks_may_differ_by_half_a_minute(server: Protected, ahead: int, statuses: list[int]) -> None:
    """A token from the future, after that time has come, and at its end."""
    await server.local.control("clock", offset_seconds=ahead)
    token = await server.mint()
    await server.local.control("clock", offset_seconds=0)
    seen = [await server.status(token)]
    server.local.clock.now += ahead
    seen.append(await server.status(token))
    server.local.clock.now += HOUR + 30
    seen.append(await server.status(token))
    assert seen == statuses


@pytest.mark.parametrize("setting", ["ignore", "append"])
async def test_the_audience_is_the_project_with_and_without_resources(server: Protected, setting: str) -> None:
    await server.local.control("settings", aud_resources=setting)
    _, tokens = await consented(server.local, resources=[f"{PUBLIC_URL}/mcp"])
    assert await server.status(tokens["access_token"]) == 200


async def test_a_resource_is_the_audience_where_the_owner_says_so(local: Local) -> None:
    async with protected(local, stytch_audience="resource") as server:
        for setting, status in (("ignore", 401), ("append", 200)):
            await local.control("settings", aud_resources=setting)
            _, tokens = await consented(local, resources=[f"{PUBLIC_URL}/mcp"])
            assert await server.status(tokens["access_token"]) == status


# Keys under faults.


async def test_warm_keys_last_a_day(server: Protected) -> None:
    await server.settle()
    await server.local.control("faults", **{"/.well-known/*": {"status": 503}})
    assert await server.status(await server.mint()) == 200
    server.local.clock.now += 24 * HOUR - 1
    assert await server.status(await server.mint()) == 200
    server.local.clock.now += 2
    answer = await server.call(await server.mint())
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    await server.local.http.delete("/_test/faults")
    server.local.clock.now += 5
    assert await server.status(await server.mint()) == 200


LIES: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "another content type": {"body": "<html>", "content_type": "text/html"},
    "no keys": {"body": {"keys": []}},
    "huge": {"body": {"keys": [], "x": "x" * 300_000}},
    "deep": {"body": "[" * 100_000},
    "another algorithm": {"body": {"keys": [{"kty": "RSA", "alg": "RS512", "use": "sig", "kid": "x", "n": "AQAB"}]}},
    "a secret": {"body": {"keys": [{"kty": "oct", "alg": "RS256", "kid": "x", "k": "c2VjcmV0"}]}},
    "a redirect, though to the right keys": {"redirect": f"{DOMAIN}/v1/sessions/jwks/{PROJECT_ID}"},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_lying_key_document_is_503_when_cold_and_nothing_when_warm(local: Local, lie: dict[str, Any]) -> None:
    faults = local.app.state.project.faults
    faults[JWKS] = Fault(**lie)
    async with protected(local) as server:
        assert await server.status(await server.mint()) == 503
        await local.http.delete("/_test/faults")
        local.clock.now += 5
        assert await server.status(await server.mint()) == 200
        faults[JWKS] = Fault(**lie)
        local.clock.now += 5 * MINUTE + 1
        await server.settle()
        assert await server.status(await server.mint()) == 200


async def test_keys_rotate_under_tokens_in_use(server: Protected) -> None:
    old = await server.mint()
    assert await server.status(old) == 200
    await server.local.control("keys/rotate", keep_old=True)
    assert await server.status(await server.mint()) == 200
    assert await server.status(old) == 200
    assert await server.status(await server.mint(key="previous")) == 200
    await server.local.control("keys/rotate", keep_old=False)
    server.local.clock.now += 30
    assert await server.status(await server.mint()) == 200
    assert await server.status(await server.mint(key="previous")) == 401
    server.local.clock.now += MINUTE + 1
    assert await server.status(old) == 401, "remembered for a minute at most"


async def test_invented_keys_cost_stytch_one_look_in_half_a_minute(server: Protected) -> None:
    await server.settle()
    before = await server.asked_for_keys()
    for number in range(200):
        assert await server.status(await server.mint(header={"kid": f"invented-{number}"})) == 401
        server.local.clock.now += 0.149
    assert await server.asked_for_keys() == before + 1
    server.local.clock.now += 1
    assert await server.status(await server.mint(header={"kid": "invented"})) == 401
    assert await server.asked_for_keys() == before + 2


# Policy under change: a token that is remembered all along.

Change = Callable[[Local, str, str], Any]


async def delete_the_user(local: Local, user_id: str, client_id: str) -> None:
    assert (await local.api(f"/v1/users/{user_id}", "DELETE")).status_code == 200


async def take_the_address(local: Local, user_id: str, client_id: str) -> None:
    local.app.state.project.users[user_id].emails[0].verified = False


@pytest.mark.parametrize("change", [delete_the_user, take_the_address])
async def test_a_user_who_is_gone_or_unproved_is_out_within_five_minutes(server: Protected, change: Change) -> None:
    client_id, tokens = await consented(server.local)
    token = tokens["access_token"]
    assert await server.status(token) == 200
    await change(server.local, server.local.user_id, client_id)
    seen = []
    for _ in range(31):
        seen.append(await server.status(token))
        await server.settle()
        server.local.clock.now += 10
    assert seen[0] == 200, "the bound is five minutes, not none"
    assert seen[-1] == 403
    assert sorted(seen) == seen


async def test_a_deleted_member_is_out_within_five_minutes(server: Protected) -> None:
    local = server.local
    made = await local.control("users", email="bo@corp.example", organization="corp")
    token = await server.mint(email="bo@corp.example")
    assert await server.status(token) == 200
    gone = await local.api(f"/v1/b2b/organizations/corp/members/{made['member_id']}", "DELETE")
    assert gone.status_code == 200
    local.clock.now += 5 * MINUTE + 1
    assert await server.status(token) == 403


async def revoke_the_token(local: Local, user_id: str, client_id: str, refresh_token: str) -> None:
    form = {"client_id": client_id, "token": refresh_token}
    assert (await local.http.post("/v1/oauth2/revoke", data=form)).status_code == 200


async def disconnect_the_app(local: Local, user_id: str, client_id: str, refresh_token: str) -> None:
    assert (await local.api(f"/v1/users/{user_id}/connected_apps/{client_id}/revoke")).status_code == 200


@pytest.mark.parametrize("revoke", [revoke_the_token, disconnect_the_app])
async def test_a_revoked_token_lasts_to_its_end_and_is_never_renewed(server: Protected, revoke: Any) -> None:
    """The bound is the life of an access token, an hour by Stytch's default, and half a minute for clocks."""
    local = server.local
    client_id, tokens = await consented(local)
    assert await server.status(tokens["access_token"]) == 200
    await revoke(local, local.user_id, client_id, tokens["refresh_token"])
    assert (await local.introspect(client_id, tokens["access_token"]))["active"] is False
    renewed = await local.token(client_id, refresh_token=tokens["refresh_token"])
    assert renewed.status_code in (400, 404)
    assert await server.status(tokens["access_token"]) == 200
    local.clock.now += tokens["expires_in"] + 30
    assert await server.status(tokens["access_token"]) == 401


async def test_a_remembered_token_ends_with_its_expiry(server: Protected) -> None:
    token = await server.mint(claims={"exp": int(server.local.clock.now) + 10})
    assert await server.status(token) == 200
    server.local.clock.now += 39
    assert await server.status(token) == 200
    server.local.clock.now += 1
    assert await server.status(token) == 401


async def test_a_changed_list_counts_for_tokens_given_before(local: Local) -> None:
    """Lists are settings: they change with a restart, and tokens outlive it."""
    _, tokens = await consented(local)
    for domains, status in (("example.com", 200), ("corp.example", 403), ("example.com", 200)):
        async with protected(local, allowed_email_domains=domains) as server:
            assert await server.status(tokens["access_token"]) == status


async def test_a_static_token_is_out_after_its_last_day(local: Local) -> None:
    today = datetime.fromtimestamp(local.clock.now, UTC).date()
    entry = f"ci|{hashlib.sha256(STATIC_TOKEN.encode()).hexdigest()}|notes:read|{today}"
    async with protected(local, bearer_tokens=entry) as server:
        assert await server.status(STATIC_TOKEN) == 200
        local.clock.now += 24 * HOUR
        assert await server.status(STATIC_TOKEN) == 401
