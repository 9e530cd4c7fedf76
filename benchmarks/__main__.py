"""All benchmarks, or those of SUBJECTS that are named: python benchmarks [NAME ...]."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

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
}
WIDTH: Final = 170


def main(names: list[str]) -> None:
    """Prints a table per subject. A goal that is missed is marked; only what cannot run is an error."""
    console = Console(width=WIDTH)
    for name in names or SUBJECTS:
        console.print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores\n")
        show(console, SUBJECTS[name], importlib.import_module(name).figures())


if __name__ == "__main__":
    main(sys.argv[1:])
