"""`mcp-check` against servers that no one here wrote: the plain SDK, FastMCP, and a server without authentication."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bake import ROOT
from conftest import needed
from proxied import free_port

FOREIGN = ROOT / "tests" / "foreign"
FASTMCP = ROOT / "build" / "foreign" / "bin" / "python"
PROJECT = "project-test-00000000-0000-4000-8000-000000000001"
# Bounds a hang, nothing else.
HANGING_SECONDS = 120
STATUSES = ("holds", "fails", "not reached", "not applicable", "not asked")

Found = dict[str, tuple[str, str]]
"""Status and detail by the id of the check."""


@contextmanager
def served(python: str | Path, *command: str, port: int, **environment: str) -> Iterator[None]:
    """A server on a port of loopback, as a process; gone afterwards."""
    child = subprocess.Popen(
        [str(python), *command],
        env={**os.environ, "PORT": str(port), "AUDIENCE": PROJECT, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + HANGING_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                assert child.poll() is None, "the server ended before it answered"
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                break
        yield
    finally:
        child.terminate()
        child.wait(HANGING_SECONDS)


@pytest.fixture(scope="module")
def kit(default: Path) -> str:
    """Where the kit of a bake is."""
    return str(default / "kit")


@pytest.fixture(scope="module")
def issuer(kit: str) -> Iterator[str]:
    """A local Stytch, for servers that are not ours."""
    port = free_port()
    command = ("-m", "stytch_mcp_kit.local", "--port", str(port), "--scope", "notes:read", "--scope", "notes:write")
    with served(sys.executable, *command, port=port, PYTHONPATH=kit):
        yield f"http://127.0.0.1:{port}"


def checked(kit: str, url: str, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON of a run."""
    done = subprocess.run(
        [sys.executable, "-m", "stytch_mcp_kit.check", url, "--format", "json", *options],
        env={**os.environ, "PYTHONPATH": kit, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=HANGING_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def found(report: dict[str, Any]) -> Found:
    checks = {check["id"]: (check["status"], check["detail"]) for check in report["checks"]}
    assert all(status in STATUSES for status, _ in checks.values())
    assert not [detail for _, detail in checks.values() if "cannot be made sense of" in detail]
    return checks


def failing(checks: Found) -> set[str]:
    return {name for name, (status, _) in checks.items() if status == "fails"}


# Of its tools: no titles, no hints, no descriptions of arguments, no search and fetch.
PLAIN_TOOLS = {"TL-04", "TL-07", "TL-08", "TL-10", "SC-08"}
# Origin, null, GET and Host; both frameworks look at none when they are not told a public URL.
OPEN_DOORS = {"HO-01", "HO-02", "HO-03", "HO-04"}


@pytest.fixture(scope="module")
def plain_sdk(kit: str, issuer: str) -> Found:
    port = free_port()
    with served(sys.executable, str(FOREIGN / "sdk.py"), port=port, ISSUER=issuer):
        code, report = checked(kit, f"http://127.0.0.1:{port}/mcp", "--full")
    assert code == 1
    return found(report)


def test_the_plain_sdk_has_the_gaps_that_were_observed(plain_sdk: Found) -> None:
    """Those of the SDK's own authentication, mcp 2.3: each was first seen by hand."""
    assert plain_sdk["CH-01"][0] == "holds"
    assert plain_sdk["CH-06"] == ("fails", "the 401 has no scope parameter")
    assert plain_sdk["CH-09"] == ("fails", "error='invalid_token' although no token was sent")
    assert plain_sdk["CH-17"][0] == "holds", "a bad token gets error=invalid_token"
    assert plain_sdk["PR-03"][0] == "holds", "the path-inserted place"
    assert plain_sdk["PR-04"][0] == "fails", "the root place"
    assert "answered 404" in plain_sdk["PR-04"][1]
    assert plain_sdk["SC-01"][0] == "holds", "403 without the scope"
    assert plain_sdk["SC-03"] == ("fails", "there is no scope parameter")
    assert plain_sdk["HO-01"] == ("fails", "Origin https://attacker.example gets 200")
    assert plain_sdk["HO-04"] == ("fails", "Host attacker.example gets 200")


def test_the_plain_sdk_has_no_other_gaps(plain_sdk: Found) -> None:
    generic_verifier = {"TK-15", "TK-20", "TK-21", "TK-22"}
    expected = {"CH-06", "CH-09", "PR-04", "PR-19", "SC-03", "TK-08"}
    assert failing(plain_sdk) == expected | generic_verifier | PLAIN_TOOLS | OPEN_DOORS


@pytest.fixture(scope="module")
def fastmcp(kit: str, issuer: str) -> Found:
    python = needed(FASTMCP, "FastMCP", "make build/foreign/installed")
    port = free_port()
    with served(python, str(FOREIGN / "fast.py"), port=port, ISSUER=issuer):
        code, report = checked(kit, f"http://127.0.0.1:{port}/mcp", "--full")
    assert code == 1
    return found(report)


def test_fastmcp_has_the_gaps_that_were_observed(fastmcp: Found) -> None:
    for name in ("CH-01", "CH-04", "CH-06", "CH-09", "CH-17", "PR-03"):
        assert fastmcp[name][0] == "holds", name
    assert "answered 404" in fastmcp["PR-04"][1]
    assert fastmcp["HO-01"] == ("fails", "Origin https://attacker.example gets 200")
    assert fastmcp["HO-04"] == ("fails", "Host attacker.example gets 200")


def test_fastmcp_has_no_other_gaps(fastmcp: Found) -> None:
    """JWTVerifier itself takes missing scopes for a bad token (401), so nothing steps up."""
    verifier = {"TK-15", "TK-20", "TK-22", "SC-01"}
    tools = PLAIN_TOOLS - {"TL-04"}
    assert failing(fastmcp) == {"PR-04", "PR-19", "TK-08"} | verifier | tools | OPEN_DOORS


def test_a_server_without_authentication_fails_at_the_first_hop(kit: str, issuer: str) -> None:
    port = free_port()
    with served(sys.executable, str(FOREIGN / "sdk.py"), port=port, ISSUER=issuer, AUTH="none"):
        code, report = checked(kit, f"http://127.0.0.1:{port}/mcp")
    checks = found(report)
    assert code == 1
    assert report["first_broken"] == "CH-01"
    assert checks["CH-01"] == ("fails", "200: everyone may use this server")
    assert failing(checks) == {"CH-01", "PR-19"} | OPEN_DOORS | (PLAIN_TOOLS - {"SC-08"})
    assert {checks[name][0] for name in ("PR-01", "AS-01", "JW-01")} == {"not reached"}
    assert checks["PT-01"][0] == "holds", "what needs a token elsewhere can be seen here without one"
    assert not any(client["would_connect"] for client in report["clients"])


def test_hosted_clients_would_connect_to_what_only_has_smaller_gaps(kit: str, issuer: str) -> None:
    port = free_port()
    with served(sys.executable, str(FOREIGN / "sdk.py"), port=port, ISSUER=issuer):
        code, report = checked(kit, f"http://127.0.0.1:{port}/mcp")
    assert code == 0, "looking only, no MUST fails"
    outlooks = {client["client"]: (client["registration"], client["would_connect"]) for client in report["clients"]}
    assert outlooks["claude-code"] == ("cimd", True)
    assert outlooks["vscode"] == ("cimd", True)
    assert outlooks["cursor"] == ("dcr", None)
    assert outlooks["claude"] == ("cimd", None), "it cannot reach this machine"
