"""Servers under uvicorn, as processes, on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

ROOT = Path(__file__).parents[1]
STATIC_TOKEN = "mcp_token-of-the-tests"
# `dev` starts slower on a busy machine; this bounds a hang, nothing else.
STARTING_SECONDS = 120
# JSON Web Tokens, static tokens, what Stytch's secrets begin with, and parameters that carry a secret in a URL.
SECRETS = re.compile(r"eyJ[\w-]{20,}|mcp_token|secret-(test|live)-|[?&](code|token|state|code_verifier)=")


def package() -> str:
    """The owner's package: the one beside the runtime that defines a server."""
    (found,) = [path.parent.name for path in (ROOT / "src").glob("*/server.py")]
    return found


@contextmanager
def process(*arguments: str, crashes: bool = False, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process in the project's folder; ended with SIGTERM.

    Its log has a traceback if `crashes`, else none, and in no case a token, a code or a secret.
    """
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "kit"), str(ROOT)])
    # A file takes any amount of log; a pipe that nobody reads would stop the process.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            child.communicate(timeout=STARTING_SECONDS)
            log.seek(0)
            written = log.read()
            assert ("Traceback" in written) is crashes, written
            assert not SECRETS.search(written), "a token, a code or a secret was logged"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def dev() -> Iterator[dict[str, Any]]:
    """`dev --json --auto-approve`: the server, local Stytch and the upstream stand-in."""
    token = f"tests|{hashlib.sha256(STATIC_TOKEN.encode()).hexdigest()}|"
    # Baked for another API the server may insist on a credential; `dev` gives it one.
    with process(package(), "dev", "--port", "0", "--json", "--auto-approve", BEARER_TOKENS=token) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line, "dev ended before it was ready"
        yield json.loads(line)


@contextmanager
def probe_server(
    crashes: bool = False, module: str = "tests.probe", **environment: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The server of tests/probe.py, entered with a static token; no issuer is asked."""
    port = free_port()
    settings = {
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "SCOPE_MODE": "custom",
        "STYTCH_DOMAIN": "http://127.0.0.1:9",
        "STYTCH_PROJECT_ID": "project-test-00000000-0000-4000-8000-000000000000",
        "BEARER_TOKENS": f"tests|{hashlib.sha256(STATIC_TOKEN.encode()).hexdigest()}|notes:read",
        **environment,
    }
    with process(module, "serve", "--env-file", os.devnull, crashes=crashes, **settings) as child:
        wait_for(f"http://127.0.0.1:{port}/health", child)
        yield f"http://127.0.0.1:{port}/mcp", child


@contextmanager
def owners_server(port: int, **environment: str) -> Iterator[str]:
    """The owner's server with these settings, on a port that the next one can have again. Gives the MCP URL."""
    origin = f"http://127.0.0.1:{port}"
    settings = {
        "PUBLIC_URL": origin,
        "PORT": str(port),
        "SCOPE_MODE": "custom",
        "UPSTREAM_URL": "http://127.0.0.1:9",
        "UPSTREAM_TOKEN": "of-the-tests",
        **environment,
    }
    with process(package(), "serve", "--env-file", os.devnull, crashes=False, **settings) as child:
        wait_for(f"{origin}/health", child)
        yield f"{origin}/mcp"


@contextmanager
def running(app: ASGIApp, listener: socket.socket, lifespan: Literal["on", "off"] = "off") -> Iterator[None]:
    """An application under uvicorn, in a thread of this process."""
    config = uvicorn.Config(app, lifespan=lifespan, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def stand_in(app: ASGIApp, port: int) -> Iterator[None]:
    """An application that runs on a port of loopback."""
    with socket.create_server(("127.0.0.1", port)) as listener, running(app, listener):
        yield


def wait_for(url: str, child: subprocess.Popen[str]) -> None:
    """Returns when the URL answers."""
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline:
        try:
            httpx.get(url, trust_env=False)
        except httpx.HTTPError:
            assert child.poll() is None, "the server ended before it answered"
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{url} did not answer")
