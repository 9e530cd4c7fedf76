"""Connections that are at their end in unusual ways: late bodies, half of a connection, errors, shutdown, upgrades."""

from __future__ import annotations

import asyncio
import socket

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from stytch_mcp import connection
from tests.faults.sockets import HANGING_SECONDS, Server, cut, until
from tests.faults.test_clients import ASKING, PIECE, connected, in_process, saying

pytestmark = pytest.mark.e2e

LATE = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n"
CHUNK = b"2\r\n{}\r\n0\r\n\r\n"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n"


def answer(client: socket.socket) -> bytes:
    """One answer, whose body is an object in JSON."""
    received = b""
    while not received.endswith(b"}"):
        part = client.recv(65_536)
        assert part, received
        received += part
    return received


def test_a_body_that_comes_after_the_answer_holds_no_connection(strict: Server) -> None:
    """Of a length and in chunks, and after it a request that is answered, or silence."""
    until(strict.is_alone, "connections of the test before stay open")
    late = [(strict.head(token=None, length=2), b"{}"), (strict.head(token=None), CHUNK)]
    clients = [(strict.connect(), *each, again) for each in late for again in (False, True)]
    for client, head, body, again in clients:
        for _ in range(2 if again else 1):
            client.sendall(head)
            assert b" 401 " in answer(client)
            client.sendall(body)
    until(strict.is_alone, "connections stay open")
    for client, *_ in clients:
        client.close()


def test_a_request_behind_a_late_body_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer takes longer than the bound of the late one."""
    monkeypatch.setattr(connection, "ARRIVING_SECONDS", 0.2)
    asked = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            await asyncio.sleep(1)
        await saying(1, 1)(scope, receive, send)

    async def meet(_: ServerState, client: socket.socket) -> None:
        client.sendall(LATE)
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            received += await asyncio.to_thread(client.recv, 65_536)
        client.sendall(b"{}" + ASKING)
        assert b" 200 " in await asyncio.to_thread(client.recv, 65_536)

    in_process(app, meet, keep_alive_seconds=HANGING_SECONDS)


def test_an_error_in_an_answer_that_nobody_takes_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ARRIVING_SECONDS", 0.2)
    monkeypatch.setattr(connection, "UNREAD_SECONDS", 0.2)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * PIECE, "more_body": True})
        raise RuntimeError

    async def meet(state: ServerState, client: socket.socket) -> None:
        client.sendall(ASKING)
        (served,) = await asyncio.to_thread(connected, state)
        await asyncio.to_thread(until, served.transport.is_closing, "it goes on")
        assert state.connections
        await asyncio.to_thread(until, lambda: not state.connections, "it waits for ever")

    in_process(app, meet)


def test_who_half_closes_and_takes_nothing_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the application is told."""
    monkeypatch.setattr(connection, "UNREAD_SECONDS", 0.2)

    async def meet(state: ServerState, client: socket.socket) -> None:
        client.sendall(ASKING)
        (served,) = await asyncio.to_thread(connected, state)
        await asyncio.to_thread(until, lambda: served.transport.get_write_buffer_size() > 0, "it is taken")
        client.shutdown(socket.SHUT_WR)
        await asyncio.to_thread(until, lambda: not state.connections and not state.tasks, "it waits for ever")

    in_process(saying(1, PIECE, ends=False), meet, keep_alive_seconds=HANGING_SECONDS)


def test_shutdown_waits_for_nobody_who_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ARRIVING_SECONDS", 0.2)
    monkeypatch.setattr(connection, "UNREAD_SECONDS", 0.2)

    async def meet(state: ServerState, client: socket.socket) -> None:
        client.sendall(ASKING)
        await asyncio.to_thread(until, lambda: bool(state.total_requests), "nobody asked")
        (served,) = connected(state)
        assert served.transport.get_write_buffer_size()
        served.shutdown()
        await asyncio.to_thread(until, lambda: not state.connections, "it waits for ever")

    in_process(saying(1, PIECE), meet, keep_alive_seconds=HANGING_SECONDS)


def test_after_a_reset_no_timer_is_left() -> None:
    async def meet(state: ServerState, client: socket.socket) -> None:
        client.sendall(ASKING)
        await asyncio.to_thread(until, lambda: bool(state.total_requests), "nobody asked")
        (served,) = connected(state)
        assert served.timeout_keep_alive_task
        cut(client)
        await asyncio.to_thread(until, lambda: not state.connections, "it stays open")
        assert not served.timeout_keep_alive_task

    in_process(saying(1, 1), meet, keep_alive_seconds=HANGING_SECONDS)


@pytest.mark.parametrize("wrong", [b"no request\r\n\r\n", ASKING[:-2] + b"a:\r\n" * 2500], ids=["none", "too large"])
def test_an_answer_under_way_is_not_mixed_with_a_refusal(wrong: bytes) -> None:
    async def meet(_: ServerState, client: socket.socket) -> None:
        client.sendall(ASKING)
        received = b""
        while not received.endswith(b"1\r\nx\r\n"):
            received += await asyncio.to_thread(client.recv, 65_536)
        client.sendall(wrong)
        assert await asyncio.to_thread(client.recv, 65_536) == b""

    in_process(saying(1, 1, ends=False), meet, keep_alive_seconds=HANGING_SECONDS)


@pytest.mark.parametrize("fields", [[UPGRADE, ""], ["", UPGRADE]], ids=["first", "second"])
def test_an_upgrade_is_a_request_like_another(patient: Server, fields: list[str]) -> None:
    """As the first of a connection and as the second (RFC 9110 section 7.8: a server may go on as it is)."""
    with patient.connect() as client:
        for more in fields:
            client.sendall(f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{patient.port}\r\n{more}\r\n".encode())
            assert b" 200 " in answer(client)
