"""Replicas of a server behind Traefik, on loopback, with the labels and the command line of its compose files.

Local Stytch and the stand-in for the API are the server's own.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from traefik import SETTINGS, TUNNEL_ADDRESS, Traefik, compose, docker, status, traefik, wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NAME, PACKAGE = "notes-mcp", "notes_mcp"
ADDRESSES = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
STOPPING_SECONDS = 60


def free_port(*addresses: str) -> int:
    """A port that nobody has, at any of these addresses."""
    with ExitStack() as stack:
        port = 0
        for address in addresses or ("127.0.0.1",):
            probe = stack.enter_context(socket.socket())
            probe.bind((address, port))
            port = probe.getsockname()[1]
        return port


@dataclass
class Setup:
    """All that runs. `replicas` by address."""

    folder: Path
    module: str
    log: Path
    environment: dict[str, str]
    port: int
    issuer: str
    upstream: str
    replicas: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    proxy: Traefik | None = None

    @property
    def url(self) -> str:
        assert self.proxy is not None
        return self.proxy.url

    def start(self, address: str) -> None:
        """A replica, which Traefik finds by itself."""
        with self.log.open("ab") as log:
            self.replicas[address] = subprocess.Popen(
                [sys.executable, "-m", self.module, "serve", "--env-file", os.devnull],
                cwd=self.folder,
                env=self.environment | {"HOST": address, "PORT": str(self.port)},
                stdout=log,
                stderr=log,
            )

    def end(self, address: str, how: signal.Signals) -> int:
        """Ends a replica and returns its exit code."""
        self.replicas[address].send_signal(how)
        return self.replicas[address].wait(STOPPING_SECONDS)

    def serving(self) -> set[str]:
        """The addresses that Traefik sends requests to."""
        assert self.proxy is not None
        return {url.removeprefix("http://").split(":")[0] for url in self.proxy.serving(NAME)}


@contextmanager
def running(
    folder: Path,
    addresses: tuple[str, ...] = ADDRESSES,
    *,
    module: str = PACKAGE,
    public_host: str = "",
    **settings: str,
) -> Iterator[Setup]:
    """Stand-ins, replicas and Traefik, ready, at https://`public_host`; if that is not given, at http on loopback."""
    proxy_port, api_port, issuer_port, upstream_port = (free_port() for _ in range(4))
    port = free_port(*addresses)
    configuration = compose(folder, SETTINGS | {"PUBLIC_HOST": public_host or "127.0.0.1"})
    service = configuration["services"]["server"]
    paths = [str(folder / part) for part in ("src", "kit")]
    base = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    issuer, upstream = f"http://127.0.0.1:{issuer_port}", f"http://127.0.0.1:{upstream_port}"
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = scratch / "servers"
        stand_ins = (
            ["stytch_mcp_kit.local", "--port", str(issuer_port), "--scope", "notes:read", "--scope", "notes:write"],
            ["uvicorn", "--factory", "local.app:create_app", "--port", str(upstream_port), "--log-level", "warning"],
        )
        for number, command in enumerate(stand_ins):
            output = stack.enter_context((scratch / str(number)).open("wb"))
            child = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=folder, env=base, stdout=output, stderr=output
            )
            stack.callback(child.wait)
            stack.callback(child.terminate)
        for url in (issuer, upstream):
            wait_for(partial(status, url), url)
        said = (scratch / "0").read_bytes().splitlines()
        values = dict(line.decode().split("=", 1) for line in said if b"=" in line)
        environment = {
            **base,
            **{name: str(value) for name, value in service["environment"].items() if name not in SETTINGS},
            **({} if public_host else {"PUBLIC_URL": f"http://127.0.0.1:{proxy_port}"}),
            "SCOPE_MODE": "custom",
            "ALLOWED_EMAIL_DOMAINS": "example.com",
            "UPSTREAM_URL": upstream,
            **values,
            **settings,
        }
        setup = Setup(folder, module, log, environment, port, issuer, upstream)
        stack.callback(lambda: [setup.end(address, signal.SIGKILL) for address in addresses])
        for address in addresses:
            setup.start(address)
        labels = service["labels"] | {f"traefik.http.services.{NAME}.loadbalancer.server.port": str(port)}
        api = stack.enter_context(docker(dict.fromkeys(addresses, labels)))
        setup.proxy = stack.enter_context(traefik(configuration, api, proxy_port, api_port, scratch / "traefik"))
        for address in addresses:
            wait_for(partial(is_ready, address, port), address)
        wait_for(lambda: setup.serving() == set(addresses), "Traefik with all replicas")
        yield setup


def is_ready(address: str, port: int) -> bool:
    """Whether a replica says that it is."""
    return status(f"http://{address}:{port}/ready") == httpx2.codes.OK


@asynccontextmanager
async def through_the_tunnel(number: int, **how: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client whose requests come as cloudflared passes them on: from the tunnel's network, the client in a header."""
    headers = {"X-Forwarded-For": f"10.1.{number // 250}.{number % 250}", "X-Forwarded-Proto": "https"}
    transport = httpx2.AsyncHTTPTransport(local_address=TUNNEL_ADDRESS)
    async with httpx2.AsyncClient(transport=transport, headers=headers, timeout=60, **how) as client:
        yield client
