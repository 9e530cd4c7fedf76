"""The audit log: who did what, in one line of JSON each, and never a token, a code or an argument."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any, Literal

import pytest
import structlog
from mcp_types import CallToolResult, TextContent

from stytch_mcp import audit, logs
from stytch_mcp.protect.gate import PRINCIPAL
from stytch_mcp.protect.issuers import Principal
from tests.runtime.signin import ADA, CODE, GRACE, SIGNIN_SECRET, VERIFIER, World, world
from tests.runtime.test_signin_flow import fault

pytestmark = [
    pytest.mark.anyio,
    # Of the SDK's own calls, with aiohttp before 4.
    pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning"),
]

WHO = Principal("user-test-1", "connected-app-test-1", "https://i.example", frozenset())


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as started:
        yield started


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """What was written so far."""
    caplog.set_level(logging.INFO, "stytch_mcp.audit")

    def written() -> list[dict[str, Any]]:
        return [json.loads(record.message) for record in caplog.records if record.name == "stytch_mcp.audit"]

    return written


class Context:
    """What the SDK hands to middleware."""

    def __init__(self, method: str, params: Any, request_id: int | None = 1) -> None:
        self.method = method
        self.request_id = request_id
        self.params = params
        self.request: Any = type("Asked", (), {"scope": {PRINCIPAL: WHO}})()


async def call(params: Any, answer: Any, method: str = "tools/call") -> Any:
    async def call_next(_: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return await audit.tool_calls(Context(method, params), call_next)  # type: ignore[arg-type]


TEXT = [TextContent(type="text", text="secret result")]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (CallToolResult(content=[]), "ok"),
        (CallToolResult(content=TEXT, is_error=True), "error"),  # type: ignore[arg-type]
        ({"content": [], "isError": True}, "error"),
        ({"content": []}, "ok"),
        (None, "ok"),
    ],
)
async def test_a_tool_call_is_a_line(lines: Any, answer: Any, outcome: str) -> None:
    params = {"name": "add_note", "arguments": {"title": "a secret", "text": "another"}}
    assert await call(params, answer) is answer
    (line,) = lines()
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert re.fullmatch(r"[0-9a-f]{16}", line.pop("request_id"))
    assert line.pop("milliseconds") >= 0
    assert line == {
        "audit": "tool_call",
        "subject": "user-test-1",
        "issuer": "https://i.example",
        "client_id": "connected-app-test-1",
        "tool": "add_note",
        "arguments": ["title", "text"],
        "outcome": outcome,
    }


async def test_a_call_that_raises_is_a_line_too(lines: Any) -> None:
    for problem in (ValueError("secret"), KeyboardInterrupt()):
        with pytest.raises(type(problem)):
            await call({"name": "x", "arguments": []}, problem)
    assert [(line["outcome"], line["arguments"]) for line in lines()] == [("refused", []), ("cancelled", [])]


async def test_what_a_client_chooses_is_cut(lines: Any) -> None:
    await call({"name": "n" * 5000, "arguments": {f"{number}{'k' * 5000}": 1 for number in range(200)}}, None)
    await call(None, None)
    first, second = lines()
    assert len(first["tool"]) == audit.LONGEST
    assert len(first["arguments"]) == audit.MOST_NAMES
    assert max(map(len, first["arguments"])) == audit.LONGEST
    assert second["tool"] == "None"


async def test_other_requests_are_no_tool_calls(lines: Any) -> None:
    assert await call({}, {"tools": []}, method="tools/list") == {"tools": []}
    assert lines() == []


async def test_a_notification_calls_no_tool(lines: Any) -> None:
    async def call_next(_: Any) -> None:
        return None

    await audit.tool_calls(Context("tools/call", {"name": "x"}, request_id=None), call_next)  # type: ignore[arg-type]
    assert lines() == []


async def test_lines_of_a_tool_carry_the_same_request_id(lines: Any) -> None:
    seen: list[Any] = []

    async def call_next(_: Any) -> None:
        seen.append(structlog.contextvars.get_contextvars()["request_id"])

    await audit.tool_calls(Context("tools/call", {"name": "x"}), call_next)  # type: ignore[arg-type]
    assert seen == [lines()[0]["request_id"]]


def test_where_nobody_listens_nothing_is_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "stytch_mcp.audit")
    audit.record("consent", "id", unserializable=object())  # type: ignore[arg-type]
    assert not caplog.records


@pytest.fixture
def configured() -> Iterator[None]:
    """What `logs.configure` changes is as before afterwards."""
    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers, logging.getLogger().level = before
    logging.getLogger("stytch_mcp.audit").handlers.clear()
    logging.getLogger("stytch_mcp.audit").propagate = True


@pytest.mark.usefixtures("configured")
def test_it_is_json_whatever_the_other_logs_are(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text")
    audit.record("denial", "0123", subject="user-test-1")
    assert json.loads(capsys.readouterr().err)["audit"] == "denial"


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_a_stranger_sends_commands_no_terminal(
    capsys: pytest.CaptureFixture[str], log_format: Literal["text", "json"]
) -> None:
    """The client_id of a token that nobody signed stands in the line about its refusal."""
    logs.configure(log_format)
    structlog.get_logger("gate").info("refused", client_id="\x1b]0;title\x07\x9b2J", detail="über\tall \u202e")
    written = capsys.readouterr().err
    assert [letter for letter in written if not letter.isprintable() and letter != "\n"] == []
    assert "u001b" in written or "x1b" in written


async def test_a_persons_way_is_written_down_and_no_secret_is(
    here: World, lines: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {CODE, VERIFIER, SIGNIN_SECRET, here.project.config.secret, "the-state"}
    person = here.person()
    await person.connect()
    await person.submit(email=GRACE, kind="email-code")
    await person.connect()
    await person.submit(email=ADA, kind="email-code")
    await person.submit(action="verify", code="999999")
    await person.submit(action="verify", code=CODE)
    secrets |= {session.token for session in here.project.sessions.values()}
    secrets |= set(person.http.cookies.values())
    await person.submit(decision="deny")
    await person.connect()
    secrets.add(person.csrf)
    code = await person.allow()
    tokens = (await here.token(code)).json()
    secrets |= {code, tokens["access_token"]}
    await person.connect()
    secrets.add(person.code)
    await fault(here, "/v1/users/search", status=500)
    other = here.person()
    await other.connect()
    await other.submit(email=ADA, kind="email-link")
    await other.connect()
    await other.submit(email=ADA, kind="email-link")
    link = (await here.mailed(ADA))["magic_link"]
    secrets.add(link.partition("token=")[2])
    await other.get(f"/oauth/callback?stytch_token_type=magic_links&token={(made_up := 'made-up-token')}")
    secrets.add(made_up)
    await other.get(link.removeprefix("https://notes.example.com"))
    await person.get("/oauth/connections")
    csrf = person.csrf
    await person.submit(app=here.client_id)
    await person.submit("/oauth/logout", csrf=csrf)
    said = [(line["audit"], line.get("reason") or line.get("method") or line.get("decision")) for line in lines()]
    assert said == [
        ("refusal", "not_allowed"),
        ("refusal", "wrong_code"),
        ("log_in", "email-code"),
        ("denial", None),
        ("consent", "allow"),
        ("consent", "known"),
        ("refusal", "wrong_token"),
        ("log_in", "email-link"),
        ("consent", "known"),
        ("disconnect", None),
        ("log_out", None),
    ]
    assert lines()[0]["address"] == "g***@example.org"
    assert lines()[4]["scopes"] == ["notes:read"]
    everything = "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "h"))
    )
    everything += str(capsys.readouterr())
    assert "consent" in everything
    assert [secret for secret in secrets if secret and secret in everything] == []
