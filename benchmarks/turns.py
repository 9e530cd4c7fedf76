"""Servers that are compared by taking turns under load."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Mapping
from typing import Final, TypeVar

from effort import Effort
from latency import percentile
from load import Load

VALUES: Final = ("per_second", "p50", "p99", "processor")
Name = TypeVar("Name", bound=Hashable)


def compare(loads: Mapping[Name, Load], effort: Effort) -> dict[Name, dict[str, list[float]]]:
    """A value for each round: calls per second, milliseconds of waiting, microseconds of processor for a call."""
    found: dict[Name, dict[str, list[float]]] = {name: {what: [] for what in VALUES} for name in loads}
    for _ in range(effort.warming):
        for load in loads.values():
            load.burst(effort.calls(load.connections))
    for _ in range(effort.rounds):
        turns: dict[Name, list[tuple[float, float]]] = {name: [] for name in loads}
        for load in loads.values():
            load.latencies.clear()
        for _ in range(effort.turns):
            for name, load in loads.items():
                turns[name].append(_turn(load, effort.calls(load.connections)))
        for name, load in loads.items():
            count = effort.calls(load.connections)
            seconds, used = (statistics.median(values) for values in zip(*turns[name], strict=True))
            note(
                found[name],
                per_second=count / seconds,
                p50=percentile(load.latencies, 0.5) * 1e3,
                p99=percentile(load.latencies, 0.99) * 1e3,
                processor=used / count * 1e6,
            )
    return found


def _turn(load: Load, count: int) -> tuple[float, float]:
    """Seconds for so many calls, by the clock and by the servers' processor."""
    before = sum(server.cpu_seconds() for server in load.servers)
    seconds = load.burst(count)
    return seconds, sum(server.cpu_seconds() for server in load.servers) - before


def note(row: dict[str, list[float]], **values: float) -> None:
    """Adds a round's values, in four digits."""
    for what, value in values.items():
        row[what].append(float(f"{value:.4g}"))
