"""Clients that do nothing, leave in the middle, send slowly or without end, or do not take their answers."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress

import anyio
import httpx
import pytest
import uvicorn
import uvloop
from anyio.lowlevel import checkpoint
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from stytch_mcp import connection
from tests.e2e.test_streams import MODES, Line, post
from tests.faults.conftest import Figure
from tests.faults.sockets import HANGING_SECONDS, Server, cut, until

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

CONNECTIONS = int(os.environ.get("FAULTS_CONNECTIONS", "1000"))
MOST_KIB_EACH = 16
SOME_KIB = 4096
LEAVING = 100
SLOW = 20
PACE_SECONDS = 0.05
FORM = "/oauth/login/code"


# Connections that are opened and not used.


def hold(server: Server, count: int) -> ExitStack:
    """So many connections, all of them accepted."""
    had = server.sockets()
    stack = ExitStack()
    for _ in range(count):
        stack.enter_context(server.connect())
    until(lambda: server.sockets() >= had + count, "not all connections were accepted")
    return stack


def test_idle_connections_cost_little_and_what_they_cost_is_used_again(patient: Server, figure: Figure) -> None:
    for _ in range(50):
        assert patient.call() == 200
    until(patient.is_alone, "the connections of the calls stay open")
    before = patient.memory()
    held, left = [], []
    for _ in range(3):
        with hold(patient, CONNECTIONS):
            held.append(patient.memory())
            assert patient.call() == 200
        until(patient.is_alone, "connections stay open")
        left.append(patient.memory())
    each = (held[0] - before) / CONNECTIONS
    figure(
        f"{CONNECTIONS:,} idle connections", f"{each:.1f} KiB each; RSS {before:,} KiB before, {held[0]:,} with them"
    )
    figure("the same twice more, RSS with them, and without after each", f"{held[1:]} {left} KiB")
    assert each <= MOST_KIB_EACH
    # What the first ones took is used again. How much of it the allocator gives back meanwhile differs.
    assert max(held[1:]) <= held[0] + SOME_KIB
    assert max(left) <= held[0] + SOME_KIB


# Clients that leave.

PARTS: dict[str, Callable[[Server], bytes]] = {
    "before anything": lambda _: b"",
    "in the first line": lambda _: b"POST /m",
    "in the head": lambda server: server.head()[:-30],
    "before the body": lambda server: server.head(length=1000),
    "in the body": lambda server: server.head(length=1000) + b'{"jsonrpc":',
    "in a chunk": lambda server: server.head() + b'100\r\n{"jsonrpc":',
    "between two chunks": lambda server: server.head() + b"5\r\n{    \r\n",
}


@pytest.mark.parametrize("leave", [socket.socket.close, cut], ids=["close", "reset"])
@pytest.mark.parametrize("part", PARTS)
def test_a_client_that_leaves_takes_nothing_along(
    patient: Server, part: str, leave: Callable[[socket.socket], None], figure: Figure
) -> None:
    until(patient.is_alone, "connections of the test before stay open")
    log = patient.log()
    for _ in range(LEAVING):
        client = patient.connect()
        client.sendall(PARTS[part](patient))
        leave(client)
    until(patient.is_alone, "connections stay open")
    assert patient.call() == 200
    assert patient.log().removeprefix(log).count("error") == 0
    figure(f"left {part} ({leave.__name__})", f"{LEAVING} clients, {LEAVING} connections closed")


async def test_who_leaves_a_stream_ends_its_tool(patient: Server, figure: Figure) -> None:
    ended = 0
    async with Line().listening() as line, httpx.AsyncClient(timeout=HANGING_SECONDS, trust_env=False) as http:
        for mode, _ in itertools.product(MODES, range(10)):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(post, http, patient.mcp_url, mode, line.port, "token")
                stream = await line.opened()
                tasks.cancel_scope.cancel()
            assert await stream.receive() == b"cancelled"
            ended += 1
    figure("streams that were left, their tools ended", ended)


# Clients that are slow. Each would go on for ever.


def after(beginning: bytes, again: bytes) -> Iterator[bytes]:
    """A beginning, then the same again and again."""
    yield beginning
    yield from itertools.repeat(again)


SLOWLY: dict[str, Callable[[Server], Iterator[bytes]]] = {
    "nothing": lambda _: itertools.repeat(b""),
    "empty lines": lambda _: itertools.repeat(b"\r\n"),
    "the first line": lambda _: after(b"GET /", b"x"),
    "headers": lambda server: after(server.head()[:-2], b"X: y\r\n"),
    "a header": lambda server: after(server.head()[:-2] + b"X-Long: ", b"y"),
    "a body": lambda server: after(server.head(length=1_000_000), b" "),
    "a body in chunks": lambda server: after(server.head(), b"1\r\n \r\n"),
    "a body without a token": lambda server: after(server.head(token=None, length=1_000_000), b" "),
    "trailers": lambda server: after(server.head() + b"2\r\n{}\r\n0\r\n", b"X: y\r\n"),
    "a form": lambda server: after(server.head(FORM, token=None, length=4000), b"a"),
    "empty lines after an answer": lambda server: after(
        f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode(), b"\r\n"
    ),
}


async def dribble(server: Server, pieces: Iterator[bytes]) -> float:
    """Sends at its pace until the server closes the connection. Seconds until then."""
    began = time.monotonic()
    with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            for piece in pieces:
                if piece:
                    await stream.send(piece)
                with anyio.move_on_after(PACE_SECONDS):
                    while True:
                        await stream.receive()
    return time.monotonic() - began


async def test_who_sends_slowly_is_let_go_of_and_holds_up_nobody(strict: Server, figure: Figure) -> None:
    until(strict.is_alone, "connections of the test before stay open")
    seconds: dict[str, list[float]] = {kind: [] for kind in SLOWLY}

    async def slowly(kind: str) -> None:
        seconds[kind].append(await dribble(strict, SLOWLY[kind](strict)))

    with anyio.fail_after(HANGING_SECONDS):
        async with anyio.create_task_group() as tasks:
            for kind in SLOWLY:
                for _ in range(SLOW):
                    tasks.start_soon(slowly, kind)
            await answered(strict)
    until(strict.is_alone, "connections stay open")
    await answered(strict)
    for kind, each in seconds.items():
        figure(f"slow with {kind}", f"{SLOW} let go of after {min(each):.1f} to {max(each):.1f} s")


async def answered(server: Server) -> None:
    """A good client. One whose request the server took for slow, as it was short of processor itself, asks again."""
    for _ in range(20):
        with suppress(OSError, IndexError):
            assert await anyio.to_thread.run_sync(server.call) == 200
            return
    raise AssertionError("no answer")


# Clients that send without end.

BLOCK = 16_384
MOST_SENT = 64 * 1024 * 1024
ENDLESS: dict[str, Callable[[Server], Iterator[bytes]]] = {
    "the first line": lambda _: after(b"GET /", b"x" * BLOCK),
    "a header": lambda server: after(server.head()[:-2] + b"X-Long: ", b"y" * BLOCK),
    "headers": lambda server: after(server.head()[:-2], b"X: y\r\n" * (BLOCK // 6)),
    "a trailer": lambda server: after(server.head() + b"2\r\n{}\r\n0\r\nX-Long: ", b"y" * BLOCK),
    "trailers": lambda server: after(server.head() + b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * (BLOCK // 6)),
    "an extension of a chunk": lambda server: after(server.head() + b"2;x=", b"y" * BLOCK),
    "trailers of a refused request": lambda server: after(
        server.head(token=None) + b"2\r\n{}\r\n0\r\nX-Long: ", b"y" * BLOCK
    ),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_who_sends_without_end_is_cut_off(patient: Server, kind: str, figure: Figure) -> None:
    memory = patient.memory()
    with patient.connect() as client:
        sent = pour(client, ENDLESS[kind](patient))
    assert patient.call() == 200
    assert patient.memory() <= memory + SOME_KIB
    figure(f"without end: {kind}", f"cut off after {sent // 1024:,} KiB, RSS +{max(0, patient.memory() - memory)} KiB")


def pour(client: socket.socket, pieces: Iterator[bytes]) -> int:
    """Sends until the server has closed the connection. How many bytes that took."""
    sent = 0
    with suppress(ConnectionError):
        for piece in pieces:
            client.sendall(piece)
            sent += len(piece)
            assert sent < MOST_SENT
    return sent


def test_a_long_body_buys_no_long_trailers() -> None:
    size = 1_000_000

    async def meet(_: ServerState, client: socket.socket) -> None:
        head = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n%s\r\n0\r\n" % (size, b" " * size)
        sent = await asyncio.to_thread(pour, client, after(head + body, b"X: y\r\n" * 1000))
        assert sent < 2 * size

    in_process(saying(1, 1, ends=False), meet, keep_alive_seconds=HANGING_SECONDS)


def test_a_trailer_is_no_header(patient: Server) -> None:
    """Or it would come in behind the gate's back."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"headers_seen","arguments":{}}}'
    with patient.connect() as client:
        client.sendall(patient.head() + b"%x\r\n%s\r\n0\r\nX-Trailer: yes\r\n\r\n" % (len(body), body))
        answer = b""
        while b"]}" not in answer:
            answer += client.recv(65_536)
    assert b"transfer-encoding" in answer
    assert b"x-trailer" not in answer


