"""What results.json says, as Markdown: for the screen, and for the page of the site."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

NAMES: Final = {
    "generated": "generated server",
    "ungated": "generated server without its gate",
    "bare": "Python SDK, no authentication",
    "sdk": "Python SDK, its own authentication",
    "fastmcp": "FastMCP with JWTVerifier",
    "fastmcp-quick": "FastMCP, uvloop and httptools added",
    "typescript": "TypeScript SDK on Node.js 22",
    "starlette": "Starlette, no MCP",
}
GOALS: Final = (
    ("ungated", "2025-11-25", 0.95),
    ("ungated", "2026-07-28", 0.95),
    ("fastmcp", "2025-11-25", 2.0),
    ("fastmcp", "2026-07-28", 3.2),
    ("fastmcp-quick", "2025-11-25", 2.0),
    ("fastmcp-quick", "2026-07-28", 3.2),
    ("typescript", "2025-11-25", 1.0),
    ("typescript", "2026-07-28", 1.0),
)
MEMORY_GOAL: Final = 0.5
# Of what is shown for one number of connections only.
CONNECTIONS: Final = 16


def peers(found: dict[str, Any]) -> str:
    """The tables of one run of `peers`."""
    counts = connections(found)
    each = [f"{count} connection{'s' if count > 1 else ''}" for count in counts]
    parts = [
        "Throughput of the generated server, in that of another: the median of the rounds' ratios.",
        table(["In that of", "Protocol", "Goal", *each], _goals(found)),
        _memory_goal(found),
    ]
    for era in dict.fromkeys(row["era"] for row in found["calls"]):
        head = ["Server", *(f"calls/s, {count}" for count in counts), *(f"p50, p99 ms, {count}" for count in counts)]
        parts += [
            f"### Calls on {era}",
            f"By the number of connections; the processor time of a call with {CONNECTIONS}.",
            table([*head, "processor µs"], _speeds(found, era)),
        ]
    rows = [
        [NAMES[row["server"]], *(number(row[what]) for what in ("idle", "loaded", "start"))]
        for row in found["footprint"]
    ]
    head = ["Server", "RSS MiB after the first call", "RSS MiB after load", "start s"]
    return "\n\n".join([*parts, "### Memory and start", table(head, rows)])


def growth(found: dict[str, Any]) -> str:
    """The tables of one run of `growth`."""
    eras = [key for key in found["tools"][0] if key.startswith("20")]
    tools = [
        [
            f"{row['tools']:,}",
            *(number(row[era]) for era in eras),
            number(row["tools/list"]),
            number([row["memory"]]),
        ]
        for row in found["tools"]
    ]
    tokens = [
        [
            f"{row['tokens']:,}",
            number(row["processor"]),
            number(row["p99"]),
            *(number([row[what]]) for what in ("idle", "filled", "loaded")),
        ]
        for row in found["tokens"]
    ]
    replicas = [
        [
            str(row["replicas"]),
            *(number(row[what]) for what in ("per_second", "processor", "p99")),
            number([row["memory"]]),
        ]
        for row in found["replicas"]
    ]
    return "\n\n".join(
        [
            "### Tools",
            table(["Tools", *(f"call on {era}, µs" for era in eras), "tools/list, µs", "RSS MiB"], tools),
            "### Distinct tokens",
            table(
                [
                    "Tokens",
                    "call, µs",
                    "p99 ms",
                    "RSS MiB after the first call",
                    "after each token was used",
                    "after further calls",
                ],
                tokens,
            ),
            "### Replicas",
            table(["Replicas", "calls/s", "call, µs", "p99 ms", "RSS MiB of all"], replicas),
        ]
    )


def packages(found: dict[str, Any]) -> str:
    """The table of one run of `packages`, with each column's share."""
    rows = found["packages"]
    columns = [name for name in rows[0] if name != "package"]
    whole = {column: sum(row[column] for row in rows) for column in columns}
    titles = ["Package", *(f"{NAMES[server]}, {era}" for server, era in (column.split(" ") for column in columns))]
    cells = [
        [f"`{row['package']}`", *(f"{row[column]:,.0f} µs, {row[column] / whole[column]:.0%}" for column in columns)]
        for row in rows
    ]
    return table(titles, [*cells, ["all", *(f"{whole[column]:,.0f} µs" for column in columns)]])


def connections(found: dict[str, Any]) -> list[int]:
    """The numbers of connections that were measured."""
    return list(dict.fromkeys(row["connections"] for row in found["calls"]))


def ratio(found: dict[str, Any], other: str, era: str, count: int) -> float:
    """The throughput of the generated server in that of another: the median of the rounds' ratios."""
    series = {
        row["server"]: row["per_second"] for row in found["calls"] if row["era"] == era and row["connections"] == count
    }
    return median_ratio(series["generated"], series[other])


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Round by round, so that only neighbours in time are compared."""
    return statistics.median(our / their for our, their in zip(ours, theirs, strict=True))


def _goals(found: dict[str, Any]) -> Iterator[list[str]]:
    for other, era, goal in GOALS:
        ratios = [ratio(found, other, era, count) for count in connections(found)]
        marked = [f"{each:.3g}" if each >= goal else f"{each:.3g} MISSED" for each in ratios]
        yield [NAMES[other], era, f"at least {goal:g}", *marked]


def _memory_goal(found: dict[str, Any]) -> str:
    loaded = {row["server"]: row["loaded"] for row in found["footprint"]}
    value = median_ratio(loaded["generated"], loaded["typescript"])
    verdict = "met" if value <= MEMORY_GOAL else "MISSED"
    name = NAMES["typescript"]
    said = f"Memory after load, in that of the {name}: {value:.3g}. The goal, at most {MEMORY_GOAL:g}, is {verdict}."
    alone = median_ratio(loaded["bare"], loaded["typescript"])
    if min(value, alone) <= MEMORY_GOAL:
        return said
    return f"{said} The Python SDK alone, without anything of this project, takes {alone:.3g} of it."


def _speeds(found: dict[str, Any], era: str) -> Iterator[list[str]]:
    rows = {(row["server"], row["connections"]): row for row in found["calls"] if row["era"] == era}
    for name in dict.fromkeys(row["server"] for row in found["calls"]):
        each = [rows[name, count] for count in connections(found)]
        waiting = [f"{number(row['p50'])}, {number(row['p99'])}" for row in each]
        processor = number(rows[name, CONNECTIONS]["processor"])
        yield [NAMES[name], *(number(row["per_second"]) for row in each), *waiting, processor]


def number(values: Sequence[float]) -> str:
    """The median, in three digits where there are no more before the point."""
    median = statistics.median(values)
    return f"{median:,.0f}" if median >= 100 else f"{median:.3g}"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (titles, ["---"] * len(titles), *rows))
