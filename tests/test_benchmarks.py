"""The benchmarks that the site shows run, and say what they found."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bake import ROOT
from conftest import Run, needed

BENCHMARKS = ROOT / "benchmarks"
sys.path.append(str(BENCHMARKS))

import latency  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
import shares  # noqa: E402

FASTMCP = ROOT / "build" / "foreign" / "bin" / "python"
NODE = ROOT / "build" / "inspector" / "node_modules" / "node" / "bin" / "node"
TYPESCRIPT = ROOT / "build" / "typescript" / "installed"
ERAS = ("2025-11-25", "2026-07-28")
VALUES = {"per_second", "p50", "p99", "processor"}
TINY = "effort.Effort(1, 1, 8, 1, 8, (4,), tools=(1, 3), tokens=(1, 20), replicas=(1, 2))"
SPEEDS = f"""if True:
    import effort, json, peers, processes
    with processes.issuing() as issuer:
        (token,) = issuer.get("/bench/tokens/1")
        print(json.dumps(peers.speeds(issuer, token, {TINY})))
"""
GROWTH = f"import effort, growth, json; print(json.dumps(growth.measure({TINY})))"


def measured(code: str, baked: Path, run: Run, python: str) -> Any:
    """What a piece of code prints, as `make bench` would run it."""
    path = ":".join(str(each) for each in (BENCHMARKS, baked / "src", baked / "tests"))
    return json.loads(run(python, "-c", code, cwd=ROOT, PYTHONPATH=path).splitlines()[-1])


def test_every_server_is_measured_in_both_eras(default: Path, run: Run, python: str) -> None:
    needed(FASTMCP, "FastMCP", "make build/foreign/installed")
    needed(NODE, "Node.js 22", "make build/inspector/installed")
    needed(TYPESCRIPT, "The TypeScript SDK", "make build/typescript/installed")
    rows = measured(SPEEDS, default, run, python)
    assert {(row["server"], row["era"]) for row in rows} == {(name, era) for name in report.NAMES for era in ERAS}
    assert all(row[what][0] > 0 for row in rows for what in VALUES)


def test_growth_is_measured(default: Path, run: Run, python: str) -> None:
    found = measured(GROWTH, default, run, python)
    assert [row["tokens"] for row in found["tokens"]] == [1, 20]
    lines = [line for line in report.growth(found).splitlines() if line.startswith("|")]
    assert len(lines) == 3 * 2 + 2 * 3
    assert not [line for line in lines if "| 0 |" in line]


PACKAGES = f"import effort, json, packages; print(json.dumps(packages.measure({TINY})))"


def test_a_profile_says_which_package_takes_the_time(default: Path, run: Run, python: str) -> None:
    found = measured(PACKAGES, default, run, python)
    rows = {row.pop("package"): row for row in found["packages"]}
    assert {"mcp", "uvicorn", "stytch_mcp"} <= rows.keys()
    assert all(value > 0 for value in rows["mcp"].values())
    own = rows["stytch_mcp"]
    assert [key for key, value in own.items() if value > 0] == [f"generated {era}" for era in ERAS]


def test_time_in_c_counts_for_its_caller() -> None:
    caller = ("/x/site-packages/mcp/server/runner.py", 1, "run")
    stats: Any = SimpleNamespace(
        stats={
            caller: (2, 2, 0.5, 1.0, {}),
            ("~", 0, "<built-in method builtins.len>"): (4, 4, 0.25, 0.25, {caller: (4, 4, 0.25, 0.25)}),
            ("~", 0, "<method 'x' of 'pydantic_core._pydantic_core.Y'>"): (
                1,
                1,
                0.25,
                0.25,
                {caller: (1, 1, 0.25, 0.25)},
            ),
            ("/x/src/stytch_mcp/audit.py", 1, "f"): (1, 1, 0.125, 0.125, {}),
            ("/usr/lib/python3.11/json/decoder.py", 1, "f"): (1, 1, 0.125, 0.125, {}),
        }
    )
    expected = {"mcp": 375_000.0, "pydantic": 125_000.0, "stytch_mcp": 62_500.0, "Python": 62_500.0}
    assert shares.by_package(stats, 2) == expected


@pytest.fixture
def made_up() -> dict[str, Any]:
    """A run of `peers` in which the generated server is half as fast again as all others."""
    speeds = dict.fromkeys(report.NAMES, 100.0) | {"generated": 150.0}
    return {
        "calls": [
            {"server": name, "era": era, "connections": report.CONNECTIONS}
            | {"per_second": [speed], "p50": [1.0], "p99": [2.0], "processor": [3.0]}
            for name, speed in speeds.items()
            for era in ERAS
        ],
        "footprint": [{"server": name, "start": [1.0], "idle": [80.0], "loaded": [90.0]} for name in speeds],
    }


def test_a_goal_that_is_missed_is_marked(made_up: dict[str, Any]) -> None:
    text = report.peers(made_up)
    assert "| FastMCP with JWTVerifier | 2025-11-25 | at least 2 | 1.5 MISSED |" in text
    assert "| TypeScript SDK on Node.js 22 | 2025-11-25 | at least 1 | 1.5 |" in text
    assert "TypeScript SDK on Node.js 22: 1. The goal, at most 0.5, is MISSED." in text
    assert "The Python SDK alone, without anything of this project, takes 1 of it." in text


def test_a_ratio_compares_what_was_measured_in_the_same_round() -> None:
    row = {"era": ERAS[0], "connections": 1}
    calls = [
        {"server": "generated", "per_second": [10.0, 40.0, 90.0], **row},
        {"server": "sdk", "per_second": [10.0, 20.0, 30.0], **row},
    ]
    assert report.ratio({"calls": calls}, "sdk", ERAS[0], 1) == 2


def test_the_plot_needs_nothing_from_elsewhere(made_up: dict[str, Any]) -> None:
    drawn = plot.svg(made_up)
    assert all(name in drawn for name in report.NAMES.values())
    assert "://" not in drawn.replace("http://www.w3.org/2000/svg", "")


def test_the_ninety_ninth_of_a_hundred_is_the_percentile() -> None:
    assert latency.percentile([float(each) for each in range(100, 0, -1)], 0.99) == 99
    assert latency.percentile([7.0], 0.5) == 7
