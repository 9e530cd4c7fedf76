"""The generated server beside servers of other frameworks: calls, memory and start, all in one run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import calls
import fake_issuer
from effort import Effort
from load import load
from processes import HERE, Server, issuing, process, settings, wait_for
from turns import compare, note

BUILD: Final = HERE.parent / "build"
FOREIGN: Final = BUILD / "foreign"
MODULES: Final = BUILD / "typescript" / "node_modules"
NODE: Final = BUILD / "inspector" / "node_modules" / "node"
OTHERS: Final = str(HERE / "others.py")
COMMANDS: Final[dict[str, tuple[str | Path, ...]]] = {
    "generated": ("python", "-m", "notes_mcp", "serve", "--env-file", os.devnull),
    "ungated": ("python", str(HERE / "servers.py"), "open"),
    "bare": ("python", OTHERS, "bare"),
    "sdk": ("python", OTHERS, "sdk"),
    "fastmcp": (FOREIGN / "bin" / "python", OTHERS, "fastmcp"),
    "fastmcp-quick": (FOREIGN / "bin" / "python", OTHERS, "fastmcp-quick"),
    "typescript": (NODE / "bin" / "node", MODULES.parent / "server.mjs"),
    "starlette": ("python", OTHERS, "starlette"),
}
ERAS: Final = (calls.LEGACY, calls.MODERN)
PACKAGES: Final = ("mcp", "starlette", "uvicorn", "uvloop", "httptools", "PyJWT", "cryptography")
WEIGHED_AT: Final = 16  # connections


def measure(effort: Effort) -> dict[str, Any]:
    """Every value of every round, in the form in which results.json keeps it."""
    with issuing() as issuer:
        (token,) = issuer.get("/bench/tokens/1")
        return {
            "versions": versions(),
            "footprint": footprint(issuer, token, effort),
            "calls": speeds(issuer, token, effort),
        }


def versions() -> dict[str, str]:
    """Of what is compared."""
    (fastmcp,) = FOREIGN.glob("lib/*/site-packages/fastmcp-[0-9]*.dist-info")
    sdk = MODULES / "@modelcontextprotocol" / "server"
    found = {name: version(name) for name in PACKAGES}
    found["FastMCP"] = fastmcp.name.removesuffix(".dist-info").partition("-")[2]
    for name, package in {"@modelcontextprotocol/server": sdk, "jose": MODULES / "jose", "Node.js": NODE}.items():
        found[name] = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    return found


@contextmanager
def serving(name: str, issuer: Server, before: Sequence[str] = (), **changes: str) -> Iterator[Server]:
    """One of COMMANDS, listening. `before` is a script, with arguments, that runs a Python server."""
    program, *arguments = map(str, COMMANDS[name])
    arguments = [*before, *arguments]
    chosen = {} if program == "python" else {"program": program}
    environment = {**settings(issuer), "ISSUER": issuer.url, "AUDIENCE": fake_issuer.PROJECT_ID, **changes}
    with process(*arguments, **chosen, **environment, NODE_ENV="production") as server:
        wait_for(server.port)
        yield server


def footprint(issuer: Server, token: str, effort: Effort) -> list[dict[str, Any]]:
    """Seconds to the first answer, and resident MiB after it and after work: a new process in each round."""
    rows: dict[str, dict[str, list[float]]] = {name: {"start": [], "idle": [], "loaded": []} for name in COMMANDS}
    for _ in range(effort.rounds):
        for name, row in rows.items():
            began = time.perf_counter()
            with serving(name, issuer) as server:
                server.call(calls.MODERN, token)
                note(row, start=time.perf_counter() - began, idle=server.memory()[0])
                for era in ERAS:
                    with load(server, era, token, connections=WEIGHED_AT) as calling:
                        calling.burst(effort.working)
                note(row, loaded=server.memory()[0])
    return [{"server": name, **row} for name, row in rows.items()]


def speeds(issuer: Server, token: str, effort: Effort) -> list[dict[str, Any]]:
    rows = []
    with ExitStack() as stack:
        servers = {name: stack.enter_context(serving(name, issuer)) for name in COMMANDS}
        for era in ERAS:
            for connections in effort.connections:
                with ExitStack() as opened:
                    loads = {
                        name: opened.enter_context(load(server, era, token, connections=connections))
                        for name, server in servers.items()
                    }
                    for name, values in compare(loads, effort).items():
                        rows.append({"server": name, "era": era, "connections": connections, **values})
    return rows
