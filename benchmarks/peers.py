"""The generated server beside servers of other frameworks: calls, memory and start, all in one run."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import calls
import fake_issuer
from latency import percentile
from load import Load, load
from processes import HERE, Server, issuing, process, settings, wait_for

BUILD: Final = HERE.parent / "build"
OTHERS: Final = str(HERE / "others.py")
COMMANDS: Final[dict[str, tuple[str | Path, ...]]] = {
    "generated": ("python", "-m", "notes_mcp", "serve", "--env-file", os.devnull),
    "ungated": ("python", str(HERE / "servers.py"), "open"),
    "sdk": ("python", OTHERS, "sdk"),
    "fastmcp": (BUILD / "foreign/bin/python", OTHERS, "fastmcp"),
    "fastmcp-quick": (BUILD / "foreign/bin/python", OTHERS, "fastmcp-quick"),
    "typescript": (BUILD / "inspector/node_modules/.bin/node", str(BUILD / "typescript/server.mjs")),
    "starlette": ("python", OTHERS, "starlette"),
}
ERAS: Final = (calls.LEGACY, calls.MODERN)
PACKAGES: Final = ("mcp", "starlette", "uvicorn", "uvloop", "httptools", "PyJWT", "cryptography")


@dataclass(frozen=True)
class Effort:
    """How much is measured. A turn is so short that what else the machine does meets all servers alike."""

    rounds: int = 5
    turns: int = 5
    calls_per_turn: int = 96
    warming: int = 600
    working: int = 1500
    connections: tuple[int, ...] = (1, 16, 64)


TINY: Final = Effort(rounds=1, turns=1, calls_per_turn=8, warming=8, working=8, connections=(4,))


def measure(effort: Effort | None = None) -> dict[str, Any]:
    """Every value of every round, in the form in which results.json keeps it."""
    effort = effort or Effort()
    before = os.getloadavg()[0]
    with issuing() as issuer:
        (token,) = issuer.get("/bench/tokens/1")
        footprint = _footprint(issuer, token, effort)
        measured = _calls(issuer, token, effort)
    return {
        "taken": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}",
        "load": [round(before, 2), round(os.getloadavg()[0], 2)],
        "versions": {name: version(name) for name in PACKAGES},
        "effort": {"rounds": effort.rounds, "calls a round": effort.turns * effort.calls_per_turn},
        "calls": measured,
        "footprint": footprint,
    }


@contextmanager
def _serving(name: str, issuer: Server) -> Iterator[Server]:
    program, *arguments = COMMANDS[name]
    chosen = {} if program == "python" else {"program": program}
    environment = {**settings(issuer), "ISSUER": issuer.url, "AUDIENCE": fake_issuer.PROJECT_ID}
    with process(*map(str, arguments), **chosen, **environment) as server:  # type: ignore[arg-type]
        wait_for(server.port)
        yield server


def _footprint(issuer: Server, token: str, effort: Effort) -> list[dict[str, Any]]:
    """Seconds to the first answer, and resident MiB after it and after work: a new process in each round."""
    rows = {name: {"server": name, "start": [], "idle": [], "loaded": []} for name in COMMANDS}
    for _ in range(effort.rounds):
        for name, row in rows.items():
            began = time.perf_counter()
            with _serving(name, issuer) as server:
                server.call(calls.MODERN, token)
                _note(row, start=time.perf_counter() - began, idle=server.memory()[0])
                for era in ERAS:
                    with load(server, era, token, connections=16) as calling:
                        calling.burst(effort.working)
                _note(row, loaded=server.memory()[0])
    return list(rows.values())


def _calls(issuer: Server, token: str, effort: Effort) -> list[dict[str, Any]]:
    """Calls per second, milliseconds of waiting, and microseconds of processor per call; the servers take turns."""
    rows = []
    with ExitStack() as stack:
        servers = {name: stack.enter_context(_serving(name, issuer)) for name in COMMANDS}
        for era in ERAS:
            for connections in effort.connections:
                with ExitStack() as opened:
                    loads = {
                        name: opened.enter_context(load(server, era, token, connections=connections))
                        for name, server in servers.items()
                    }
                    for each in loads.values():
                        each.burst(effort.warming)
                    found: dict[str, dict[str, Any]] = {
                        name: {"server": name, "era": era, "connections": connections}
                        | {what: [] for what in ("per_second", "p50", "p99", "processor")}
                        for name in servers
                    }
                    for _ in range(effort.rounds):
                        _round(found, servers, loads, effort)
                    rows.extend(found.values())
    return rows


def _round(rows: dict[str, dict[str, Any]], servers: dict[str, Server], loads: dict[str, Load], effort: Effort) -> None:
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    for each in loads.values():
        each.latencies.clear()
    for _ in range(effort.turns):
        for name, server in servers.items():
            before = server.cpu_seconds()
            seconds = loads[name].burst(effort.calls_per_turn)
            turns[name].append((seconds, server.cpu_seconds() - before))
    for name, row in rows.items():
        _note(
            row,
            per_second=effort.calls_per_turn / statistics.median(seconds for seconds, _ in turns[name]),
            p50=percentile(loads[name].latencies, 0.5) * 1e3,
            p99=percentile(loads[name].latencies, 0.99) * 1e3,
            processor=statistics.median(used for _, used in turns[name]) / effort.calls_per_turn * 1e6,
        )


def _note(row: dict[str, Any], **values: float) -> None:
    for what, value in values.items():
        row[what].append(float(f"{value:.4g}"))
