"""What results.json says, as Markdown: for the screen, and for the page of the site."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

NAMES: Final = {
    "generated": "generated server",
    "ungated": "the same without its gate",
    "sdk": "Python SDK, its own authentication",
    "fastmcp": "FastMCP, as it installs",
    "fastmcp-quick": "FastMCP, with uvloop and httptools",
    "typescript": "TypeScript SDK on Node.js 22",
    "starlette": "Starlette alone, no SDK",
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


def peers(found: dict[str, Any]) -> str:
    """The tables of one run of `peers`."""
    parts = [table(("throughput of the generated server, in that of", "era", "connections", "ratio", "goal", ""), _goals(found))]
    for era in dict.fromkeys(row["era"] for row in found["calls"]):
        parts.append(f"### {era}")
        parts.append(table(("server", "connections", "calls/s", "p50 ms", "p99 ms", "processor us"), _speeds(found, era)))
    parts.append("### Memory and start")
    rows = [
        (NAMES[row["server"]], *(f"{statistics.median(row[what]):.3g}" for what in ("idle", "loaded", "start")))
        for row in found["footprint"]
    ]
    parts.append(table(("server", "RSS idle MiB", "RSS after load MiB", "start s"), rows))
    return "\n\n".join(parts)


def ratio(found: dict[str, Any], other: str, era: str, connections: int) -> float:
    """The throughput of the generated server in that of another: the median of the rounds' ratios."""
    series = {
        row["server"]: row["per_second"]
        for row in found["calls"]
        if row["era"] == era and row["connections"] == connections
    }
    return statistics.median(ours / theirs for ours, theirs in zip(series["generated"], series[other], strict=True))


def _goals(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for other, era, goal in GOALS:
        for connections in dict.fromkeys(row["connections"] for row in found["calls"]):
            value = ratio(found, other, era, connections)
            verdict = "met" if value >= goal else "MISSED"
            yield NAMES[other], era, str(connections), f"{value:.3g}", f">= {goal:g}", verdict
    loaded = {row["server"]: row["loaded"] for row in found["footprint"]}
    pairs = zip(loaded["generated"], loaded["typescript"], strict=True)
    value = statistics.median(ours / theirs for ours, theirs in pairs)
    verdict = "met" if value <= MEMORY_GOAL else "MISSED"
    yield f"memory in that of: {NAMES['typescript']}", "both", "16", f"{value:.3g}", f"<= {MEMORY_GOAL:g}", verdict


def _speeds(found: dict[str, Any], era: str) -> Iterator[tuple[str, ...]]:
    for row in found["calls"]:
        if row["era"] == era:
            values = (f"{statistics.median(row[what]):.3g}" for what in ("p50", "p99", "processor"))
            yield NAMES[row["server"]], str(row["connections"]), f"{statistics.median(row['per_second']):.0f}", *values


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (titles, ["---"] * len(titles), *rows))
