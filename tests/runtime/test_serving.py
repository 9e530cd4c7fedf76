"""The process around the application."""

from __future__ import annotations

import gc
import json
import signal
import socket
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from stytch_mcp import serving
from stytch_mcp.app import create_app
from stytch_mcp.protect.verifier import LEEWAY_SECONDS
from stytch_mcp.settings import Settings
from tests import probe
from tests.asgi import request
from tests.fake_issuer import DOMAIN, PROJECT_ID, FakeIssuer
from tests.servers import STATIC_TOKEN, free_port, probe_server

pytestmark = pytest.mark.anyio


async def test_what_has_come_to_stay_is_not_walked_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector's longest pauses were walks through modules, tools and schemas that never go."""

    async def started(_: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        assert gc.get_freeze_count() == 0, "not before all is there"

    monkeypatch.setattr(uvicorn.Server, "startup", started)
    server = serving.Server(uvicorn.Config("nowhere:app", log_config=None))
    try:
        await server.startup()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()


async def test_a_stream_of_events_ends_with_its_token(issuer: FakeIssuer) -> None:
    """Or whoever was disconnected would go on listening for as long as they like."""
    values: dict[str, Any] = {"public_url": "https://notes.example.com", "allowed_users": "*"}
    settings = Settings(**values, stytch_domain=DOMAIN, stytch_project_id=PROJECT_ID)
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    params = {"notifications": {"toolsListChanged": True}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": params}
    # Just before its end, leeway included.
    issuer.now.seconds += 0.9999
    token = issuer.token(exp=int(issuer.now()) + 1 - LEEWAY_SECONDS)
    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "subscriptions/listen",
    }
    app = create_app(settings, probe.SERVER, client=issuer.client, now=issuer.now, clock=issuer.clock)
    async with app.router.lifespan_context(app):
        answer = await request(app, "POST", "/mcp", headers=list(headers.items()), chunks=[json.dumps(body).encode()])
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert b"subscriptions/acknowledged" in answer.body


def test_a_server_whose_parts_do_not_start_ends_with_3() -> None:
    def broken(_: Starlette) -> AbstractAsyncContextManager[None]:
        raise RuntimeError("the upstream cannot be opened")

    values: dict[str, Any] = {"public_url": "http://127.0.0.1:8000", "allowed_users": "*", "port": free_port()}
    settings = Settings(**values, stytch_domain=DOMAIN, stytch_project_id=PROJECT_ID)
    try:
        with pytest.raises(SystemExit) as ended:
            serving.run(Starlette(lifespan=broken), settings)
    finally:
        gc.unfreeze()
    assert ended.value.code == 3


@pytest.mark.e2e
async def test_who_is_told_to_end_serves_on_while_proxies_learn() -> None:
    """A proxy that still sends a request gets its answer, and does not keep the connection for another one."""
    with probe_server(DRAIN_SECONDS="60") as (mcp_url, child):
        ready = mcp_url.replace("/mcp", "/ready")
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {STATIC_TOKEN}"}) as http:
            kept = await http.get(mcp_url)
            assert "connection" not in kept.headers
            child.send_signal(signal.SIGTERM)
            while "connection" not in (answer := await http.get(ready)).headers:
                assert child.poll() is None
            assert (answer.status_code, answer.json()) == (503, {"ready": False})
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "free", "arguments": {}}}
            accept = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
            for _ in range(3):
                answer = await http.post(mcp_url, json=body, headers=accept)
                assert (answer.status_code, answer.headers["connection"]) == (200, "close")
                assert answer.headers["date"]
        child.send_signal(signal.SIGINT)
        await anyio.to_thread.run_sync(child.wait)
        assert child.returncode in (0, -signal.SIGINT, -signal.SIGTERM)


@pytest.mark.e2e
async def test_without_it_the_end_comes_at_once() -> None:
    with probe_server() as (_, child):
        child.send_signal(signal.SIGTERM)
        await anyio.to_thread.run_sync(child.wait)
