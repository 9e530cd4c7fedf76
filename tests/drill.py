"""Three replicas behind Traefik: tool calls and log-ins while one replica is killed and two are restarted in turn.

    python tests/drill.py BAKED_SERVER CALLS LOG_INS

Prints one JSON object: what was asked, what was lost, and whether the proxy could have helped it.
"""

from __future__ import annotations

import json
import secrets
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientMetadata
from proxied import ADDRESSES, Setup, running, through_the_tunnel
from traefik import wait_for

baked = Path(sys.argv[1]).resolve()
sys.path.insert(0, str(baked))

from tests.sdk_client import REDIRECT_URI, Browser, Memory, connect  # type: ignore[import-not-found] # noqa: E402

CONNECTIONS = 24
# Every so many calls one adds a note, which must happen once and not twice.
ADD_EVERY = 5
# When a replica is ended, in parts of all calls.
TROUBLE_AT = (0.2, 0.4, 0.6)
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


def message(tool: str, arguments: dict[str, str]) -> dict[str, Any]:
    """One call, as clients of 2025-11-25 make it."""
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


@dataclass
class Drill:
    """What is done and what came of it. `lost`: calls without a result, as (sent, ended, what instead)."""

    setup: Setup
    calls: int
    log_ins: int
    called: int = 0
    added: set[str] = field(default_factory=set)
    lost: list[tuple[float, float, str]] = field(default_factory=list)
    logged_in: int = 0
    again: int = 0
    broken: list[str] = field(default_factory=list)
    killed_at: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def mcp_url(self) -> str:
        return f"{self.setup.url}/mcp"

    @property
    def unexcused(self) -> list[str]:
        """Lost calls that were not under way when the replica was killed: the proxy could have sent them elsewhere."""
        return [what for sent, ended, what in self.lost if not sent <= self.killed_at <= ended]

    async def run(self) -> None:
        """All at once: calls over some connections, log-ins, and trouble as calls go on."""
        token = await self.log_in(0, "add_note", title="first", text="So that the client steps up to this scope.")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.make_trouble)
            tasks.start_soon(self.keep_logging_in)
            for number in range(CONNECTIONS):
                tasks.start_soon(self.keep_calling, number, token)

    async def make_trouble(self) -> None:
        killed, *terminated = ADDRESSES
        await self.reaches(TROUBLE_AT[0])
        self.killed_at = time.monotonic()
        self.setup.end(killed, signal.SIGKILL)
        self.setup.start(killed)
        for part, address in zip(TROUBLE_AT[1:], terminated, strict=True):
            await self.reaches(part)
            await anyio.to_thread.run_sync(wait_for, self.is_complete, "all replicas")
            code = await anyio.to_thread.run_sync(self.setup.end, address, signal.SIGTERM)
            self.codes[str(code)] += 1
            self.setup.start(address)

    def is_complete(self) -> bool:
        """Whether Traefik has all replicas."""
        return self.setup.serving() == set(ADDRESSES)

    async def reaches(self, part: float) -> None:
        """Returns when so much of the calls is made."""
        while self.called < self.calls * part:
            await anyio.sleep(0.005)

    async def keep_calling(self, number: int, token: str) -> None:
        async with through_the_tunnel(1000 + number) as http:
            for call in range(number, self.calls, CONNECTIONS):
                await self.call(http, call, token)

    async def call(self, http: httpx2.AsyncClient, number: int, token: str) -> None:
        title = f"note {number} {secrets.token_hex(4)}"
        adds = number % ADD_EVERY == 0
        body = message("add_note", {"title": title, "text": "x"}) if adds else message("whoami", {})
        sent = time.monotonic()
        try:
            answer = await http.post(self.mcp_url, json=body, headers={**HEADERS, "Authorization": f"Bearer {token}"})
            good = answer.status_code == httpx2.codes.OK and not answer.json()["result"]["isError"]
            what = f"{answer.status_code} {answer.text[:80]}"
        except httpx2.HTTPError as error:
            good, what = False, repr(error)
        if not good:
            self.lost.append((sent, time.monotonic(), what))
        elif adds:
            self.added.add(title)
        self.called += 1

    async def keep_logging_in(self) -> None:
        for number in range(self.log_ins):
            await self.reaches(number / self.log_ins)
            try:
                await self.log_in(number)
            except Exception:
                # As a person would: once more, for a request may have been under way to the killed replica.
                self.again += 1
                try:
                    await self.log_in(number)
                except Exception as failure:
                    self.broken.append(repr(failure)[:300])
                    continue
            self.logged_in += 1

    async def log_in(self, number: int, tool: str = "whoami", **arguments: str) -> str:
        """Registers, logs in, calls a tool, and returns the access token: the SDK's own way."""
        memory = Memory()
        async with httpx2.AsyncClient() as plain:
            browser = Browser(plain)
            provider = OAuthClientProvider(
                server_url=self.mcp_url,
                client_metadata=OAuthClientMetadata(
                    client_name=f"Client {number}",
                    redirect_uris=[REDIRECT_URI],
                    grant_types=["authorization_code", "refresh_token"],
                    token_endpoint_auth_method="none",
                ),
                storage=memory,
                redirect_handler=browser.open,
                callback_handler=browser.callback,
            )
            async with through_the_tunnel(number, auth=provider) as http, connect(self.mcp_url, http) as client:
                answer = await client.call_tool(tool, arguments)
                assert not answer.is_error
        return str(memory.tokens.access_token)


def main(calls: int, log_ins: int) -> dict[str, Any]:
    """Runs it and reports."""
    with running(baked) as setup:
        drill = Drill(setup, calls, log_ins)
        began = time.perf_counter()
        anyio.run(drill.run)
        seconds = time.perf_counter() - began
        listing = httpx2.get(f"{setup.upstream}/notes", params={"query": "note", "limit": "1000000"}, trust_env=False)
        titles = Counter(each["title"] for each in listing.json()["notes"] if each["title"].startswith("note "))
        log = setup.log.read_text()
    return {
        "replicas": len(ADDRESSES),
        "calls": drill.called,
        "seconds": round(seconds, 1),
        "lost": [what for _, _, what in drill.lost],
        "lost although the proxy could have sent them elsewhere": drill.unexcused,
        "notes added": len(drill.added),
        "notes added twice": sum(count > 1 for count in titles.values()),
        "notes lost": len(drill.added - titles.keys()),
        "log-ins": drill.logged_in,
        "log-ins that took a second try": drill.again,
        "log-ins broken": drill.broken,
        "exit codes after SIGTERM": dict(drill.codes),
        "tracebacks": log.count("Traceback"),
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[2]), int(sys.argv[3])), indent=2))
