"""Traefik itself on loopback, and a stand-in for the one thing it asks Docker for: the labels of containers."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

BIN = Path(sys.executable).parent
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, whose loopback has many addresses")
NETWORK = "proxy"
# In the place of the tunnel's network; all of 127.0.0.0/8 is loopback.
TUNNEL_SUBNET = "127.0.30.0/29"
TUNNEL_ADDRESS = "127.0.30.2"
ALL_FILES = ("compose.yaml", "compose.traefik.yaml", "compose.tunnel.yaml")
SETTINGS = {
    "PUBLIC_HOST": "mcp.example.com",
    "TRAEFIK_NETWORK": NETWORK,
    "TUNNEL_SUBNET": TUNNEL_SUBNET,
    "TUNNEL_ID": "11111111-2222-4333-8444-555555555555",
    "TUNNEL_CREDENTIALS": os.devnull,
}
# Bounds a hang, nothing else.
STARTING_SECONDS = 60


def compose(folder: Path, settings: dict[str, str], *files: str, code: int = 0) -> Any:
    """What Docker Compose makes of these files of a server: its configuration, or with `code` its complaint."""
    names = [part for name in files or ALL_FILES for part in ("--file", name)]
    with tempfile.TemporaryDirectory() as scratch:
        for name in ALL_FILES:
            shutil.copy(folder / name, scratch)
        Path(scratch, ".env").touch()
        done = subprocess.run(
            [BIN / "docker-compose", *names, "config", "--format", "json"],
            cwd=scratch,
            env={"PATH": os.environ["PATH"], "HOME": scratch} | settings,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == code, done.stderr
    return done.stderr if code else json.loads(done.stdout)


@dataclass
class Docker:
    """The part of Docker's API that Traefik reads. `containers`: labels by address; `asked`: the paths it wanted."""

    containers: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    port: int = 0

    def listing(self) -> list[dict[str, Any]]:
        return [{"Id": f"{number:064x}", "Names": [f"/server-{number}"]} for number, _ in enumerate(self.containers)]

    def container(self, number: int) -> dict[str, Any]:
        address, labels = list(self.containers.items())[number]
        port = next(value for name, value in labels.items() if name.endswith(".loadbalancer.server.port"))
        return {
            "Id": f"{number:064x}",
            "Name": f"/server-{number}",
            "State": {"Status": "running", "Running": True, "Health": {"Status": "healthy"}},
            "Config": {"Labels": labels},
            "HostConfig": {"NetworkMode": NETWORK},
            "NetworkSettings": {"Networks": {NETWORK: {"IPAddress": address}}, "Ports": {f"{port}/tcp": None}},
        }


@contextmanager
def docker(containers: dict[str, dict[str, str]]) -> Iterator[Docker]:
    """Docker's API on loopback."""
    state = Docker(containers)
    ending = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(None)

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            path = path.partition("/v1.")[2].partition("/")[2] or path.lstrip("/")
            state.asked.add(path.split("/")[0])
            if path == "containers/json":
                self.answer(state.listing())
            elif path.startswith("containers/"):
                self.answer(state.container(int(path.split("/")[1], 16)))
            elif path == "events":
                self.send_response(200)
                self.end_headers()
                ending.wait()
            else:
                self.answer({"ApiVersion": "1.47", "MinAPIVersion": "1.24", "Version": "27.0.0"})

        def answer(self, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Api-Version", "1.47")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        ending.set()
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Traefik:
    """A running Traefik: its entry point, and its own account of what it made of the labels."""

    port: int
    api: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str) -> Any:
        """Traefik's API, which only this test switches on."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api}/api/{path}") as answer:
            return json.load(answer)

    def serving(self, name: str) -> set[str]:
        """The replicas of a service that are up."""
        services = {each["name"]: each for each in self.ask("http/services")}
        status = services.get(f"{name}@docker", {}).get("serverStatus", {})
        return {url for url, state in status.items() if state == "UP"}


@contextmanager
def traefik(configuration: dict[str, Any], api: Docker, port: int, api_port: int, log: Path) -> Iterator[Traefik]:
    """Traefik with the command line of the compose file, except for where it listens and where Docker is."""
    instead = {
        "--providers.docker.endpoint": f"tcp://127.0.0.1:{api.port}",
        "--entrypoints.web.address": f"127.0.0.1:{port}",
    }
    options = dict(option.split("=", 1) for option in configuration["services"]["traefik"]["command"])
    assert instead.keys() <= options.keys()
    command = [f"{name}={value}" for name, value in (options | instead).items()]
    extra = ["--api.insecure=true", f"--entrypoints.traefik.address=127.0.0.1:{api_port}"]
    with log.open("w") as output:
        child = subprocess.Popen([BIN / "traefik", *command, *extra], stdout=output, stderr=output)
        try:
            yield Traefik(port, api_port)
        finally:
            child.terminate()
            child.wait()


def status(url: str) -> int:
    """The status that a URL answers with. Raises OSError when nothing answers."""
    try:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - http, on loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Returns once it holds."""
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {STARTING_SECONDS} s")
