"""Load over keep-alive connections, in bursts short enough to alternate between two servers many times a second."""

from __future__ import annotations

import select
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Final, Self

import calls
from processes import TOOL, BenchmarkError, Server

CHUNK: Final = 65536
ANSWERING_SECONDS: Final = 30.0


class Load:
    """Some connections, to each of the servers in turn, each with at most one call under way; open while entered.

    `latencies` are the seconds from sending to the last byte of every answer since it was cleared.
    """

    def __init__(
        self, servers: Sequence[Server], connections: int, requests: Iterator[bytes], status: int = 200
    ) -> None:
        self.servers = servers
        self.connections = connections
        self.latencies: list[float] = []
        self._ports = [servers[number % len(servers)].port for number in range(connections)]
        self._requests = requests
        self._status = status

    def __enter__(self) -> Self:
        self._connections = [_connection(port) for port in self._ports]
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()

    def burst(self, count: int) -> float:
        """Makes so many calls, which must be answered with the status, and returns the seconds that it took."""
        self._renew()
        answers = dict.fromkeys(self._connections, b"")
        sent = {}
        started = time.perf_counter()
        with selectors.DefaultSelector() as selector:
            for connection in self._connections[:count]:
                selector.register(connection, selectors.EVENT_READ, connection)
                sent[connection] = time.perf_counter()
                connection.sendall(next(self._requests))
            waiting, left = min(count, len(answers)), count - len(answers)
            while waiting:
                ready = selector.select(ANSWERING_SECONDS)
                if not ready:
                    raise BenchmarkError("no answer")
                for key, _ in ready:
                    connection = key.data
                    received = connection.recv(CHUNK)
                    if not received:
                        raise BenchmarkError("the connection was closed")
                    answers[connection] += received
                    if not is_complete(answers[connection], self._status):
                        continue
                    answers[connection] = b""
                    now = time.perf_counter()
                    self.latencies.append(now - sent[connection])
                    if left > 0:
                        left -= 1
                        sent[connection] = now
                        connection.sendall(next(self._requests))
                    else:
                        waiting -= 1
        return time.perf_counter() - started

    def _renew(self) -> None:
        """Servers close a connection that has waited for some seconds; there is nothing else to be read now."""
        closed = select.select(self._connections, [], [], 0)[0]
        for number, connection in enumerate(self._connections):
            if connection in closed:
                connection.close()
                self._connections[number] = _connection(self._ports[number])


@contextmanager
def load(server: Server, era: str, token: str, *, connections: int) -> Iterator[Load]:
    """One server, one token, TOOL."""
    body = calls.body(era, TOOL)
    request = as_bytes("POST", server.host, calls.headers(era, TOOL, token), body)
    with Load([server], connections, repeat(request)) as opened:
        yield opened


def _connection(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def as_bytes(method: str, host: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request for /mcp."""
    lines = [f"{name}: {value}" for name, value in {"Host": host, "Content-Length": len(body), **headers}.items()]
    return "\r\n".join([f"{method} /mcp HTTP/1.1", *lines, "", ""]).encode() + body


def is_complete(answer: bytes, status: int = 200) -> bool:
    """Whether a response to the last byte is there. Raises BenchmarkError for another status."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(f"HTTP/1.1 {status} ".encode()):
        raise BenchmarkError(answer[:200].decode())
    length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
    return len(body) == int(length) if length else body.endswith(b"0\r\n\r\n")
