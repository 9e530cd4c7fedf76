"""The API behind the tools does wrong: the owner's client of it ends each call in time, with words."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any

import anyio
import anyio.abc
import pytest
import stamina
from mcp.server.mcpserver.exceptions import ToolError

from tests.faults.conftest import Figure
from tests.faults.sockets import HANGING_SECONDS
from tests.servers import package

pytestmark = pytest.mark.anyio

upstream = import_module(f"{package()}.upstream")

NOTE = json.dumps({"id": "1", "title": "Bread", "text": "Olives"}).encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CALLS = 20

Does = Callable[[anyio.abc.SocketStream], Awaitable[None]]


def says(answer: bytes) -> Does:
    """Reads the request, answers with this and closes."""

    async def do(stream: anyio.abc.SocketStream) -> None:
        await stream.receive()
        await stream.send(answer)

    return do


async def silent(stream: anyio.abc.SocketStream) -> None:
    await stream.receive()
    await anyio.sleep_forever()


async def trickling(stream: anyio.abc.SocketStream) -> None:
    """A byte of an endless body again and again, each well in time."""
    await stream.receive()
    await stream.send(OK + b"Content-Length: 100000000\r\n\r\n")
    while True:
        await stream.send(b" ")
        with anyio.move_on_after(0.02):
            await stream.receive()


async def endless(stream: anyio.abc.SocketStream) -> None:
    await stream.receive()
    await stream.send(OK + b"\r\n")
    while True:
        await stream.send(b" " * 65_536)


def status(line: str) -> Does:
    return says(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\nRetry-After: 60\r\n\r\n".encode())


# What it does, the words that say so, how often it is asked to read and to add.
FAULTS: dict[str, tuple[Does, str, int, int]] = {
    "silent": (silent, "TimeoutError", 3, 1),
    "trickling": (trickling, "TimeoutError", 3, 1),
    "endless": (endless, "more than this server reads", 1, 1),
    "busy": (status("429 Too Many Requests"), "answered 429", 3, 1),
    "broken": (status("503 Service Unavailable"), "answered 503", 3, 1),
    "closing": (says(b""), "RemoteProtocolError", 3, 1),
    "half a head": (says(OK), "RemoteProtocolError", 3, 1),
    "half a body": (says(OK + b"Content-Length: 1000\r\n\r\n" + NOTE), "RemoteProtocolError", 3, 1),
    "half a chunk": (says(OK + b"Transfer-Encoding: chunked\r\n\r\n100\r\n" + NOTE), "RemoteProtocolError", 3, 1),
    "half JSON": (says(OK + b"\r\n" + NOTE[:-9]), "does not understand", 1, 1),
    "no HTTP": (says(b"SSH-2.0-x\r\n\r\n"), "RemoteProtocolError", 3, 1),
    "elsewhere": (status("302 Found"), "did not accept", 1, 1),
}


@asynccontextmanager
async def api(does: list[Does], asked: list[None]) -> AsyncIterator[str]:
    """Gives its URL. Each connection meets the last of `does`."""

    async def meet(stream: anyio.abc.SocketStream) -> None:
        asked.append(None)
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                await does[-1](stream)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, meet)
        yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


def client_of(url: str) -> Any:
    settings = {
        "public_url": "http://127.0.0.1:8000",
        "stytch_domain": "http://127.0.0.1:9",
        "stytch_project_id": "project-test-00000000-0000-4000-8000-000000000000",
        "upstream_url": url,
        "upstream_token": "of-the-tests",
    }
    return upstream.Upstream(upstream.UpstreamSettings(_env_file=None, **settings))


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Retries do not wait; what is silent is given up soon."""
    monkeypatch.setattr(upstream, "TIMEOUT_SECONDS", 0.2)
    with stamina.set_testing(True, attempts=upstream.ATTEMPTS):
        yield


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_call_ends_with_words_and_the_next_one_works(fault: str, figure: Figure) -> None:
    does, words, reads, adds = FAULTS[fault]
    asked: list[None] = []
    doing = [does]
    with anyio.fail_after(HANGING_SECONDS):
        async with api(doing, asked) as url, client_of(url) as client:
            with pytest.raises(ToolError, match=words) as caught:
                await client.get("1")
            read = len(asked)
            with pytest.raises(ToolError, match=words) as refused:
                await client.add("Bread", "Olives")
            added = len(asked) - read
            doing.append(says(OK + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(NOTE) + NOTE))
            assert (await client.get("1")).title == "Bread"
            assert not client._http._transport._pool.connections
    figure(f"upstream {fault}", f"reading asked {read} times, adding {added}: {caught.value}")
    assert added == adds
    assert read == reads
    # Whoever reads that a note was not added must not add it twice.
    if "Try again" in str(caught.value):
        assert "unknown" in str(refused.value)


async def test_an_api_that_is_down_is_told_and_nothing_is_left(figure: Figure) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with client_of(f"http://127.0.0.1:{taken.getsockname()[1]}") as client:
            for _ in range(CALLS):
                with pytest.raises(ToolError, match="out of reach"):
                    await client.get("1")
            assert not client._http._transport._pool.connections
    figure("upstream down", f"{CALLS} calls, each told, no connection left")
