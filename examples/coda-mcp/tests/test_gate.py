"""Every way through the gate, on raw ASGI, in the order in which it decides."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from stytch_mcp.app import create_app
from stytch_mcp.protect import reasons
from stytch_mcp.protect.gate import MESSAGE, PRINCIPAL, Gate
from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.scopes import ScopePolicy, ScopeTable
from stytch_mcp.protocol import Endpoint
from stytch_mcp.settings import Settings
from tests import probe
from tests.asgi import Answer, request
from tests.fake_issuer import CLIENT_ID, DOMAIN, PROJECT_ID, SECRET, USER_ID, FakeIssuer, down, rsa_key

pytestmark = pytest.mark.anyio

PUBLIC_URL = "https://notes.example.com"
METADATA_URL = f"{PUBLIC_URL}/.well-known/oauth-protected-resource/mcp"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
STATIC_TOKEN = "mcp_static-token"

ERAS: dict[str, list[tuple[str, str]]] = {
    "no version": [],
    "2025-03-26": [("mcp-protocol-version", "2025-03-26")],
    "2025-11-25": [("mcp-protocol-version", "2025-11-25")],
    "2026-07-28": [("mcp-protocol-version", "2026-07-28")],
}


def settings(**changes: Any) -> Settings:
    values = {
        "public_url": PUBLIC_URL,
        "stytch_domain": DOMAIN,
        "stytch_project_id": PROJECT_ID,
        "stytch_secret": SECRET,
        "allowed_emails": "ada@example.com",
        "scope_mode": "custom",
        "max_body_bytes": 8192,
        "allowed_origins": "https://inspector.example.org",
        "bearer_tokens": f"ci|{hashlib.sha256(STATIC_TOKEN.encode()).hexdigest()}|notes:read",
        **changes,
    }
    return Settings(**values)


@pytest.fixture
async def app(issuer: FakeIssuer) -> AsyncIterator[Starlette]:
    async with started(issuer) as app:
        yield app


def started(issuer: FakeIssuer, **changes: Any) -> Any:
    app = create_app(settings(**changes), probe.SERVER, client=issuer.client, now=issuer.now, clock=issuer.clock)
    context = app.router.lifespan_context(app)

    class Started:
        async def __aenter__(self) -> Starlette:
            await context.__aenter__()
            return app

        async def __aexit__(self, *error: Any) -> None:
            await context.__aexit__(*error)

    return Started()


def bearer(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


def call(tool: str, **meta: Any) -> bytes:
    params: dict[str, Any] = {"name": tool, "arguments": {}, "_meta": meta}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


def modern(tool: str) -> tuple[list[tuple[str, str]], bytes]:
    """A complete request of 2026-07-28."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", tool)]
    return headers, call(tool, **meta)


JSON_HEADERS = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")]


async def post(app: Starlette, token: str, body: bytes, headers: list[tuple[str, str]] | None = None) -> Answer:
    return await request(app, "POST", "/mcp", headers=[bearer(token), *JSON_HEADERS, *(headers or [])], chunks=[body])


# 1. Health is for probes, which know neither the host name nor a token.


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_health_needs_no_host_no_origin_and_no_token(app: Starlette, path: str) -> None:
    answer = await request(app, "GET", path, host="10.0.0.7:8000", headers=[("origin", "https://evil.example")])
    assert answer.status == 200


# 2. Host.


@pytest.mark.parametrize("host", ["evil.example", "notes.example.com.evil.example", "notes.example.com:8443", "", None])
@pytest.mark.parametrize("path", ["/mcp", "/.well-known/oauth-protected-resource/mcp", "/nowhere"])
async def test_another_host_is_421_before_anything_else(app: Starlette, path: str, host: str | None) -> None:
    answer = await request(app, "POST", path, host=host, headers=[("origin", "https://evil.example")])
    assert answer.status == 421
    assert answer.chunks_read == 0
    assert "www-authenticate" not in answer.headers


