"""Where the time of a call goes, package by package: a profile of the generated server and of the SDK alone."""

from __future__ import annotations

import os
import pstats
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from effort import Effort
from load import load
from peers import ERAS, serving
from processes import HERE, STARTING_SECONDS, BenchmarkError, Server, issuing
from shares import by_package

SERVERS: Final = ("generated", "bare")
CONNECTIONS: Final = 16
# The largest are named, the others are taken together.
NAMED: Final = 10
OTHERS: Final = "others"


def measure(effort: Effort) -> dict[str, Any]:
    """Microseconds for a call under the profiler, in the form in which results.json keeps it."""
    found = {}
    with issuing() as issuer, TemporaryDirectory() as folder:
        (token,) = issuer.get("/bench/tokens/1")
        for name in SERVERS:
            for era in ERAS:
                file = Path(folder, f"{name}-{era}")
                with (
                    serving(name, issuer, before=(str(HERE / "profiled.py"), str(file))) as server,
                    load(server, era, token, connections=CONNECTIONS) as calling,
                ):
                    calling.burst(effort.working)
                    os.kill(server.pid, signal.SIGUSR1)
                    calling.burst(effort.working)
                    _written(server, file)
                found[f"{name} {era}"] = by_package(pstats.Stats(str(file)), effort.working)
    known = {package for each in found.values() for package in each}
    total = {package: sum(each.get(package, 0) for each in found.values()) for package in sorted(known)}
    named = sorted(total, key=lambda package: -total[package])[:NAMED]
    rest = known.difference(named)
    sums = {package: {package} for package in named} | {OTHERS: rest}
    rows = [
        {"package": name, **{key: round(sum(each.get(one, 0) for one in of), 1) for key, each in found.items()}}
        for name, of in sums.items()
    ]
    return {"packages": rows}


def _written(server: Server, file: Path) -> None:
    """Ends the profile and returns when the file is there."""
    os.kill(server.pid, signal.SIGUSR1)
    deadline = time.monotonic() + STARTING_SECONDS
    while not file.exists():
        if time.monotonic() > deadline:
            raise BenchmarkError("the profile was not written")
        time.sleep(0.01)
