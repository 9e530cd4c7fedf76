"""Servers as processes on loopback, what they take, and the load that is put on them."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import calls
import fake_issuer

HERE: Final = Path(__file__).parent
STARTING_SECONDS: Final = 60.0
STOPPING_SECONDS: Final = 40.0
TOOL: Final = "whoami"


class BenchmarkError(Exception):
    """A benchmark could not run."""


@dataclass(frozen=True)
class Server:
    """A process that answers on a port."""

    pid: int
    port: int

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def get(self, path: str) -> Any:
        """The JSON of an answer."""
        return self._ask("GET", path)

    def call(self, era: str, token: str) -> Any:
        """The result of one call of TOOL."""
        return self._ask("POST", "/mcp", calls.body(era, TOOL), calls.headers(era, TOOL, token))["result"]

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=STARTING_SECONDS)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if response.status != http.HTTPStatus.OK:
            raise BenchmarkError(f"{path} answered {response.status}: {content[:200]!r}")
        return json.loads(content)

    def memory(self) -> tuple[float, float]:
        """Resident and proportional set size in MiB: all pages, and its own plus its share of shared ones."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()[1:]
        kib = {name: int(value) for name, value, *_ in (line.replace(":", " ").split() for line in lines)}
        return kib["Rss"] / 1024, kib["Pss"] / 1024

    def cpu_seconds(self) -> float:
        """What its threads have used so far."""
        threads = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(*arguments: str, program: str | Path = sys.executable, **environment: str) -> Iterator[Server]:
    """A process, of Python where nothing else is said, that listens on a port; ended with SIGTERM when left."""
    port = free_port()
    child = subprocess.Popen(
        [str(program), *arguments],
        env={**os.environ, "PORT": str(port), "PUBLIC_URL": f"http://127.0.0.1:{port}", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Server(child.pid, port)
    finally:
        child.terminate()
        try:
            child.wait(STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for(port: int) -> None:
    """Returns when something listens on a port."""
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.001)
        else:
            return
    raise BenchmarkError(f"nothing listens on port {port}")


@contextmanager
def issuing() -> Iterator[Server]:
    """The fake issuer, ready."""
    with process(str(HERE / "issuer.py")) as issuer:
        wait_for(issuer.port)
        yield issuer


@contextmanager
def kind(name: str, issuer: Server, **changes: str) -> Iterator[Server]:
    """One of the servers of `servers.py`, ready."""
    with process(str(HERE / "servers.py"), name, **settings(issuer), **changes) as server:
        wait_for(server.port)
        yield server


def settings(issuer: Server) -> dict[str, str]:
    """The environment of a server that accepts this issuer's tokens, and looks people up there."""
    return {
        "SCOPE_MODE": "custom",
        "ALLOWED_EMAIL_DOMAINS": "example.com",
        "STYTCH_DOMAIN": issuer.url,
        "STYTCH_PROJECT_ID": fake_issuer.PROJECT_ID,
        "STYTCH_SECRET": fake_issuer.SECRET,
        "UPSTREAM_URL": "http://127.0.0.1:9",
        "CLAIMS": json.dumps(fake_issuer.FakeIssuer().claims(iss=issuer.url)),
    }