async def test_two_hosts_are_421(app: Starlette, issuer: FakeIssuer) -> None:
    answer = await request(app, "POST", "/mcp", headers=[("host", "evil.example"), bearer(issuer.token())])
    assert answer.status == 421


@pytest.mark.parametrize("host", ["notes.example.com", "notes.example.com:443", "NOTES.example.com"])
async def test_the_own_host_is_known_in_any_spelling(app: Starlette, host: str) -> None:
    assert (await request(app, "POST", "/mcp", host=host)).status == 401


# 3. Origin.


@pytest.mark.parametrize("origin", ["https://evil.example", "http://notes.example.com", "null", ""])
@pytest.mark.parametrize("method", METHODS)
async def test_another_origin_is_403_even_with_a_good_token(
    app: Starlette, issuer: FakeIssuer, method: str, origin: str
) -> None:
    headers = [("origin", origin), bearer(issuer.token()), ("access-control-request-method", "POST")]
    answer = await request(app, method, "/mcp", headers=headers)
    assert answer.status == 403
    assert answer.chunks_read == 0
    assert "www-authenticate" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


async def test_a_second_origin_does_not_hide_behind_a_good_one(app: Starlette) -> None:
    headers = [("origin", PUBLIC_URL), ("origin", "https://evil.example")]
    assert (await request(app, "POST", "/mcp", headers=headers)).status == 403


@pytest.mark.parametrize("origin", [None, PUBLIC_URL, "https://inspector.example.org"])
async def test_no_origin_the_own_and_allowed_ones_come_through(app: Starlette, origin: str | None) -> None:
    headers = [("origin", origin)] if origin else []
    answer = await request(app, "POST", "/mcp", headers=headers)
    assert answer.status == 401
    assert answer.headers.get("access-control-allow-origin") == origin


# 4. CORS preflight.


@pytest.mark.parametrize("path", ["/mcp", "/.well-known/oauth-protected-resource/mcp"])
async def test_a_preflight_is_204_without_a_token(app: Starlette, path: str) -> None:
    headers = [("origin", "https://inspector.example.org"), ("access-control-request-method", "POST")]
    answer = await request(app, "OPTIONS", path, headers=headers)
    assert answer.status == 204
    assert "MCP-Protocol-Version" in answer.headers["access-control-allow-headers"]
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


async def test_documents_are_readable_from_any_origin(app: Starlette) -> None:
    path = "/.well-known/oauth-protected-resource/mcp"
    answer = await request(app, "GET", path, headers=[("origin", "https://anywhere.example")])
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"


# 5. The token: before any protocol handling, for every method, on both eras.


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("method", METHODS)
async def test_no_token_is_a_challenge_without_an_error(app: Starlette, method: str, era: str) -> None:
    answer = await request(app, method, "/mcp", headers=ERAS[era], chunks=[b'{"jsonrpc"', b"..."])
    assert answer.status == 401
    assert answer.challenge == {"resource_metadata": METADATA_URL, "scope": "notes:read"}
    assert answer.chunks_read == 0


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("method", METHODS)
async def test_a_bad_token_is_a_challenge_with_the_error(
    app: Starlette, issuer: FakeIssuer, method: str, era: str
) -> None:
    forged = issuer.token(key=rsa_key("foreign"))
    answer = await request(app, method, "/mcp", headers=[*ERAS[era], bearer(forged)], chunks=[b"{", b"}"])
    assert answer.status == 401
    assert answer.challenge == {
        "resource_metadata": METADATA_URL,
        "scope": "notes:read",
        "error": "invalid_token",
        "error_description": "The signature does not match.",
    }
    assert answer.chunks_read == 0


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp//"])
async def test_a_closing_slash_opens_no_side_door(app: Starlette, path: str) -> None:
    assert (await request(app, "POST", path)).status == 401


