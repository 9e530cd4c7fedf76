"""The harness of the benchmarks works, and what the site shows is what was recorded."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bake import ROOT
from conftest import Run, needed

BENCHMARKS = ROOT / "benchmarks"
FASTMCP = ROOT / "build" / "foreign" / "bin" / "python"
NODE = ROOT / "build" / "inspector" / "node_modules" / ".bin" / "node"
TYPESCRIPT = ROOT / "build" / "typescript" / "installed"
PLOT = ROOT / "docs" / "assets" / "performance.svg"
TINY = "import json, peers; print(json.dumps(peers.measure(peers.TINY)))"


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The benchmarks import each other by their plain names."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCHMARKS)):
            del sys.modules[name]


def test_every_server_is_measured_in_both_eras(default: Path, run: Run, python: str) -> None:
    needed(FASTMCP, "FastMCP", "make build/foreign/installed")
    needed(NODE, "Node.js 22", "make build/inspector/installed")
    needed(TYPESCRIPT, "The TypeScript SDK", "make build/typescript/installed")
    import report  # noqa: PLC0415

    path = ":".join(str(each) for each in (BENCHMARKS, default / "src", default / "tests"))
    found = json.loads(run(python, "-c", TINY, cwd=ROOT, PYTHONPATH=path).splitlines()[-1])
    assert {row["server"] for row in found["footprint"]} == set(report.NAMES)
    measured = {(row["server"], row["era"]) for row in found["calls"]}
    assert measured == {(name, era) for name in report.NAMES for era in ("2025-11-25", "2026-07-28")}
    for row in found["calls"]:
        assert all(len(row[what]) == 1 and row[what][0] > 0 for what in ("per_second", "p50", "p99", "processor")), row
    assert NAMED <= set(report.peers(found).replace("|", "\n").split("\n"))


NAMED = {" FastMCP, as it installs ", " TypeScript SDK on Node.js 22 ", " Starlette alone, no SDK "}


def test_a_goal_that_is_missed_is_marked() -> None:
    import report  # noqa: PLC0415

    eras = ("2025-11-25", "2026-07-28")
    speeds = {name: 100.0 for name in report.NAMES} | {"generated": 150.0}
    found = {
        "calls": [
            {"server": name, "era": era, "connections": 1}
            | {"per_second": [speed], "p50": [1.0], "p99": [2.0], "processor": [3.0]}
            for name, speed in speeds.items()
            for era in eras
        ],
        "footprint": [{"server": name, "start": [1.0], "idle": [80.0], "loaded": [90.0]} for name in speeds],
    }
    text = report.peers(found)
    assert "| FastMCP, as it installs | 2025-11-25 | 1 | 1.5 | >= 2 | MISSED |" in text
    assert "| TypeScript SDK on Node.js 22 | 2025-11-25 | 1 | 1.5 | >= 1 | met |" in text
    assert "| memory in that of: TypeScript SDK on Node.js 22 | both | 16 | 1 | <= 0.5 | MISSED |" in text


def test_the_ninety_ninth_of_a_hundred_is_the_percentile() -> None:
    import latency  # noqa: PLC0415

    assert latency.percentile([float(each) for each in range(100, 0, -1)], 0.99) == 99
    assert latency.percentile([7.0], 0.5) == 7


def test_the_plot_is_what_was_recorded() -> None:
    import plot  # noqa: PLC0415

    recorded = json.loads((BENCHMARKS / "results.json").read_text(encoding="utf-8"))["peers"]
    assert PLOT.read_text(encoding="utf-8") == plot.svg(recorded)
    assert "http" not in plot.svg(recorded).replace("http://www.w3.org/2000/svg", "")
