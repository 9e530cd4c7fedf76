"""Servers that are compared by taking turns under load."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from effort import Effort
from latency import percentile
from load import Load
from processes import Server

VALUES: Final = ("per_second", "p50", "p99", "processor")
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Contender:
    """A load, and the servers that it is on."""

    servers: Sequence[Server]
    load: Load

    def turn(self, count: int) -> tuple[float, float]:
        """Seconds for so many calls, by the clock and by the servers' processor."""
        before = sum(server.cpu_seconds() for server in self.servers)
        seconds = self.load.burst(count)
        return seconds, sum(server.cpu_seconds() for server in self.servers) - before


def compare(contenders: Mapping[Name, Contender], effort: Effort) -> dict[Name, dict[str, list[float]]]:
    """A value for each round: calls per second, milliseconds of waiting, microseconds of processor for a call."""
    found: dict[Name, dict[str, list[float]]] = {name: {what: [] for what in VALUES} for name in contenders}
    # In turns too: a server closes a connection that waits for some seconds.
    for _ in range(effort.warming):
        for each in contenders.values():
            each.load.burst(effort.calls_per_turn)
    for _ in range(effort.rounds):
        turns: dict[Name, list[tuple[float, float]]] = {name: [] for name in contenders}
        for each in contenders.values():
            each.load.latencies.clear()
        for _ in range(effort.turns):
            for name, each in contenders.items():
                turns[name].append(each.turn(effort.calls_per_turn))
        for name, each in contenders.items():
            seconds, used = (statistics.median(values) for values in zip(*turns[name], strict=True))
            note(
                found[name],
                per_second=effort.calls_per_turn / seconds,
                p50=percentile(each.load.latencies, 0.5) * 1e3,
                p99=percentile(each.load.latencies, 0.99) * 1e3,
                processor=used / effort.calls_per_turn * 1e6,
            )
    return found


def note(row: dict[str, list[float]], **values: float) -> None:
    """Adds a round's values, in four digits."""
    for what, value in values.items():
        row[what].append(float(f"{value:.4g}"))