@pytest.mark.parametrize(
    "path", ["/MCP", "/mcp/x", "//mcp", "/mcp;x", "/./mcp", "/mcp\n", "/mcp/\n", "\n/mcp", "/mcp\0"]
)
@pytest.mark.parametrize("with_token", [False, True])
async def test_no_other_path_reaches_the_endpoint(
    app: Starlette, issuer: FakeIssuer, path: str, with_token: bool
) -> None:
    headers = [*JSON_HEADERS, *([bearer(issuer.token())] if with_token else [])]
    assert (await request(app, "POST", path, headers=headers, chunks=[call("free")])).status == 404


TOKEN_PLACES = {
    "two headers": (["Bearer {t}", "Bearer {t}"], "", "repeated_header"),
    "two headers, one empty": (["", "Bearer {t}"], "", "repeated_header"),
    "two headers of two schemes": (["Basic {t}", "Bearer {t}"], "", "repeated_header"),
    "query": ([], "access_token={t}", "token_in_query"),
    "query beside the header": (["Bearer {t}"], "access_token={t}", "token_in_query"),
    "encoded query": (["Bearer {t}"], "access%5Ftoken={t}", "token_in_query"),
    "basic": (["Basic {t}"], "", "no_token"),
    "DPoP": (["DPoP {t}"], "", "no_token"),
    "another scheme": (["Token {t}"], "", "no_token"),
    "a scheme that begins like ours": (["BearerX {t}"], "", "no_token"),
    "no scheme": (["{t}"], "", "no_token"),
    "empty": ([""], "", "no_token"),
    "scheme alone": (["Bearer"], "", "malformed"),
    "two in one header": (["Bearer {t}, Bearer {t}"], "", "malformed"),
    "a NUL behind it": (["Bearer {t}\0"], "", "malformed"),
}
"""Where the token is, and the reason for the refusal; its `error` is of RFC 6750 section 3.1."""


@pytest.mark.parametrize("place", TOKEN_PLACES)
async def test_a_good_token_in_the_wrong_place_is_401(app: Starlette, issuer: FakeIssuer, place: str) -> None:
    values, query, code = TOKEN_PLACES[place]
    token = issuer.token()
    headers = [("authorization", value.format(t=token)) for value in values]
    answer = await request(app, "POST", "/mcp", headers=headers, query=query.format(t=token))
    assert answer.status == 401
    reason = next(each for each in reasons.ALL if each.code == code)
    assert answer.challenge.get("error") == reason.error
    assert answer.chunks_read == 0
    assert gate_of(app).refusals == {code: 1}


def gate_of(app: Starlette) -> Gate:
    assert app.middleware_stack is not None
    gate: Gate = app.middleware_stack.app  # type: ignore[attr-defined]
    return gate


async def test_the_scheme_may_be_in_lower_case(app: Starlette, issuer: FakeIssuer) -> None:
    headers = [("authorization", f"bearer {issuer.token()}"), *JSON_HEADERS]
    answer = await request(app, "POST", "/mcp", headers=headers, chunks=[call("free")])
    assert answer.status == 200


async def test_without_keys_it_is_503_with_a_time_to_retry(issuer: FakeIssuer) -> None:
    issuer.answers["/.well-known/jwks.json"] = down
    async with started(issuer) as app:
        answer = await request(app, "POST", "/mcp", headers=[bearer(issuer.token())])
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        assert (await request(app, "POST", "/mcp")).status == 401
        assert (await request(app, "GET", "/ready")).status == 503


# 6. Policy.


@pytest.mark.parametrize("method", METHODS)
async def test_who_is_not_allowed_gets_403_without_a_challenge(app: Starlette, issuer: FakeIssuer, method: str) -> None:
    stranger = issuer.token(sub="user-live-99999999-9999-4999-8999-999999999999")
    answer = await request(app, method, "/mcp", headers=[bearer(stranger)], chunks=[b"x"])
    assert answer.status == 403
    assert "www-authenticate" not in answer.headers
    assert answer.chunks_read == 0
    if method != "HEAD":
        assert answer.json["error"] == "not_allowed"


