"""Clients that leave in the middle, that send slowly or without end, and that do not take their answers."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import anyio
import httpx
import pytest

from tests.e2e.test_streams import Line, post
from tests.faults.conftest import Figure
from tests.faults.sockets import HANGING_SECONDS, Server, cut, served, until

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

LEAVING = 100
SLOW = 20
PACE_SECONDS = 0.05
# A server that is short of processor may take a request for slow; a good client of these tests then asks again.
BOUND_SECONDS = 2.0
FORM = "/oauth/login/code"


@pytest.fixture(scope="module")
def patient() -> Iterator[Server]:
    """A server that waits for an hour."""
    with served() as server:
        assert server.call() == 200
        yield server


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    """A server that waits for a moment, with the sign-in page."""
    with served(BOUND_SECONDS, STYTCH_SECRET="secret-of-nobody") as server:
        yield server


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
    until(lambda: patient.sockets() <= 3, "connections of the test before stay open")
    log = patient.log()
    for _ in range(LEAVING):
        connection = patient.connect()
        connection.sendall(PARTS[part](patient))
        leave(connection)
    until(lambda: patient.sockets() <= 3, "connections stay open")
    assert patient.call() == 200
    assert patient.log().removeprefix(log).count("error") == 0
    figure(f"left {part} ({leave.__name__})", f"{LEAVING} clients, {LEAVING} connections closed")


async def test_who_leaves_a_stream_ends_its_tool(patient: Server, figure: Figure) -> None:
    ended = 0
    async with Line().listening() as line, httpx.AsyncClient(timeout=HANGING_SECONDS, trust_env=False) as http:
        for mode, _ in itertools.product(("auto", "legacy"), range(10)):
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
    until(lambda: strict.sockets() <= 3, "connections of the test before stay open")
    seconds: dict[str, list[float]] = {kind: [] for kind in SLOWLY}

    async def slowly(kind: str) -> None:
        seconds[kind].append(await dribble(strict, SLOWLY[kind](strict)))

    with anyio.fail_after(HANGING_SECONDS):
        async with anyio.create_task_group() as tasks:
            for kind in SLOWLY:
                for _ in range(SLOW):
                    tasks.start_soon(slowly, kind)
            await answered(strict)
    until(lambda: strict.sockets() <= 3, "connections stay open")
    await answered(strict)
    for kind, each in seconds.items():
        figure(f"slow with {kind}", f"{SLOW} let go of after {min(each):.1f} to {max(each):.1f} s")


async def answered(server: Server) -> None:
    """A good client asks, if need be again, until it has its answer."""
    for _ in range(20):
        with suppress(OSError, IndexError):
            assert await anyio.to_thread.run_sync(server.call) == 200
            return
    raise AssertionError("no answer")


# Clients that send without end.

BLOCK = 16_384
MOST_SENT = 64 * 1024 * 1024
MOST_KIB = 4096
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
    memory, sent = patient.memory(), 0
    with patient.connect() as connection, suppress(ConnectionError):
        for piece in ENDLESS[kind](patient):
            connection.sendall(piece)
            sent += len(piece)
            assert sent < MOST_SENT
    assert patient.call() == 200
    assert patient.memory() <= memory + MOST_KIB
    figure(f"without end: {kind}", f"cut off after {sent // 1024:,} KiB, RSS +{max(0, patient.memory() - memory)} KiB")


def test_a_trailer_is_no_header(patient: Server) -> None:
    """Or it would come in behind the gate's back."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"headers_seen","arguments":{}}}'
    with patient.connect() as connection:
        connection.sendall(patient.head() + b"%x\r\n%s\r\n0\r\nX-Trailer: yes\r\n\r\n" % (len(body), body))
        answer = connection.recv(65_536)
    assert b'"transfer-encoding"' in answer
    assert b"x-trailer" not in answer


@pytest.mark.parametrize(("size", "status"), [(60_000, 200), (70_000, 400)])
def test_a_head_of_64_kib_is_read(patient: Server, size: int, status: int) -> None:
    with patient.connect() as connection:
        head = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{patient.port}\r\nX-Long: {'y' * size}\r\n\r\n"
        connection.sendall(head.encode())
        assert int(connection.recv(65_536).split()[1]) == status


# Clients that do not take what they asked for.


def test_an_answer_that_nobody_takes_is_dropped(strict: Server, figure: Figure) -> None:
    until(lambda: strict.sockets() <= 3, "connections of the test before stay open")
    memory = strict.memory()
    asking = f"GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\nHost: 127.0.0.1:{strict.port}\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(SLOW):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", strict.port))
            connection.settimeout(PACE_SECONDS)
            with suppress(TimeoutError, ConnectionError):
                while True:
                    connection.sendall(asking * 100)
        until(lambda: strict.sockets() <= 3, "connections stay open")
    figure("clients that take no answer", f"{SLOW} dropped, RSS +{max(0, strict.memory() - memory)} KiB")
