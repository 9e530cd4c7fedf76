"""What a benchmark yields: figures with their goals, and the table they are printed in."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

ROUNDS = 5


@dataclass(frozen=True)
class Figure:
    """A median of rounds. `low` and `high` are the extremes; `goal` is a bound, or None where there is only a look."""

    what: str
    median: float
    low: float
    high: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.at_least is not None:
            return self.median >= self.at_least
        return None if self.at_most is None else self.median <= self.at_most

    @property
    def goal(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}{self.unit}"
        return "" if self.at_most is None else f"<= {self.at_most:g}{self.unit}"


def figure(
    what: str,
    values: Sequence[float],
    unit: str = "",
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    note: str = "",
) -> Figure:
    """The figure of some rounds."""
    return Figure(what, statistics.median(values), min(values), max(values), unit, at_least, at_most, note)


def ratios(rounds: Iterable[dict[str, float]], ours: str, other: str) -> list[float]:
    """Round by round, so that only neighbours in time are compared."""
    return [values[ours] / values[other] for values in rounds]


def show(console: Console, title: str, figures: Iterable[Figure]) -> None:
    """Prints one table, as it stands in README.md."""
    table = Table("figure", "median", "low ... high", "goal", "", "note", box=box.MARKDOWN, pad_edge=False)
    verdicts = {True: "met", False: "MISSED", None: ""}
    for each in figures:
        value = f"{each.median:.3g}{each.unit}"
        extremes = f"{each.low:.3g} ... {each.high:.3g}"
        table.add_row(each.what, value, extremes, each.goal, verdicts[each.met], each.note)
    console.print(f"## {title}\n")
    console.print(table)