async def test_a_subject_never_resolved_is_503_while_stytch_is_down(app: Starlette, issuer: FakeIssuer) -> None:
    issuer.answers["/v1/users/user-live-77777777-7777-4777-8777-777777777777"] = down
    unknown = issuer.token(sub="user-live-77777777-7777-4777-8777-777777777777")
    answer = await request(app, "POST", "/mcp", headers=[bearer(unknown)])
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0


# 7. The body.


async def test_an_announced_body_over_the_limit_is_413_unread(app: Starlette, issuer: FakeIssuer) -> None:
    headers = [bearer(issuer.token()), ("content-length", "8193")]
    answer = await request(app, "POST", "/mcp", headers=headers, chunks=[b"x" * 8193])
    assert answer.status == 413
    assert answer.chunks_read == 0


@pytest.mark.parametrize("length", [None, "1", "-1", "9" * 5000, "١"])
async def test_a_body_over_the_limit_is_413_whatever_was_announced(
    app: Starlette, issuer: FakeIssuer, length: str | None
) -> None:
    announced = [("content-length", length)] if length and length.isascii() else []
    headers = [bearer(issuer.token()), *announced]
    answer = await request(app, "POST", "/mcp", headers=headers, chunks=[b"x" * 2048] * 100)
    assert answer.status == 413
    assert answer.chunks_read <= 5


# 8. Scopes.

NEEDED = {"write": "notes:read notes:write", "administer": "notes:read notes:write notes:admin"}


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("tool", NEEDED)
async def test_a_missing_scope_is_403_naming_all_that_the_operation_needs(
    app: Starlette, issuer: FakeIssuer, tool: str, era: str
) -> None:
    headers, body = modern(tool) if era == "modern" else ([], call(tool))
    answer = await post(app, issuer.token(), body, headers)
    assert answer.status == 403
    assert answer.challenge["error"] == "insufficient_scope"
    assert answer.challenge["scope"] == NEEDED[tool]
    assert answer.challenge["resource_metadata"] == METADATA_URL


async def test_what_an_issuer_calls_a_scope_is_not_logged(app: Starlette, issuer: FakeIssuer) -> None:
    scope = f"notes:read {issuer.token()} " + " ".join(map(str, range(1000)))
    with capture_logs() as logged:
        assert (await post(app, issuer.token(scope=scope), call("write"))).status == 403
    assert logged[0]["detail"] == "needs 'notes:read notes:write', lacks 'notes:write'"


@pytest.mark.parametrize(
    ("granted", "tool", "status"),
    [
        ("notes:read", "free", 200),
        ("notes:write", "free", 200),
        ("notes:write", "write", 200),
        ("notes:admin", "write", 200),
        ("notes:admin", "administer", 200),
        ("notes:write", "administer", 403),
        ("openid", "free", 403),
        ("", "free", 403),
        ("Notes:read", "free", 403),
        ("notes:readx", "free", 403),
    ],
)
async def test_scopes_imply_what_is_below_them(
    app: Starlette, issuer: FakeIssuer, granted: str, tool: str, status: int
) -> None:
    headers, body = modern(tool)
    assert (await post(app, issuer.token(scope=granted), body, headers)).status == status


SMUGGLED = {
    "name twice, needed last": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
    b'{"name":"free","name":"write","arguments":{}}}',
    "method twice": b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call",'
    b'"params":{"name":"write","arguments":{}}}',
    "escaped name": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wr\\u0069te","arguments":{}}}',
    "params twice": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"free"},'
    b'"params":{"name":"write","arguments":{}}}',
}


@pytest.mark.parametrize("attack", SMUGGLED)
async def test_no_spelling_of_a_call_gets_past_its_scope(app: Starlette, issuer: FakeIssuer, attack: str) -> None:
    answer = await post(app, issuer.token(), SMUGGLED[attack])
    assert answer.status == 403
    assert b"written" not in answer.body


