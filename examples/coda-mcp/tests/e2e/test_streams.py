"""Progress, cancellation and shutdown, as the client sees them, on both eras."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import anyio.abc
import httpx
import httpx2
import pytest
from mcp.client.client import Client

from tests.sdk_client import Mode, connect
from tests.servers import STATIC_TOKEN, probe_server

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

MODES: list[Mode] = ["auto", "legacy"]
LOOK_SECONDS = 1.5


@pytest.fixture(scope="module")
def probe() -> Any:
    with probe_server() as (mcp_url, _):
        yield mcp_url


@asynccontextmanager
async def client(mcp_url: str, mode: Mode) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {STATIC_TOKEN}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http, connect(mcp_url, http, mode) as connected:
        yield connected


class Line:
    """The test's end of the line that the tool `hold` opens."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[anyio.abc.SocketStream](10)
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Line]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, self._send, self._receive, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._keep)
            yield self
            tasks.cancel_scope.cancel()

    async def _keep(self, stream: anyio.abc.SocketStream) -> None:
        async with stream:
            assert await stream.receive() == b"here"
            await self._send.send(stream)
            await anyio.sleep_forever()

    async def opened(self) -> anyio.abc.SocketStream:
        return await self._receive.receive()


@pytest.mark.parametrize("mode", MODES)
async def test_progress_arrives_step_by_step(probe: str, mode: Mode) -> None:
    seen: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with client(probe, mode) as connected:
        answer = await connected.call_tool("count", {"to": 5}, progress_callback=note)
    assert not answer.is_error
    assert seen == [(step, 5, f"step {step}") for step in range(1, 6)]


@pytest.mark.parametrize("mode", MODES)
async def test_progress_arrives_while_the_call_runs(probe: str, mode: Mode) -> None:
    async with Line().listening() as line, client(probe, mode) as connected, anyio.create_task_group() as tasks:
        arrived = anyio.Event()

        async def note(progress: float, total: float | None, message: str | None) -> None:
            arrived.set()

        async def call() -> None:
            answer = await connected.call_tool("hold", {"port": line.port}, progress_callback=note)
            assert "finished" in str(answer.content)

        tasks.start_soon(call)
        stream = await line.opened()
        await arrived.wait()
        await stream.send(b"end")


async def ignore(progress: float, total: float | None, message: str | None) -> None:
    return


async def test_a_call_that_is_given_up_ends_in_the_tool_too(probe: str) -> None:
    """2026-07-28: the client closes the stream of the call, and goes on with others."""
    async with Line().listening() as line, client(probe, "auto") as connected:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(connected.call_tool, "hold", {"port": line.port}, progress_callback=ignore))
            stream = await line.opened()
            tasks.cancel_scope.cancel()
        assert await stream.receive() == b"cancelled"
        assert not (await connected.call_tool("free")).is_error


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_leaves_cancels_the_tool(probe: str, mode: Mode) -> None:
    """On older revisions this is the only way: without sessions `notifications/cancelled` finds nothing to cancel."""

    async def call() -> None:
        async with client(probe, mode) as connected:
            await connected.call_tool("hold", {"port": line.port}, progress_callback=ignore)

    async with Line().listening() as line:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            stream = await line.opened()
            tasks.cancel_scope.cancel()
        assert await stream.receive() == b"cancelled"


@pytest.mark.parametrize("mode", MODES)
async def test_a_stream_that_is_cut_cancels_the_tool(probe: str, mode: Mode) -> None:
    """Without the client's good manners: the connection just ends."""
    async with Line().listening() as line, httpx.AsyncClient() as http:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post, http, probe, mode, line.port, "token-1")
            stream = await line.opened()
            tasks.cancel_scope.cancel()
        assert await stream.receive() == b"cancelled"


