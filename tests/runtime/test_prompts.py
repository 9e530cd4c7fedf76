"""A server with prompts: what a client asks wrongly is its own mistake, and no failure of the server."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette

from stytch_mcp.app import ServerDefinition, create_app
from stytch_mcp.settings import Settings
from tests import probe
from tests.asgi import Answer, request
from tests.fake_issuer import DOMAIN, PROJECT_ID, SECRET, FakeIssuer

pytestmark = pytest.mark.anyio

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


@asynccontextmanager
async def build(_: Settings) -> AsyncIterator[MCPServer]:
    server = MCPServer("prompting", version="1")

    @server.prompt()
    def greet(name: str) -> str:
        """Says hello."""
        return f"hello {name}"

    yield server


SERVER = ServerDefinition("prompting", "Prompting", (probe.READ,), Settings, build)


@pytest.fixture
async def app(issuer: FakeIssuer) -> AsyncIterator[Starlette]:
    given: dict[str, Any] = {
        "public_url": "https://notes.example.com",
        "stytch_domain": DOMAIN,
        "stytch_project_id": PROJECT_ID,
        "stytch_secret": SECRET,
        "allowed_users": "*",
    }
    app = create_app(Settings(**given), SERVER, client=issuer.client, now=issuer.now, clock=issuer.clock)
    async with app.router.lifespan_context(app):
        yield app


async def post(app: Starlette, issuer: FakeIssuer, revision: str, **message: Any) -> Answer:
    """The answer to a message about prompts."""
    asked = {"jsonrpc": "2.0", "method": "prompts/get", **message}
    headers = [
        ("authorization", f"Bearer {issuer.token()}"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", revision),
        ("mcp-method", "prompts/get"),
        ("mcp-name", message["params"]["name"]),
    ]
    return await request(app, "POST", "/mcp", headers=headers, chunks=[json.dumps(asked).encode()])


async def get(app: Starlette, issuer: FakeIssuer, revision: str, **params: Any) -> dict[str, Any]:
    """What `prompts/get` gives."""
    answer = await post(app, issuer, revision, id=1, params={**params, "_meta": META})
    found: dict[str, Any] = json.loads(answer.body[answer.body.index(b"{") :])
    return found


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
@pytest.mark.parametrize(
    "params",
    [
        {"name": "nothing"},
        {"name": "greet"},
        {"name": "greet", "arguments": {"other": "a"}},
        {"name": "greet", "arguments": 7},
    ],
    ids=str,
)
async def test_a_prompt_that_is_asked_for_wrongly_leaves_no_traceback(
    app: Starlette, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture, revision: str, params: dict[str, Any]
) -> None:
    answer = await get(app, issuer, revision, **params)
    assert answer["error"]["code"] == -32602
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_a_prompt_that_is_there_is_given(app: Starlette, issuer: FakeIssuer, revision: str) -> None:
    answer = await get(app, issuer, revision, name="greet", arguments={"name": "Ada"})
    assert answer["result"]["messages"][0]["content"]["text"] == "hello Ada"


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_a_notification_that_names_no_prompt_leaves_no_traceback(
    app: Starlette, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture, revision: str
) -> None:
    answer = await post(app, issuer, revision, params={"name": "nothing"})
    assert answer.status == 202
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
