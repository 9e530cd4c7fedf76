"""Connections byte by byte, and what a server's process has of them."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from tests.servers import STATIC_TOKEN, probe_server

# Bounds a hang, nothing else.
HANGING_SECONDS = 120


@dataclass(frozen=True)
class Server:
    """A server under uvicorn, as a process."""

    mcp_url: str
    child: subprocess.Popen[str]

    @property
    def port(self) -> int:
        return urlsplit(self.mcp_url).port or 80

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=HANGING_SECONDS)

    def sockets(self) -> int:
        """How many it has open, those that listen included."""
        descriptors = Path(f"/proc/{self.child.pid}/fd").iterdir()
        return sum(_link(descriptor).startswith("socket:") for descriptor in descriptors)

    def is_alone(self) -> bool:
        """Whether nobody is connected: one socket listens, two belong to the event loop."""
        return self.sockets() <= 3

    def memory(self) -> int:
        """Resident, in KiB."""
        lines = Path(f"/proc/{self.child.pid}/status").read_text().splitlines()
        (line,) = [line for line in lines if line.startswith("VmRSS:")]
        return int(line.split()[1])

    def log(self) -> str:
        """What it has written so far."""
        return Path(f"/proc/{self.child.pid}/fd/2").read_text()

    def log_kept(self) -> TextIO:
        """The log, which can be read from it when the server has ended."""
        return Path(f"/proc/{self.child.pid}/fd/2").open()

    def head(self, path: str = "/mcp", *, token: str | None = STATIC_TOKEN, length: int | None = None) -> bytes:
        """The head of a POST, of chunks if no length is given."""
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.port}",
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            "MCP-Protocol-Version: 2025-11-25",
            "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}",
            *([f"Authorization: Bearer {token}"] if token else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def call(self, tool: str = "free") -> int:
        """The status of one call on a connection of its own."""
        params = {"name": tool, "arguments": {}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        with self.connect() as connection:
            connection.sendall(self.head(length=len(body)) + body)
            return int(connection.recv(65_536).split()[1])


@contextmanager
def served(bound_seconds: float = 3600.0, **environment: str) -> Iterator[Server]:
    """The server of tests/probe.py; see serve.py for the bound."""
    environment["BOUND_SECONDS"] = str(bound_seconds)
    with probe_server(False, "tests.faults.serve", **environment) as (url, child):
        yield Server(url, child)


def until(condition: Callable[[], bool], what: str) -> None:
    """Returns when it holds."""
    deadline = time.monotonic() + HANGING_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def cut(connection: socket.socket) -> None:
    """Closes with a reset: the client is gone, and says nothing."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _link(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""