@pytest.mark.parametrize("mode", MODES)
async def test_quick_calls_answer_json_and_calls_with_progress_a_stream(probe: str, mode: Mode) -> None:
    async with httpx.AsyncClient() as http:
        plain = await post(http, probe, mode, 0, None, tool="free")
        asked = await post(http, probe, mode, 0, "token-2", tool="count", arguments={"to": 2})
    assert plain.headers["content-type"] == "application/json"
    assert asked.headers["content-type"].startswith("text/event-stream")
    assert asked.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_accepts_no_stream_gets_json(probe: str, mode: Mode) -> None:
    async with httpx.AsyncClient() as http:
        answer = await post(http, probe, mode, 0, "t", tool="count", arguments={"to": 2}, accept="application/json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"


async def test_a_tool_never_sees_the_token(probe: str) -> None:
    async with client(probe, "auto") as connected:
        answer = await connected.call_tool("token_seen")
    assert answer.structured_content == {"token": "", "header": None, "subject": "token:tests"}


async def test_a_crash_tells_the_client_nothing() -> None:
    with probe_server(crashes=True) as (mcp_url, _):
        async with client(mcp_url, "auto") as connected:
            answer = await connected.call_tool("crash")
        assert answer.is_error
        assert "secret-in-the-traceback" not in str(answer)


async def test_static_tokens_do_not_see_tools_they_can_never_use(probe: str) -> None:
    async with client(probe, "auto") as connected:
        names = {tool.name for tool in (await connected.list_tools()).tools}
    assert "free" in names
    assert not names & {"write", "administer"}


@pytest.mark.parametrize("token", [None, "token-3"], ids=["json", "stream"])
@pytest.mark.parametrize("mode", MODES)
async def test_a_shutdown_lets_calls_finish_and_ends_idle_streams(mode: Mode, token: str | None) -> None:
    with probe_server() as (mcp_url, child):
        async with Line().listening() as line, httpx.AsyncClient(timeout=60) as http:
            answers: list[httpx.Response] = []
            idle_ended = anyio.Event()

            async def call() -> None:
                answers.append(await post(http, mcp_url, mode, line.port, token))

            async def idle(*, task_status: anyio.abc.TaskStatus[None]) -> None:
                async with http.stream("POST", mcp_url, **listen()) as stream:
                    task_status.started()
                    try:
                        async for _ in stream.aiter_bytes():
                            pass
                    except httpx.RemoteProtocolError:
                        pass
                idle_ended.set()

            async with anyio.create_task_group() as tasks:
                await tasks.start(idle)
                tasks.start_soon(call)
                stream = await line.opened()
                child.send_signal(signal.SIGTERM)
                await idle_ended.wait()
                assert child.poll() is None
                # Nobody may cut the call meanwhile: that it goes on can only be seen by looking for a while.
                with anyio.move_on_after(LOOK_SECONDS):
                    raise AssertionError(await stream.receive())
                await stream.send(b"end")
            assert "finished" in answers[0].text
            assert "isError" not in answers[0].text or '"isError":false' in answers[0].text
        await end(child)
        assert child.returncode in (0, -signal.SIGTERM)


async def end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    await anyio.to_thread.run_sync(child.wait)


def modern(method: str, params: dict[str, Any], name: str | None = None) -> tuple[dict[str, str], dict[str, Any]]:
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
    if name is not None:
        headers["Mcp-Name"] = name
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        **params.pop("_meta", {}),
    }
    return headers, {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": meta}}


def listen() -> dict[str, Any]:
    headers, body = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    return {"headers": {**HEADERS, **headers}, "json": body}


HEADERS = {"Authorization": f"Bearer {STATIC_TOKEN}", "Accept": "application/json, text/event-stream"}


async def post(
    http: httpx.AsyncClient,
    mcp_url: str,
    mode: Mode,
    port: int,
    token: str | None,
    *,
    tool: str = "hold",
    arguments: dict[str, Any] | None = None,
    accept: str = HEADERS["Accept"],
) -> httpx.Response:
    params: dict[str, Any] = {"name": tool, "arguments": arguments or ({"port": port} if tool == "hold" else {})}
    if token is not None:
        params["_meta"] = {"progressToken": token}
    headers: dict[str, str] = {}
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    if mode == "auto":
        headers, body = modern("tools/call", params, tool)
    return await http.post(mcp_url, headers={**HEADERS, **headers, "Accept": accept}, json=body)
