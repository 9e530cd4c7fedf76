"""How fast and how large the generated server is beside others, from what benchmarks/results.json has recorded."""

import json
import sys
from pathlib import Path

from markdown_text import page

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks"))


def pages() -> dict[str, str]:
    """explanation/performance.md and its plot"""
    import plot
    import report

    found = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))["peers"]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    effort, load = found["effort"], found["load"]
    content = [
        "The generated server beside servers of other frameworks: each verifies the same RS256 token with the same keys and "
        "answers the same tool, `whoami`, which does next to nothing. All ran at once on one machine and took turns of a "
        "fraction of a second, so what else the machine did met all alike. **Compare the ratios; the absolute figures are "
        "for orientation only.**",
        "![Calls per second of each server with 16 connections, in both eras; the figures are in the tables below]"
        "(../assets/performance.svg)",
        f"Measured on {found['taken']}: {found['machine']}, load {load[0]} before and {load[1]} after, the benchmark's own "
        f"included. {effort['rounds']} rounds of {effort['calls a round']} calls, medians. {versions}.",
        "## What was compared",
        "- The generated server remembers a verified token for a minute at most and judges time and policy on every call. "
        "The others verify the signature on every call, as they do out of the box.\n"
        "- FastMCP installs uvicorn without uvloop and httptools. It was measured so, and with both added.\n"
        "- The TypeScript server is `createMcpHandler` with `requireBearerAuth` and `jose`. It answers 2025-11-25 with an "
        "event stream; all others answer JSON.\n"
        "- Starlette alone has no MCP in it. It is the limit that uvicorn and one verification set.",
        "## What was found",
        report.peers(found),
        "A ratio above 1 means that the generated server answers more calls. `p50` and `p99` are the waiting times that half, "
        "and 99 of 100, of the calls of a round did not exceed; `processor` is what the scheduler says the server used for a "
        "call, all threads. RSS is of the server's process; the start is from asking for the process to the first result, "
        "keys fetched.",
        "To measure it yourself: `make bench ARGS=peers`. With `--record` the figures of this page are replaced.",
    ]
    return {
        "docs/explanation/performance.md": page(
            "Performance", "What a call costs beside servers of other frameworks.", ["planning"], *content
        ),
        "docs/assets/performance.svg": plot.svg(found),
    }
