"""What the gate costs a call: the protected server against the same one without it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final

import calls
from figures import Figure, figure
from load import Load, load
from processes import TOOL, Server, issuing, kind

CONNECTIONS: Final = (1, 8, 32)
ROUNDS: Final = 7
# Turns of a tenth of a second: a virtual machine is faster and slower from one second to the next.
TURNS: Final = 12
CALLS_PER_TURN: Final = 96
WARM_CALLS: Final = 1500


def figures() -> Iterator[Figure]:
    """Throughput and processor time per call, for both eras and all numbers of connections."""
    with issuing() as issuer, kind("protected", issuer) as protected, kind("open", issuer) as unprotected:
        (token,) = issuer.get("/bench/tokens/1")
        for era in (calls.LEGACY, calls.MODERN):
            for connections in CONNECTIONS:
                with (
                    load(protected, era, token, connections=connections) as ours,
                    load(unprotected, era, token, connections=connections) as other,
                ):
                    for each in (ours, other):
                        each.burst(WARM_CALLS)
                    what = f"{era} {TOOL}, {connections} connection{'s' if connections > 1 else ''}"
                    yield from _compare(what, (protected, ours), (unprotected, other))


def _compare(what: str, ours: tuple[Server, Load], other: tuple[Server, Load]) -> Iterator[Figure]:
    """Each round is the median of its turns, each turn a comparison of two neighbours in time."""
    speeds, costs, seconds, extra = [], [], [], []
    for _ in range(ROUNDS):
        turns = [(_turn(*ours), _turn(*other)) for _ in range(TURNS)]
        speeds.append(statistics.median(without[0] / with_gate[0] for with_gate, without in turns))
        costs.append(statistics.median(without[1] / with_gate[1] for with_gate, without in turns))
        extra.append(statistics.median(with_gate[1] - without[1] for with_gate, without in turns))
        seconds.append(statistics.median(with_gate[0] for with_gate, _ in turns))
    note = f"{1 / statistics.median(seconds):.0f}/s protected"
    yield figure(f"{what}: throughput", speeds, at_least=0.95, note=note)
    note = f"the gate takes {statistics.median(extra) * 1e6:.0f} us"
    yield figure(f"{what}: calls per second of processor", costs, note=note)


def _turn(server: Server, calling: Load) -> tuple[float, float]:
    """Seconds per call, by the clock and by the server's processor."""
    before = server.cpu_seconds()
    seconds = calling.burst(CALLS_PER_TURN)
    return seconds / CALLS_PER_TURN, (server.cpu_seconds() - before) / CALLS_PER_TURN