@pytest.mark.parametrize(("size", "status"), [(60_000, 200), (70_000, 400)])
def test_a_head_of_64_kib_is_read(patient: Server, size: int, status: int) -> None:
    with patient.connect() as client:
        head = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{patient.port}\r\nX-Long: {'y' * size}\r\n\r\n"
        client.sendall(head.encode())
        assert int(client.recv(65_536).split()[1]) == status


def test_the_target_of_a_request_counts_with_its_head(patient: Server) -> None:
    with patient.connect() as client:
        target = f"/health?{'y' * 35_000}"
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{patient.port}\r\nX-Long: {target}\r\n\r\n".encode())
        assert b" 400 " in client.recv(65_536)


@pytest.mark.parametrize(("fields", "status"), [(1500, 200), (2500, 400)])
@pytest.mark.parametrize("parts", [1, 2])
def test_many_fields_count_for_more_than_their_letters(patient: Server, fields: int, status: int, parts: int) -> None:
    head = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{patient.port}\r\n".encode() + b"a:\r\n" * fields + b"\r\n"
    with patient.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in range(parts):
            client.sendall(head[part * len(head) // parts : (part + 1) * len(head) // parts])
            time.sleep(PACE_SECONDS)
        assert int(client.recv(65_536).split()[1]) == status


def test_a_head_that_is_too_large_is_refused_before_it_ends(patient: Server) -> None:
    with patient.connect() as client:
        client.sendall(patient.head()[:-2] + b"a:\r\n" * 2500)
        assert b" 400 " in client.recv(65_536)


def test_each_request_of_a_connection_has_a_head_of_its_own(patient: Server) -> None:
    asking = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{patient.port}\r\nX-Long: {'y' * 40_000}\r\n\r\n".encode()
    answers = b""
    with patient.connect() as client:
        for number in (1, 2, 3):
            client.sendall(asking)
            while answers.count(b" 200 ") < number:
                received = client.recv(65_536)
                assert received, answers
                answers += received


# Clients that do not wait, or do not take what they asked for.


def test_requests_that_do_not_wait_for_answers_are_few(patient: Server, figure: Figure) -> None:
    asking = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{patient.port}\r\n\r\n".encode()
    with patient.connect() as client:
        client.sendall(asking * 10)
        answers = b""
        while answers.count(b"200 OK") < 10:
            answers += client.recv(65_536)
    memory, sent = patient.memory(), 0
    with patient.connect() as client, suppress(ConnectionError):
        while sent < MOST_SENT:
            client.sendall(asking * 500)
            sent += 500 * len(asking)
    assert sent < MOST_SENT
    assert patient.call() == 200
    assert patient.memory() <= memory + SOME_KIB
    figure("without end: requests", f"cut off after {sent // 1024:,} KiB, RSS +{max(0, patient.memory() - memory)} KiB")


PIECE = 50_000
SLOWLY_TAKEN = 40 * PIECE
ASKING = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
SIZES = {"larger than what the server buffers": 64 * 1024 * 1024, "all of it buffered": 50_000}


@pytest.mark.parametrize("asking", [ASKING, CLOSING], ids=["kept open", "to be closed"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_an_answer_that_nobody_takes_is_dropped(size: int, asking: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the event loop of production, with buffers of the kernel as small as it lets them be."""
    monkeypatch.setattr(connection, "UNREAD_SECONDS", 0.2)

    async def meet(state: ServerState, client: socket.socket) -> None:
        client.sendall(asking)
        await asyncio.to_thread(until, lambda: bool(state.total_requests or state.tasks), "nobody asked")
        await asyncio.to_thread(until, lambda: not state.connections and not state.tasks, "it waits for ever")

    in_process(saying(size // PIECE, PIECE), meet)


@pytest.mark.parametrize("pieces", [40, 1])
def test_an_answer_that_is_taken_slowly_arrives(pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer than the bound, and goes on: in many pieces, and in one."""
    monkeypatch.setattr(connection, "UNREAD_SECONDS", 1.0)
    taken = in_process_slowly(pieces)
    assert taken > SLOWLY_TAKEN


def test_who_takes_too_little_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "UNREAD_SECONDS", 0.5)
    monkeypatch.setattr(connection, "LEAST_TAKEN", SLOWLY_TAKEN)
    assert in_process_slowly(1) < SLOWLY_TAKEN


def in_process_slowly(pieces: int) -> int:
    """How much was taken of an answer of so many pieces and SLOWLY_TAKEN bytes, its head and chunks beside them."""
    taken = 0

    async def meet(_: ServerState, client: socket.socket) -> None:
        nonlocal taken
        client.sendall(ASKING)
        with suppress(ConnectionError):
            while received := await asyncio.to_thread(client.recv, PIECE):
                taken += len(received)
                await asyncio.sleep(PACE_SECONDS)

    in_process(saying(pieces, SLOWLY_TAKEN // pieces), meet, kernel_bytes=65_536)
    return taken


def test_a_connection_that_is_to_be_closed_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is none, while an answer is under way; its client takes some of that, and no more."""
    monkeypatch.setattr(connection, "UNREAD_SECONDS", 0.2)

    async def meet(state: ServerState, client: socket.socket) -> None:
        client.sendall(ASKING)
        (served,) = await asyncio.to_thread(connected, state)
        await asyncio.to_thread(until, lambda: served.flow.write_paused, "it is taken")
        client.sendall(b"no request\r\n\r\n")
        await asyncio.to_thread(until, served.transport.is_closing, "it is not refused")
        while served.flow.write_paused:
            await asyncio.to_thread(client.recv, 4096)
        await asyncio.to_thread(until, lambda: not state.connections and not state.tasks, "it waits for ever")

    in_process(saying(2, PIECE, ends=False), meet, keep_alive_seconds=HANGING_SECONDS)


def test_who_leaves_ends_the_older_of_two_requests(caplog: pytest.LogCaptureFixture) -> None:
    async def meet(state: ServerState, client: socket.socket) -> None:
        client.sendall(ASKING * 2)
        assert await asyncio.to_thread(client.recv, 65_536)
        cut(client)
        await asyncio.to_thread(until, lambda: not state.connections and not state.tasks, "it goes on")

    in_process(saying(1, 1, ends=False, beats=True), meet, keep_alive_seconds=HANGING_SECONDS)
    assert not caplog.records


def saying(pieces: int, size: int, *, ends: bool = True, beats: bool = False) -> ASGIApp:
    """An application that answers so much. Without an end it goes on until the client is gone, in silence or not."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(pieces):
            await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
        gone = ends
        while not gone:
            with anyio.move_on_after(PACE_SECONDS if beats else None):
                gone = (await receive())["type"] == "http.disconnect"
            if beats:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body"})

    return app


def test_who_asks_again_and_again_is_never_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many times the bound, in one connection."""
    monkeypatch.setattr(connection, "ARRIVING_SECONDS", 0.1)

    async def meet(state: ServerState, client: socket.socket) -> None:
        for _ in range(20):
            client.sendall(ASKING)
            assert b" 204 " in await asyncio.to_thread(client.recv, 65_536)
            await asyncio.sleep(PACE_SECONDS)
        assert len(state.connections) == 1

    in_process(answering_when(checkpoint), meet, keep_alive_seconds=HANGING_SECONDS)


def test_a_client_is_not_late_while_the_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has begun its next request, and waits for the answer to the one before."""
    monkeypatch.setattr(connection, "ARRIVING_SECONDS", 0.1)
    ready = asyncio.Event()

    async def meet(_: ServerState, client: socket.socket) -> None:
        client.sendall(ASKING + ASKING[:10])
        await asyncio.sleep(0.5)
        ready.set()
        assert b" 204 " in await asyncio.to_thread(client.recv, 65_536)

    in_process(answering_when(ready.wait), meet, keep_alive_seconds=HANGING_SECONDS)


def test_a_body_is_not_late_while_the_server_does_not_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ARRIVING_SECONDS", 0.1)
    ready, size = asyncio.Event(), 1_000_000

    async def meet(_: ServerState, client: socket.socket) -> None:
        request = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % size
        sending = asyncio.create_task(asyncio.to_thread(client.sendall, request + b" " * size))
        await asyncio.sleep(0.5)
        monkeypatch.setattr(connection, "ARRIVING_SECONDS", HANGING_SECONDS)
        ready.set()
        await sending
        assert b" 204 " in await asyncio.to_thread(client.recv, 65_536)

    in_process(answering_when(ready.wait), meet, keep_alive_seconds=HANGING_SECONDS)


def test_who_does_not_wait_for_answers_is_read_no_faster_than_answered() -> None:
    """Or polite clients would be refused for what they were let send."""
    turns, many = asyncio.Semaphore(0), connection.MOST_PIPELINED * 2 // 3

    async def meet(state: ServerState, client: socket.socket) -> None:
        client.sendall(ASKING * many)
        (served,) = await asyncio.to_thread(connected, state)
        await asyncio.to_thread(until, lambda: len(served.pipeline) == many - 1, "they do not arrive")
        client.sendall(ASKING * many)
        answers = b""
        for number in range(2 * many):
            turns.release()
            while answers.count(b" 204 ") <= number:
                received = await asyncio.to_thread(client.recv, 65_536)
                assert received, answers
                answers += received

    in_process(answering_when(turns.acquire), meet, keep_alive_seconds=HANGING_SECONDS)


def connected(state: ServerState) -> list[connection.Connection]:
    until(lambda: bool(state.connections), "nobody came")
    return [each for each in state.connections if isinstance(each, connection.Connection)]


def answering_when(ready: Callable[[], Awaitable[object]]) -> ASGIApp:
    """An application that reads a request then, and answers it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await ready()
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    return app


def in_process(
    app: ASGIApp,
    meet: Callable[[ServerState, socket.socket], Awaitable[None]],
    keep_alive_seconds: int = 0,
    kernel_bytes: int = 4096,
) -> None:
    """An application on the event loop of production, met by one client."""

    async def run() -> None:
        state = ServerState()
        config = uvicorn.Config(app, log_config=None, timeout_keep_alive=keep_alive_seconds)
        config.load()
        with socket.socket() as listener, socket.socket() as client:
            for each, buffer in itertools.product((listener, client), (socket.SO_SNDBUF, socket.SO_RCVBUF)):
                each.setsockopt(socket.SOL_SOCKET, buffer, kernel_bytes)
            listener.bind(("127.0.0.1", 0))
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: connection.Connection(config, state, {}), sock=listener)
            client.connect(listener.getsockname())
            try:
                await meet(state, client)
            finally:
                server.close()
        await server.wait_closed()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
