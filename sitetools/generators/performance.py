"""What a call costs, beside others and as a server grows, from what benchmarks/results.json has recorded."""

import json
import sys
from pathlib import Path
from typing import Any

from markdown_text import page

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results.json"
PLOT = "docs/assets/performance.svg"
# Load before a run above which something else was going on: `make bench` itself bakes and compiles.
QUIET = 1.0

sys.path.append(str(RESULTS.parent))


def pages() -> dict[str, str]:
    """explanation/performance.md and its plot"""
    import plot
    import report
    from effort import Effort
    from stytch_mcp.protect.verifier import REMEMBER_TOKENS

    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    peers, growth = found["peers"], found["growth"]
    effort = Effort(**peers["effort"])
    content = [
        "What a call costs on the generated server, beside servers of other frameworks and as it grows. The tool, "
        "`whoami`, does next to nothing; a tool that asks an API makes all of them more alike. The servers are processes "
        "on one machine, together with the process that calls them, and take turns of a fraction of a second, so whatever "
        "else the machine does meets all of them. **Compare the ratios; absolute figures are for orientation.**",
        "![Calls per second of each server in both eras of the protocol; the figures are in the tables below]"
        f"(../assets/{Path(PLOT).name})",
        "## Beside other servers",
        circumstances(peers),
        "Versions: " + ", ".join(f"{name} {number}" for name, number in peers["versions"].items()) + ".",
        "- All but two verify an RS256 token with the issuer's keys. The generated server remembers a verified token for a "
        "minute at most and judges time and policy on every call; the others verify the signature on every call, as they do "
        "out of the box.\n"
        "- All are stateless and answer JSON in both eras; the others write no log, the generated server its line of the audit "
        "log. Each is else as its documentation has it.\n"
        "- FastMCP installs uvicorn without uvloop and httptools. It was measured so, and with both added.\n"
        "- The TypeScript server is `requireBearerAuth` with `jose`, and `createMcpHandler`; that answers 2025-11-25 as a "
        "stream, so there it is the SDK's transport with `enableJsonResponse`.\n"
        "- Starlette without MCP reads the request, verifies the token and writes the answer: the limit that the web server "
        "and one verification set.",
        report.peers(peers),
        f"Medians of {effort.rounds} rounds; in each round each server had {effort.turns} turns of "
        + ", ".join(f"{effort.calls(count)} calls with {count}" for count in effort.connections)
        + " connections.",
        "A ratio above 1 means that the generated server answers more calls. `p50` and `p99`: half, and 99 of 100, of the "
        "calls of a round waited no longer. The processor time is that of all threads of the server, as the scheduler counts "
        "it. RSS is of the server's process; its start is from asking for the process to the first result, keys fetched.",
        "## As it grows",
        circumstances(growth),
        report.growth(growth),
        "Times marked µs are processor time of the server. The tools beside `whoami` have three arguments each. Of distinct "
        f"tokens a server remembers the latest {REMEMBER_TOKENS:,}, so that its memory has a bound; here each token was used "
        "once, and then the calls took the latest of them in a circle, so that none but the single one was remembered. "
        "Replicas share nothing; each has its part of the connections. They, and the one process that calls them, share the "
        "machine's cores, so more of them than cores cannot answer more calls.",
        "## Where the time goes",
        circumstances(found["packages"]),
        report.packages(found["packages"]),
        "A profile of both servers under the same calls, each second counted once, where it was spent; code in C counts for the "
        "package that called it. The profiler makes everything slower, small functions most of all, so compare the shares. "
        "What the generated server does beyond the SDK is in `stytch_mcp`, and in what that calls. On 2026-07-28 it keeps open "
        "that a tool reports progress and that a client cancels by closing the connection, even where the answer is JSON in the "
        "end; the SDK alone was set to JSON, which has neither. That is the difference in `anyio`.",
        "`make bench ARGS='peers growth packages'` measures it again; with `--record` added, and `make generate` after it, this page "
        "shows the new figures. What else is measured: `benchmarks/README.md` in the repository.",
    ]
    return {
        "docs/explanation/performance.md": page(
            "Performance", "What a call costs, beside other servers and as a server grows.", ["planning"], *content
        ),
        PLOT: plot.svg(peers),
    }


def circumstances(found: dict[str, Any]) -> str:
    """When and where a subject was measured, and whether that was a good moment."""
    before, after = found["load"]
    said = (
        f"Measured on {found['taken']}: {found['machine']}; load {before} before all of it and {after} after, the "
        "benchmark's own included."
    )
    busy = "**The machine was busy with other things meanwhile: these figures say little.**"
    return said if before <= QUIET else f"{said} {busy}"
