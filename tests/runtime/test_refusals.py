"""What a refusal tells the log, word by word, and the edges of what the gate and the verifier read."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.types import Message
from structlog.testing import capture_logs

from stytch_mcp.protect import reasons
from stytch_mcp.protect.gate import Disconnected, read_body, replay
from stytch_mcp.protect.reasons import Reason, Refused
from tests.asgi import request
from tests.fake_issuer import CLIENT_ID, DOMAIN, Clock, FakeIssuer, rsa_key, sign
from tests.test_gate import JSON_HEADERS, bearer, call, gate_of, started

pytestmark = pytest.mark.anyio

NOW = int(Clock()())
FOREIGN = "https://evil.example"


@pytest.fixture
async def app(issuer: FakeIssuer) -> AsyncIterator[Starlette]:
    async with started(issuer) as server:
        yield server


async def refusal(app: Starlette, *headers: tuple[str, str], **asked: Any) -> dict[str, Any]:
    """The line of the log about a request, which is refused."""
    with capture_logs() as lines:
        answer = await request(app, "POST", "/mcp", headers=[*JSON_HEADERS, *headers], **asked)
    assert answer.status >= 400
    (line,) = lines
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["event"], line["log_level"], line["status"]) == ("refused", "info", answer.status)
    assert answer.json["error_description"]
    assert answer.headers["cache-control"] == "no-store"
    return dict(line)


# The gate.

AT_THE_GATE: dict[str, tuple[Reason, dict[str, Any], str]] = {
    "another host": (reasons.WRONG_HOST, {"host": "evil.example"}, "Host is 'evil.example'"),
    "a host twice": (
        reasons.WRONG_HOST,
        {"headers": [("host", "b.example")], "host": "a.example"},
        "Host is 'a.example, b.example'",
    ),
    "a long host": (reasons.WRONG_HOST, {"host": "h" * 200}, f"Host is '{'h' * 100}'"),
    "another origin": (reasons.WRONG_ORIGIN, {"headers": [("origin", FOREIGN)]}, f"Origin is '{FOREIGN}'"),
    "an origin twice": (
        reasons.WRONG_ORIGIN,
        {"headers": [("origin", "https://a.example"), ("origin", "https://b.example")]},
        "Origin is 'https://a.example, https://b.example'",
    ),
    "a long origin": (reasons.WRONG_ORIGIN, {"headers": [("origin", "o" * 200)]}, f"Origin is '{'o' * 100}'"),
    "a token twice": (
        reasons.REPEATED_HEADER,
        {"headers": [bearer("a"), bearer("b")]},
        "2 Authorization headers",
    ),
    "another scheme": (
        reasons.NO_TOKEN,
        {"headers": [("authorization", "Basic YTpi")]},
        "the scheme is not Bearer",
    ),
}


@pytest.mark.parametrize(("reason", "asked", "detail"), AT_THE_GATE.values(), ids=AT_THE_GATE)
async def test_what_the_gate_writes_down(app: Starlette, reason: Reason, asked: dict[str, Any], detail: str) -> None:
    asked = dict(asked)
    line = await refusal(app, *asked.pop("headers", []), **asked)
    assert (line["reason"], line["detail"]) == (reason.code, detail)
    assert (line["issuer"], line["client_id"]) == (None, None)


async def test_a_missing_scope_is_written_down_with_who_lacks_it(app: Starlette, issuer: FakeIssuer) -> None:
    line = await refusal(app, bearer(issuer.token(scope="openid")), chunks=[call("administer")])
    assert line["detail"] == ("needs 'notes:read notes:write notes:admin', lacks 'notes:read notes:write notes:admin'")
    assert (line["issuer"], line["client_id"]) == (DOMAIN, CLIENT_ID)


@pytest.mark.parametrize(
    ("method", "path", "shown"), [("GET", "/mcp", "/mcp"), ("PUT", "/mcp/", "/mcp"), ("POST", "/oauth/a", "(other)")]
)
async def test_the_way_in_is_written_down_and_no_other_path(app: Starlette, method: str, path: str, shown: str) -> None:
    with capture_logs() as lines:
        await request(app, method, path, host="evil.example")
    assert [(line["method"], line["path"]) for line in lines] == [(method, shown)]


async def test_refusals_are_counted_by_their_reason(app: Starlette) -> None:
    for token in ("a", "b"):
        await refusal(app, bearer(token))
    await refusal(app, bearer("c"), host="evil.example")
    assert gate_of(app).refusals == {"malformed": 2, "wrong_host": 1}


# The edges of the gate.


@pytest.mark.parametrize("scope", [{"type": "lifespan"}, {"type": "http", "path": "/health"}], ids=str)
async def test_what_the_gate_does_not_judge_goes_on_as_it_came(app: Starlette, scope: dict[str, Any]) -> None:
    seen: list[tuple[Any, ...]] = []

    async def inner(*given: Any) -> None:
        seen.append(given)

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        return

    await request(app, "GET", "/health")  # Starlette makes its middleware with the first request
    await dataclasses.replace(gate_of(app), app=inner)(scope, receive, send)
    assert seen == [(scope, receive, send)]


@pytest.mark.parametrize("path", ["/mcpX", "/mcpX/", "/Xmcp", "/mcp/x", "/MCP"])
async def test_what_only_looks_like_the_endpoint_is_none(app: Starlette, path: str) -> None:
    assert (await request(app, "POST", path)).status == 404


async def test_what_one_origin_may_read_is_not_kept_for_another(app: Starlette) -> None:
    answer = await request(app, "POST", "/mcp", headers=[("origin", "https://inspector.example.org")])
    assert answer.headers["access-control-allow-origin"] == "https://inspector.example.org"
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("query", "status"), [("a=b", 405), ("access_tokens=a", 405), ("access_token", 401), ("a&access_token=", 401)]
)
async def test_of_a_query_only_a_token_is_refused(app: Starlette, issuer: FakeIssuer, query: str, status: int) -> None:
    answer = await request(app, "GET", "/mcp", headers=[bearer(issuer.token())], query=query)
    assert answer.status == status


# The body.


def body_of(*messages: Message) -> Any:
    """A `receive` that gives these."""
    left = list(messages)

    async def receive() -> Message:
        return left.pop(0)

    return receive


def scope(*lengths: str) -> dict[str, Any]:
    return {"headers": [(b"content-length", length.encode("latin-1")) for length in lengths]}


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize("announced", [(), ("3",), ("10",), ("-1",), ("\N{SUPERSCRIPT TWO}",), ("many",), ("",)])
async def test_a_body_within_the_limit_is_read(announced: tuple[str, ...]) -> None:
    assert await read_body(scope(*announced), body_of(part(b"a", more=True), part(b"bc")), 10) == b"abc"


async def test_a_body_of_just_the_limit_is_read() -> None:
    assert await read_body(scope("10"), body_of(part(b"a" * 5, more=True), part(b"a" * 5)), 10) == b"a" * 10


async def test_a_part_without_a_body_is_no_end_and_no_content() -> None:
    given = body_of({"type": "http.request", "more_body": True}, {"type": "http.request"})
    assert await read_body(scope(), given, 10) == b""


async def test_a_client_that_goes_away_has_no_body() -> None:
    with pytest.raises(Disconnected):
        await read_body(scope(), body_of(part(b"a", more=True), {"type": "http.disconnect"}), 10)


@pytest.mark.parametrize(
    ("lengths", "parts", "detail"),
    [
        (("11",), (), "content-length 11"),
        (("10", "11"), (), "content-length 11"),
        (("9" * 30,), (), f"content-length {'9' * 20}"),
        (("3",), (part(b"a" * 11),), "more than 10 bytes"),
        ((), (part(b"a" * 6, more=True), part(b"a" * 5, more=True)), "more than 10 bytes"),
    ],
)
async def test_a_body_over_the_limit_is_refused_as_soon_as_it_is_known(
    lengths: tuple[str, ...], parts: tuple[Message, ...], detail: str
) -> None:
    with pytest.raises(Refused) as caught:
        await read_body(scope(*lengths), body_of(*parts), 10)
    assert (caught.value.reason, caught.value.detail) == (reasons.BODY_TOO_LARGE, detail)


async def test_only_the_first_twenty_digits_of_a_length_count() -> None:
    """More could not be a length, and reading any number of digits would take its time."""
    with pytest.raises(Refused):
        await read_body(scope("1" * 5000), body_of(), 10**19)
    assert await read_body(scope("1" * 5000), body_of(part(b"a")), 10**20) == b"a"


async def test_a_body_that_was_read_is_given_once_more() -> None:
    receive = replay(b"body", body_of({"type": "http.disconnect"}))
    assert await receive() == {"type": "http.request", "body": b"body", "more_body": False}
    assert await receive() == {"type": "http.disconnect"}


# The verifier.

HEADER = {"alg": "RS256", "typ": "at+jwt"}


def signed(issuer: FakeIssuer, **header: Any) -> str:
    return sign({**HEADER, "kid": next(iter(issuer.keys)), **header}, json.dumps(issuer.claims()))


AT_THE_VERIFIER: dict[str, tuple[Reason, Any, str]] = {
    "too long": (reasons.TOO_LONG, lambda issuer: "a" * 8193, "8193 bytes"),
    "no JWS": (reasons.MALFORMED, lambda issuer: "a.b", "not three base64url parts"),
    "no JSON": (reasons.MALFORMED, lambda issuer: "AAAA.AAAA.AAAA", "DecodeError"),
    "another algorithm": (reasons.WRONG_ALGORITHM, lambda issuer: signed(issuer, alg="RS512"), "alg is 'RS512'"),
    "crit": (
        reasons.CRITICAL_HEADER,
        lambda issuer: signed(issuer, crit=["b64"], b64=True),
        "crit is ['b64']",
    ),
    "another type": (reasons.WRONG_TYPE, lambda issuer: signed(issuer, typ="JWE"), "typ is 'JWE'"),
    "a type that is no text": (reasons.WRONG_TYPE, lambda issuer: signed(issuer, typ=7), "typ is 7"),
    "another issuer": (reasons.UNKNOWN_ISSUER, lambda issuer: issuer.token(iss=FOREIGN), f"iss is '{FOREIGN}'"),
    "a long issuer": (reasons.UNKNOWN_ISSUER, lambda issuer: issuer.token(iss="i" * 500), f"iss is '{'i' * 119}"),
    "no key ID": (reasons.NO_KEY_ID, lambda issuer: signed(issuer, kid=""), ""),
    "no exp": (reasons.MISSING_CLAIM, lambda issuer: issuer.token(exp=None), "exp is missing"),
    "another audience": (reasons.WRONG_AUDIENCE, lambda issuer: issuer.token(aud=["a"]), "aud is ['a']"),
    "a subject that is no text": (reasons.WRONG_CLAIM, lambda issuer: issuer.token(sub=7), "InvalidSubjectError"),
    "a time that is none": (
        reasons.WRONG_CLAIM,
        lambda issuer: issuer.token(iat="now"),
        "iat is not a number of seconds",
    ),
    "no text for scope": (
        reasons.WRONG_TOKEN_KIND,
        lambda issuer: issuer.token(scope=7),
        "no scope: a session, M2M or ID token",
    ),
    "expired": (reasons.EXPIRED, lambda issuer: issuer.token(exp=NOW - 60), "exp was 60 s ago"),
    "nbf ahead": (reasons.NOT_YET_VALID, lambda issuer: issuer.token(nbf=NOW + 60), "nbf is 60 s ahead"),
    "iat ahead": (reasons.NOT_YET_VALID, lambda issuer: issuer.token(iat=NOW + 60), "iat is 60 s ahead"),
    "another key": (reasons.WRONG_SIGNATURE, lambda issuer: issuer.token(key=rsa_key("other")), ""),
}


@pytest.mark.parametrize(("reason", "make", "detail"), AT_THE_VERIFIER.values(), ids=AT_THE_VERIFIER)
async def test_what_the_verifier_writes_down(
    app: Starlette, issuer: FakeIssuer, reason: Reason, make: Any, detail: str
) -> None:
    line = await refusal(app, bearer(make(issuer)))
    assert (line["reason"], line["detail"]) == (reason.code, detail)
    known = reason not in (reasons.TOO_LONG, reasons.MALFORMED, reasons.UNKNOWN_ISSUER)
    assert (line["issuer"], line["client_id"]) == ((DOMAIN, CLIENT_ID) if known else (None, None))


@pytest.mark.parametrize(
    ("header", "reason", "word"),
    [({"crit": ["exp"], "exp": 1}, reasons.CRITICAL_HEADER, "exp"), ({"kid": 7}, reasons.NO_KEY_ID, "string")],
)
async def test_what_the_library_refuses_is_written_down_in_its_words(
    app: Starlette, issuer: FakeIssuer, header: dict[str, Any], reason: Reason, word: str
) -> None:
    line = await refusal(app, bearer(signed(issuer, **header)))
    assert line["reason"] == reason.code
    assert word in line["detail"]
