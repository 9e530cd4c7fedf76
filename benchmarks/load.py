"""Load over keep-alive connections, in bursts short enough to alternate between two servers many times a second."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import calls
from processes import TOOL, BenchmarkError, Server

CHUNK: Final = 65536
ANSWERING_SECONDS: Final = 30.0


class Load:
    """Some connections to one server, each with at most one call under way.

    `latencies` are the seconds from sending to the last byte of every answer since it was cleared.
    """

    def __init__(self, connections: list[socket.socket], request: bytes) -> None:
        self._connections = connections
        self._request = request
        self.latencies: list[float] = []

    def burst(self, count: int) -> float:
        """Makes so many calls, which must be answered with 200, and returns the seconds that it took."""
        answers = dict.fromkeys(self._connections, b"")
        sent = {}
        started = time.perf_counter()
        with selectors.DefaultSelector() as selector:
            for connection in self._connections[:count]:
                selector.register(connection, selectors.EVENT_READ, connection)
                sent[connection] = time.perf_counter()
                connection.sendall(self._request)
            waiting, left = min(count, len(answers)), count - len(answers)
            while waiting:
                ready = selector.select(ANSWERING_SECONDS)
                if not ready:
                    raise BenchmarkError("no answer")
                for key, _ in ready:
                    connection = key.data
                    answers[connection] += connection.recv(CHUNK)
                    if not is_complete(answers[connection]):
                        continue
                    answers[connection] = b""
                    now = time.perf_counter()
                    self.latencies.append(now - sent[connection])
                    if left > 0:
                        left -= 1
                        sent[connection] = now
                        connection.sendall(self._request)
                    else:
                        waiting -= 1
        return time.perf_counter() - started


@contextmanager
def load(server: Server, era: str, token: str, *, connections: int) -> Iterator[Load]:
    """Opens the connections."""
    body = calls.body(era, TOOL)
    headers = {"Host": f"127.0.0.1:{server.port}", "Content-Length": str(len(body)), **calls.headers(era, TOOL, token)}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    request = "\r\n".join(["POST /mcp HTTP/1.1", *lines, "", ""]).encode() + body
    with ExitStack() as stack:
        opened = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(connections)]
        for connection in opened:
            stack.enter_context(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Load(opened, request)


def is_complete(answer: bytes) -> bool:
    """Whether a response to the last byte is there."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(b"HTTP/1.1 200 "):
        raise BenchmarkError(answer[:200].decode())
    length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
    return len(body) == int(length) if length else body.endswith(b"0\r\n\r\n")
