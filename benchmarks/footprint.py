"""What a server takes to start and to run, against the same without the gate and against the bare SDK."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Final

import calls
from figures import ROUNDS, Figure, figure, ratios
from load import load
from processes import HERE, Server, issuing, process, settings, wait_for
from servers import REPORT

CALLS: Final = 2000
COMMANDS: Final = {
    "served": ("-m", "notes_mcp", "serve", "--env-file", os.devnull),
    **{kind: (str(HERE / "servers.py"), kind) for kind in ("protected", "open", "bare")},
}


def figures() -> Iterator[Figure]:
    """Each server is started anew in each round, asked at once, put under load, and weighed."""
    starts, resident, proportional, imported = [], [], [], []
    with issuing() as issuer:
        (token,) = issuer.get("/bench/tokens/1")
        for _ in range(ROUNDS):
            start, rss, pss = {}, {}, {}
            for name, command in COMMANDS.items():
                began = time.perf_counter()
                with process(*command, **settings(issuer)) as server:
                    wait_for(server.port)
                    server.call(calls.MODERN, token)
                    start[name] = time.perf_counter() - began
                    _work(server, token)
                    rss[name], pss[name] = server.memory()
                    if name == "protected":
                        imported.append(_of_stytch(server))
            starts.append(start)
            resident.append(rss)
            proportional.append(pss)
    for what, rounds in (("RSS", resident), ("PSS", proportional)):
        median = {name: figure("", [each[name] for each in rounds]).median for name in COMMANDS}
        note = "{protected:.1f} and {open:.1f} MiB".format(**median)
        yield figure(f"{what} with and without the gate", ratios(rounds, "protected", "open"), at_most=1.05, note=note)
        note = "{served:.1f} and {bare:.1f} MiB".format(**median)
        yield figure(f"{what} against the bare SDK", ratios(rounds, "served", "bare"), at_most=1.2, note=note)
    median = {name: figure("", [each[name] for each in starts]).median for name in COMMANDS}
    note = "{served:.2f} and {bare:.2f} s".format(**median)
    yield figure("start to first answered call", ratios(starts, "served", "bare"), at_most=1.5, note=note)
    yield figure("modules of the stytch SDK after these calls", imported, at_most=0)


def _work(server: Server, token: str) -> None:
    for era in (calls.LEGACY, calls.MODERN):
        with load(server, era, token, connections=8) as calling:
            calling.burst(CALLS)


def _of_stytch(server: Server) -> int:
    return sum(name.partition(".")[0] == "stytch" for name in server.get(REPORT)["modules"])