async def test_what_the_gate_cannot_read_goes_no_further(app: Starlette, issuer: FakeIssuer) -> None:
    """Python's parser gives up on long integers, the SDK's does not: it must not see what was not judged."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","arguments":{"n":%s}}}' % (
        b"9" * 5000
    )
    answer = await post(app, issuer.token(), body)
    assert answer.status == 400
    assert answer.json["error"] == "not_json"


async def test_the_endpoint_judges_again_what_the_sdk_read(issuer: FakeIssuer) -> None:
    """Behind a gate that was fooled: it took the call for another one."""
    scopes = ScopePolicy(ScopeTable(probe.SERVER.scopes), required=["notes:read"], basic=["openid"], per_tool=True)
    async with probe.build(settings()) as server:
        endpoint = Endpoint(resource=f"{PUBLIC_URL}/mcp", scopes=scopes, max_body_bytes=8192)

        async def fooled(scope: Scope, receive: Receive, send: Send) -> None:
            principal = Principal(subject="s", client_id="c", issuer="i", scopes=frozenset({"notes:read"}))
            await endpoint({**scope, PRINCIPAL: principal, MESSAGE: {"method": "tools/list"}}, receive, send)

        async with endpoint.run(server):
            answer = await request(fooled, "POST", "/mcp", headers=JSON_HEADERS, chunks=[call("write")])
            allowed = await request(fooled, "POST", "/mcp", headers=JSON_HEADERS, chunks=[call("free")])
    assert b"insufficient scope" in answer.body
    assert b"written" not in answer.body
    assert b"free" in allowed.body


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
async def test_no_encoding_of_a_call_gets_past_its_scope(app: Starlette, issuer: FakeIssuer, encoding: str) -> None:
    answer = await post(app, issuer.token(), call("write").decode().encode(encoding))
    assert answer.status in (400, 403)
    assert b"written" not in answer.body


async def test_a_call_of_2026_that_takes_long_becomes_a_stream(
    app: Starlette, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK decides after fifteen seconds; here sooner than the tool is done."""
    headers, body = modern("rest")
    assert (await post(app, issuer.token(), body, headers)).headers["content-type"] == "application/json"
    monkeypatch.setattr("mcp.server._streamable_http_modern._SSE_PING_INTERVAL", 0.01)
    answer = await post(app, issuer.token(), body, headers)
    assert answer.headers["content-type"] == "text/event-stream"
    assert b"rested" in answer.body


async def test_headers_that_disagree_with_the_body_do_not_decide(app: Starlette, issuer: FakeIssuer) -> None:
    headers, _ = modern("free")
    _, body = modern("write")
    assert (await post(app, issuer.token(), body, headers)).status == 403


async def test_simple_mode_asks_for_openid_and_needs_no_scope(issuer: FakeIssuer) -> None:
    async with started(issuer, scope_mode="simple") as app:
        assert (await request(app, "POST", "/mcp")).challenge["scope"] == "openid"
        assert (await post(app, issuer.token(scope="openid"), call("administer"))).status == 200


async def test_required_scopes_hold_in_simple_mode_too(issuer: FakeIssuer) -> None:
    async with started(issuer, scope_mode="simple", required_scopes="house:notes") as app:
        assert (await request(app, "POST", "/mcp")).challenge["scope"] == "house:notes"
        assert (await post(app, issuer.token(scope="openid"), call("free"))).status == 403
        assert (await post(app, issuer.token(scope="house:notes"), call("administer"))).status == 200


# Behind the gate.


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_with_a_token_other_methods_are_405(app: Starlette, issuer: FakeIssuer, method: str) -> None:
    answer = await request(app, method, "/mcp", headers=[bearer(issuer.token())])
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


