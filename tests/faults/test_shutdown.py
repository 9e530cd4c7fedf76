"""SIGTERM while calls are under way and more come in."""

from __future__ import annotations

import signal
import socket
from collections import Counter
from contextlib import suppress

import anyio
import httpx
import pytest

from tests.e2e.test_streams import Line, post
from tests.faults.conftest import Figure
from tests.faults.sockets import HANGING_SECONDS, served, until

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

UNDER_WAY = 50
CLIENTS = 16
CALLS_BEFORE = 400


def listens(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


async def test_every_call_under_way_is_answered(figure: Figure) -> None:
    """Half of them as JSON, half as a stream; they end after the server has stopped to listen."""
    answers: list[httpx.Response] = []
    with served() as server:
        limits = httpx.Limits(max_connections=UNDER_WAY)
        async with (
            Line().listening() as line,
            httpx.AsyncClient(timeout=HANGING_SECONDS, limits=limits, trust_env=False) as http,
        ):

            async def call(number: int) -> None:
                token = f"token-{number}" if number % 2 else None
                answers.append(await post(http, server.mcp_url, "auto", line.port, token))

            async with anyio.create_task_group() as tasks:
                for number in range(UNDER_WAY):
                    tasks.start_soon(call, number)
                tools = [await line.opened() for _ in range(UNDER_WAY)]
                server.child.send_signal(signal.SIGTERM)
                await anyio.to_thread.run_sync(until, lambda: not listens(server.port), "it goes on to listen")
                assert not answers
                for tool in tools:
                    await tool.send(b"end")
        await anyio.to_thread.run_sync(server.child.wait)
    finished = sum("finished" in answer.text for answer in answers)
    figure("calls under way at SIGTERM", f"{UNDER_WAY}, {finished} answered")
    assert finished == UNDER_WAY


async def test_without_a_drain_every_call_that_was_begun_is_answered(figure: Figure) -> None:
    """Where no proxy learns, each client is refused in the end, or cut off before its call was begun."""
    statuses: Counter[int] = Counter()
    refused: Counter[str] = Counter()
    with served(DRAIN_SECONDS="0") as server, server.log_kept() as log:

        async def load() -> None:
            async with httpx.AsyncClient(timeout=HANGING_SECONDS, trust_env=False) as http:
                while True:
                    try:
                        answer = await post(http, server.mcp_url, "auto", 0, None, tool="free")
                    except httpx.TransportError as error:
                        refused[type(error).__name__] += 1
                        return
                    statuses[answer.status_code] += 1
                    if sum(statuses.values()) == CALLS_BEFORE:
                        server.child.send_signal(signal.SIGTERM)

        with anyio.fail_after(HANGING_SECONDS):
            async with anyio.create_task_group() as tasks:
                for _ in range(CLIENTS):
                    tasks.start_soon(load)
        await anyio.to_thread.run_sync(server.child.wait)
        begun = log.read().count('"audit": "tool_call"')
    calls = sum(statuses.values())
    figure(f"calls of {CLIENTS} clients with SIGTERM among them, not drained", f"{calls}, all that were begun")
    figure("how the clients ended", dict(refused))
    assert begun == calls
    assert set(statuses) == {200}
    assert refused.keys() <= {"ConnectError", "ReadError", "WriteError", "RemoteProtocolError"}


async def test_under_load_no_request_is_lost(figure: Figure) -> None:
    """Clients do as a proxy does: they go on until they are told that the connection closes."""
    statuses: Counter[int] = Counter()
    told = 0
    with served(DRAIN_SECONDS="60") as server:

        async def load() -> None:
            nonlocal told
            async with httpx.AsyncClient(timeout=HANGING_SECONDS, trust_env=False) as http:
                closes = False
                while not closes:
                    answer = await post(http, server.mcp_url, "auto", 0, None, tool="free")
                    statuses[answer.status_code] += 1
                    closes = answer.headers.get("connection") == "close"
                    if sum(statuses.values()) == CALLS_BEFORE:
                        server.child.send_signal(signal.SIGTERM)
                # One more, from a proxy that has not learned yet.
                statuses[(await post(http, server.mcp_url, "auto", 0, None, tool="free")).status_code] += 1
                told += 1

        with anyio.fail_after(HANGING_SECONDS):
            async with anyio.create_task_group() as tasks:
                for _ in range(CLIENTS):
                    tasks.start_soon(load)
        server.child.send_signal(signal.SIGINT)
        await anyio.to_thread.run_sync(server.child.wait)
    calls = sum(statuses.values())
    figure("calls of 16 clients with SIGTERM among them", f"{calls}, {calls - CALLS_BEFORE} after it, 0 lost")
    assert set(statuses) == {200}
    assert told == CLIENTS
