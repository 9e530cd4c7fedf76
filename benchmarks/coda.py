"""What the Coda server takes: for listing all of its tools, and above idle for what is large."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import calls
from figures import ROUNDS, Figure, figure
from processes import HERE, BenchmarkError, Server, process, wait_for

EXAMPLE: Final = HERE.parent / "examples" / "coda-mcp"
TOKEN: Final = "mcp_bench"  # noqa: S105
DOC, PAGE, TABLE = "obsLogBk01", "canvas-obsHome001", "grid-obsScopes1"
PAGE_BYTES: Final = 20_000_000
ROWS: Final = 100_000
WINDOW: Final = 100_000
LISTS: Final = 20
ABOVE_IDLE_MIB: Final = 60.0


def figures() -> Iterator[Figure]:
    """Each server is started anew in each round."""
    listing, size, page, rows, seconds = [], [], [], [], []
    with process(str(HERE / "coda_stand_in.py")) as coda:
        wait_for(coda.port)
        for _ in range(ROUNDS):
            with process("-m", "coda_mcp", "serve", "--env-file", os.devnull, **settings(coda)) as server:
                wait_for(server.port)
                for _ in range(LISTS):
                    began = time.perf_counter()
                    body = ask(server, "tools/list", {})
                    listing.append((time.perf_counter() - began) * 1000)
                size.append(len(json.dumps(body, separators=(",", ":"))) / 1024)
                page.append(above_idle(server, read_page))
            with process("-m", "coda_mcp", "serve", "--env-file", os.devnull, **settings(coda)) as server:
                wait_for(server.port)
                call(server, "coda_whoami")
                began = time.perf_counter()
                rows.append(above_idle(server, read_rows))
                seconds.append(time.perf_counter() - began)
    yield figure("tools/list of all toolsets", listing, " ms", note=f"{size[-1]:.0f} KiB")
    yield figure("a page of 20 MB, read to its end, above idle", page, " MiB", at_most=ABOVE_IDLE_MIB)
    note = f"in {sorted(seconds)[len(seconds) // 2]:.0f} s"
    yield figure("100,000 rows, searched, above idle", rows, " MiB", at_most=ABOVE_IDLE_MIB, note=note)


def settings(coda: Server) -> dict[str, str]:
    """The server with a static token, all toolsets, and no limits in its way."""
    return {
        "PYTHONPATH": str(EXAMPLE / "src"),
        "STYTCH_DOMAIN": "http://127.0.0.1:9",
        "STYTCH_PROJECT_ID": "project-test-00000000-0000-4000-8000-000000000000",
        "SCOPE_MODE": "custom",
        "BEARER_TOKENS": f"bench|{hashlib.sha256(TOKEN.encode()).hexdigest()}|coda:admin",
        "UPSTREAM_URL": coda.url,
        "CODA_API_TOKEN": "local-upstream-token",
        "CODA_TOOLSETS": "all",
        "CODA_LIMIT_READING": "100000/1",
        "CODA_CALL_SECONDS": "600",
        "CODA_TIMEOUT_SECONDS": "120",
    }


def ask(server: Server, method: str, params: dict[str, Any]) -> Any:
    """The result of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    connection.request("POST", "/mcp", body, calls.headers(calls.LEGACY, "", TOKEN))
    response = connection.getresponse()
    content = response.read()
    connection.close()
    if response.status != http.HTTPStatus.OK:
        raise BenchmarkError(f"{method} answered {response.status}: {content[:200]!r}")
    return json.loads(content)["result"]


def call(server: Server, tool: str, **arguments: Any) -> Any:
    """The structured content of one call."""
    result = ask(server, "tools/call", {"name": tool, "arguments": arguments})
    if result.get("isError"):
        raise BenchmarkError(f"{tool}: {result['content']}")
    return result["structuredContent"]


def above_idle(server: Server, work: Any) -> float:
    """The peak of the resident set during some work, beyond what it was before, in MiB."""
    call(server, "coda_whoami")
    idle, _ = server.memory()
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    work(server)
    (peak,) = [
        int(line.split()[1]) / 1024
        for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return peak - idle


def read_page(server: Server) -> None:
    """All windows, one after the other."""
    start, read = 0, 0
    while start is not None:
        part = call(server, "coda_read_page", doc_id=DOC, page=PAGE, start=start, max_chars=WINDOW)
        read += len(part["text"])
        start = part.get("next_start")
    if read < PAGE_BYTES:
        raise BenchmarkError(f"only {read} characters were read")


def read_rows(server: Server) -> None:
    """All rows, for a text that none of them has."""
    found = call(server, "coda_search_rows", doc_id=DOC, table=TABLE, text="nowhere to be found", max_scanned=200_000)
    if found["scanned"] < ROWS:
        raise BenchmarkError(f"only {found['scanned']} rows were read")