BAD_BODIES = {
    "batch": b'[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]',
    "no json": b"{",
    "empty": b"",
    "number": b"1",
    "deep": b"[" * 8000,
    "huge number": b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"tools/list"}',
    "not utf-8": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("kind", BAD_BODIES)
async def test_a_body_that_is_no_request_is_400_with_a_token_and_401_without(
    app: Starlette, issuer: FakeIssuer, kind: str, era: str
) -> None:
    assert (await post(app, issuer.token(), BAD_BODIES[kind], ERAS[era])).status == 400
    answer = await request(app, "POST", "/mcp", headers=[*JSON_HEADERS, *ERAS[era]], chunks=[BAD_BODIES[kind]])
    assert answer.status == 401


async def test_a_static_token_comes_in_with_its_own_scopes(app: Starlette) -> None:
    assert (await post(app, STATIC_TOKEN, call("free"))).status == 200
    assert (await post(app, STATIC_TOKEN, call("write"))).status == 403
    assert (await post(app, STATIC_TOKEN + "x", call("free"))).status == 401


async def test_refusals_are_counted_and_logged_without_the_token(app: Starlette, issuer: FakeIssuer) -> None:
    token = issuer.token(aud=["project-live-someone-else"])
    with capture_logs() as lines:
        await post(app, token, call("free"))
    (line,) = [line for line in lines if line["event"] == "refused"]
    assert line["reason"] == "wrong_audience"
    assert line["issuer"] == DOMAIN
    assert CLIENT_ID in line["client_id"]
    assert line["status"] == 401
    assert not any(part in json.dumps(lines) for part in token.split("."))
    assert gate_of(app).refusals == {"wrong_audience": 1}


MISPLACED: dict[str, dict[str, Any]] = {
    "no scheme": {"headers": [("authorization", STATIC_TOKEN)]},
    "a colon": {"headers": [("authorization", f"Bearer:{STATIC_TOKEN}")]},
    "a tab": {"headers": [("authorization", f"Bearer\t{STATIC_TOKEN}")]},
    "in the query": {"query": f"access_token={STATIC_TOKEN}"},
    "in the path of another host": {"path": f"/{STATIC_TOKEN}", "host": "evil.example"},
}


@pytest.mark.parametrize("place", MISPLACED)
async def test_a_token_in_the_wrong_place_is_not_logged_either(app: Starlette, place: str) -> None:
    arguments: dict[str, Any] = {"path": "/mcp", **MISPLACED[place]}
    with capture_logs() as lines:
        answer = await request(app, "POST", arguments.pop("path"), **arguments)
    assert answer.status in (401, 421)
    assert lines
    assert not any(STATIC_TOKEN[:length] in json.dumps(lines) for length in (12, len(STATIC_TOKEN)))


async def test_a_client_that_leaves_while_it_sends_costs_nothing(app: Starlette, issuer: FakeIssuer) -> None:
    answer = await request(app, "POST", "/mcp", headers=[bearer(issuer.token())], chunks=[])
    assert answer.status == 0


# While the token is remembered, everything else may change.


async def test_a_remembered_token_ends_when_it_says(app: Starlette, issuer: FakeIssuer) -> None:
    token = issuer.token(exp=int(issuer.now()) + 10)
    assert (await post(app, token, call("free"))).status == 200
    issuer.now.forward(39)
    assert (await post(app, token, call("free"))).status == 200
    issuer.now.forward(1)
    assert (await post(app, token, call("free"))).challenge["error"] == "invalid_token"


async def test_a_static_token_ends_with_its_last_day(issuer: FakeIssuer) -> None:
    today = datetime.fromtimestamp(issuer.now(), UTC).date()
    entry = f"ci|{hashlib.sha256(STATIC_TOKEN.encode()).hexdigest()}|notes:read|{today}"
    async with started(issuer, bearer_tokens=entry) as app:
        assert (await post(app, STATIC_TOKEN, call("free"))).status == 200
        issuer.now.forward(24 * 3600)
        assert (await post(app, STATIC_TOKEN, call("free"))).status == 401


