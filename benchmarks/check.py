"""A run of the checklist over loopback, as a person starts it, against `dev`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from figures import ROUNDS, Figure, figure
from processes import BenchmarkError

BAKED: Final = Path("build/bench/notes-mcp")
GOALS: Final = {"passive": 3.0, "register": None, "login": None, "full": 15.0}


def figures() -> Iterator[Figure]:
    """Every depth in turn, round after round; the start of the interpreter is in it."""
    taken: dict[str, list[float]] = {depth: [] for depth in GOALS}
    reports: dict[str, dict[str, Any]] = {}
    with _dev() as url:
        for _ in range(ROUNDS):
            for depth in GOALS:
                began = time.perf_counter()
                reports[depth] = _check(url, *([] if depth == "passive" else [f"--{depth}"]))
                taken[depth].append(time.perf_counter() - began)
    for depth, goal in GOALS.items():
        report = reports[depth]
        asked = sum(check["status"] != "not asked" for check in report["checks"])
        note = f"{asked} checks, {report['requests']} requests, {report['seconds']:.2f} s without the start"
        yield figure(depth, taken[depth], " s", at_most=goal, note=note)


def _environment() -> dict[str, str]:
    path = os.pathsep.join(str(BAKED.resolve() / part) for part in ("src", "kit"))
    return {**os.environ, "PYTHONPATH": path}


def _check(url: str, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "notes_mcp", "check", url, "--format", "json", *options],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"check exited with {done.returncode}: {done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@contextmanager
def _dev() -> Iterator[str]:
    """The MCP URL of a server with local Stytch."""
    command = [sys.executable, "-m", "notes_mcp", "dev", "--port", "0", "--auto-approve", "--json"]
    with subprocess.Popen(
        command, cwd=BAKED, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            raise BenchmarkError("dev ended before it was ready")
        try:
            yield json.loads(line)["mcp_url"]
        finally:
            child.terminate()
