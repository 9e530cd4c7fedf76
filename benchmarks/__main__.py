"""All benchmarks, or those of SUBJECTS that are named: python benchmarks [NAME ...] [--record]."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import report
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
    "replicas": "Three replicas, one killed and two restarted",
    "peers": "Beside servers of other frameworks",
}
# Those whose every value is kept, when asked to: what a page of the site is made from.
RECORDED: Final = {"peers": report.peers}
RESULTS: Final = Path(__file__).with_name("results.json")
WIDTH: Final = 170


def main(names: list[str], *, record: bool) -> None:
    """Prints a table per subject. A goal that is missed is marked; only what cannot run is an error."""
    console = Console(width=WIDTH)
    for name in names or SUBJECTS:
        console.print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores\n")
        if name in RECORDED:
            found = importlib.import_module(name).measure()
            print(f"## {SUBJECTS[name]}\n\n{RECORDED[name](found)}\n")
            if record:
                keep(name, found)
        else:
            show(console, SUBJECTS[name], importlib.import_module(name).figures())


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
            rows = isinstance(value, list) and value and isinstance(value[0], dict)
            text = "[\n" + ",\n".join(f"   {json.dumps(row)}" for row in value) + "\n  ]" if rows else json.dumps(value)
            parts.append(f"  {json.dumps(what)}: {text}")
        subjects.append(f" {json.dumps(name)}: {{\n" + ",\n".join(parts) + "\n }")
    return "{\n" + ",\n".join(subjects) + "\n}\n"


if __name__ == "__main__":
    main([word for word in sys.argv[1:] if word != "--record"], record="--record" in sys.argv)