async def test_a_deleted_user_is_out_after_five_minutes(app: Starlette, issuer: FakeIssuer) -> None:
    token = issuer.token()
    assert (await post(app, token, call("free"))).status == 200
    issuer.users.clear()
    issuer.clock.forward(200)
    assert (await post(app, token, call("free"))).status == 200
    issuer.clock.forward(101)
    assert (await post(app, token, call("free"))).status == 403


async def test_a_user_who_lost_the_address_is_out_after_five_minutes(app: Starlette, issuer: FakeIssuer) -> None:
    token = issuer.token()
    assert (await post(app, token, call("free"))).status == 200
    issuer.users[USER_ID] = [{"email": "ada@example.com", "verified": False}]
    issuer.clock.forward(301)
    assert (await post(app, token, call("free"))).status == 403


async def test_stytch_being_down_puts_nobody_out_who_was_in(app: Starlette, issuer: FakeIssuer) -> None:
    assert (await post(app, issuer.token(), call("free"))).status == 200
    for path in ("/.well-known/jwks.json", f"/v1/users/{USER_ID}"):
        issuer.answers[path] = down
    issuer.clock.forward(23 * 3600)
    assert (await post(app, issuer.token(jti="new"), call("free"))).status == 200
    issuer.clock.forward(2 * 3600)
    assert (await post(app, issuer.token(jti="newer"), call("free"))).status == 503


async def test_a_changed_list_counts_for_tokens_given_before(issuer: FakeIssuer) -> None:
    """Lists are settings, so they change with a restart; tokens outlive it."""
    token = issuer.token()
    async with started(issuer) as app:
        assert (await post(app, token, call("free"))).status == 200
    issuer.client = type(issuer.client)(transport=httpx.MockTransport(issuer._answer))
    async with started(issuer, allowed_emails="grace@example.com") as app:
        assert (await post(app, token, call("free"))).status == 403


async def test_a_key_that_is_withdrawn_ends_its_tokens(app: Starlette, issuer: FakeIssuer) -> None:
    """Within the five minutes between two looks at the keys, and the minute that a token is remembered."""
    token = issuer.token()
    assert (await post(app, token, call("free"))).status == 200
    issuer.keys = {"jwk-live-new": rsa_key("new")}
    issuer.clock.forward(301)
    await post(app, issuer.token(key=rsa_key("new"), headers={"kid": "jwk-live-new"}), call("free"))
    assert (await post(app, token, call("free"))).status == 401


@pytest.mark.parametrize("path", ["/oauth", "/oauthx/y", "/mcp", "/x/oauth/"])
async def test_only_pages_judge_origins_by_themselves(app: Starlette, path: str) -> None:
    for origin in ("null", "https://evil.example"):
        assert (await request(app, "POST", path, headers=[("origin", origin)])).status == 403
    pages = await request(app, "POST", "/oauth/login/x", headers=[("origin", "https://evil.example")])
    assert (pages.status, "access-control-allow-origin" in pages.headers) == (403, False)
    assert b"This form is not from here" in pages.body


async def test_a_disconnected_application_is_out(issuer: FakeIssuer) -> None:
    issuer.answers[f"/v1/users/{USER_ID}/connected_apps"] = lambda _: httpx.Response(200, json={"connected_apps": []})
    async with started(issuer, stytch_revocation_seconds=60) as app:
        answer = await request(app, "POST", "/mcp", headers=[bearer(issuer.token())])
    assert (answer.status, answer.challenge["error"]) == (401, "invalid_token")


def test_without_stytch_nothing_is_asked_about_connections(issuer: FakeIssuer) -> None:
    create_app(
        settings(stytch_revocation_seconds=60, auth_issuers="oidc", oidc_issuer=DOMAIN, stytch_secret=None),
        probe.SERVER,
        client=issuer.client,
    )
