"""All benchmarks, or those of SUBJECTS that are named: python benchmarks [NAME ...] [--short] [--record]."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import platform
import re
import time
from pathlib import Path
from typing import Any, Final

import report
from effort import FULL, SHORT, Effort
from figures import show
from rich.console import Console

SUBJECTS: Final = {
    "throughput": "What the gate costs a call",
    "verification": "What it takes to judge a token",
    "stalls": "The longest stall of the event loop while the issuer does wrong",
    "footprint": "Start and memory",
    "coda": "The Coda server with large pages and tables",
    "check": "What a run of the checklist takes",
    "clients": "Memory under 50 clients",
    "connections": "Faults",
    "replicas": "Three replicas, one killed and two restarted",
    "peers": "Beside servers of other frameworks",
    "growth": "More tools, more tokens, more replicas",
    "packages": "Where the time of a call goes",
}
# Those whose every value can be kept: what a page of the site is made from.
RECORDED: Final = {"peers": report.peers, "growth": report.growth, "packages": report.packages}
RESULTS: Final = Path(__file__).with_name("results.json")
WIDTH: Final = 170


def main() -> None:
    """Prints a table per subject. A goal that is missed is marked; only what cannot run is an error."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SUBJECTS))
    parser.add_argument("--short", action="store_true", help="what is recorded, with few calls")
    parser.add_argument(
        "--record", action="store_true", help="keep the values of peers, growth and packages for the site"
    )
    asked = parser.parse_args()
    console = Console(width=WIDTH)
    before = os.getloadavg()[0]
    for name in asked.names or SUBJECTS:
        console.print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores\n")
        if name not in RECORDED:
            show(console, SUBJECTS[name], importlib.import_module(name).figures())
            continue
        found = measured(name, SHORT if asked.short else FULL, before)
        print(f"## {SUBJECTS[name]}\n\n{RECORDED[name](found)}\n")
        if asked.record:
            keep(name, found)


def measured(name: str, effort: Effort, before: float) -> dict[str, Any]:
    """Every value of a subject, and under what circumstances; `before` is the load before the first of all subjects."""
    values = importlib.import_module(name).measure(effort)
    (model, *_) = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE) or ["unknown"]
    return {
        "taken": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores ({model}), {platform.system()}, Python {platform.python_version()}",
        "load": [round(before, 2), round(os.getloadavg()[0], 2)],
        "effort": dataclasses.asdict(effort),
        **values,
    }


def keep(name: str, found: dict[str, Any]) -> None:
    """Puts one subject into results.json, in place of what was known of it."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(rows_in_lines({**known, name: found}), encoding="utf-8")


def rows_in_lines(known: dict[str, Any]) -> str:
    """JSON with a line for each row, so that a change can be read."""
    subjects = []
    for name, found in sorted(known.items()):
        parts = []
        for what, value in found.items():
            rows = isinstance(value, list) and isinstance(value[0], dict)
            text = "[\n" + ",\n".join(f"   {json.dumps(row)}" for row in value) + "\n  ]" if rows else json.dumps(value)
            parts.append(f"  {json.dumps(what)}: {text}")
        subjects.append(f" {json.dumps(name)}: {{\n" + ",\n".join(parts) + "\n }")
    return "{\n" + ",\n".join(subjects) + "\n}\n"


if __name__ == "__main__":
    main()
