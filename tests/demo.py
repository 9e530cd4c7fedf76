"""Drives a baked server with a real MCP client, from no token to a tool call, and prints every hop.

    python tests/demo.py BAKED_SERVER

Runs in the server's own environment. Exit code 0 when every hop was as it should be, 1 when one was not.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

baked = Path(sys.argv[1]).resolve()
sys.path.insert(0, str(baked))

from tests.sdk_client import Memory, connect, http_client  # type: ignore[import-not-found] # noqa: E402

TITLES = {
    "no token": "server/discover without a token",
    "resource": "protected resource metadata (RFC 9728)",
    "issuer": "authorization server metadata (RFC 8414)",
    "register": "dynamic client registration (RFC 7591)",
    "authorize": "authorize: PKCE S256, resource indicator",
    "token": "token",
    "list": "tools/list",
    "call": "tools/call whoami",
    "refused": "tools/call add_note",
    "step up": "authorize again with the wider scope",
    "added": "tools/call add_note again",
    "forged": "the same token, signed with another key",
}


@dataclass
class Hop:
    """One request: who asked whom for what, what came back, and whether that was right."""

    who: str
    what: str
    status: int
    lines: list[str]
    right: bool


@dataclass
class Walk:
    """Watches the HTTP traffic of the client and turns it into hops."""

    server: str
    name: str
    issuer: str
    hops: list[Hop] = field(default_factory=list)
    access_token: str = ""

    async def watch(self, response: httpx2.Response) -> None:
        await response.aread()
        request = response.request
        hop = self._hop(request, response)
        if hop is not None:
            self.hops.append(hop)

    def _hop(self, request: httpx2.Request, response: httpx2.Response) -> Hop | None:
        path, status = request.url.path, response.status_code
        to_issuer = str(request.url).startswith(self.issuer)
        if path.startswith("/.well-known/oauth-protected-resource"):
            document = response.json()
            right = document["authorization_servers"] == [self.issuer] and document["resource"] == f"{self.server}/mcp"
            return self._new(
                f"client -> {self.name}",
                "resource",
                status,
                [path, f"authorization_servers: {', '.join(document['authorization_servers'])}"],
                right,
            )
        if to_issuer and path.startswith("/.well-known/"):
            document = response.json()
            right = document["issuer"] == self.issuer and "S256" in document["code_challenge_methods_supported"]
            cimd = "CIMD, " if document.get("client_id_metadata_document_supported") else ""
            lines = [path, f"S256, {cimd}registration" if document.get("registration_endpoint") else "S256"]
            return self._new("client -> local Stytch", "issuer", status, lines, right)
        if path.endswith("/oauth2/register"):
            return self._new(
                "client -> local Stytch",
                "register",
                status,
                [short(response.json()["client_id"])],
                status in (200, 201),
            )
        if "code_challenge" in request.url.params:
            query = parse_qs(urlsplit(response.headers.get("location", "")).query)
            asked = request.url.params
            right = status == 302 and "code" in query and asked["code_challenge_method"] == "S256"
            right = right and asked["resource"] == f"{self.server}/mcp"
            key = "step up" if any(hop.what == TITLES["authorize"] for hop in self.hops) else "authorize"
            return self._new(
                "browser", key, status, [f"scope={asked['scope']}", f"resource={asked['resource']}"], right
            )
        if path.endswith("/oauth2/token"):
            return self._token(response)
        if path == "/mcp":
            return self._mcp(request, response)
        return None

    def _token(self, response: httpx2.Response) -> Hop:
        answer = response.json()
        self.access_token = answer["access_token"]
        head, payload, _ = self.access_token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        refresh = ", refresh token" if "refresh_token" in answer else ""
        lines = [f"{head[:10]}... (signature cut), {answer['expires_in'] // 60} min{refresh}"]
        for name in ("iss", "aud", "sub", "client_id", "scope"):
            value = claims[name] if isinstance(claims[name], str) else ", ".join(claims[name])
            lines.append(f"{name:<9} {short(value)}")
        return self._new("client -> local Stytch", "token", response.status_code, lines, claims["iss"] == self.issuer)

    def _mcp(self, request: httpx2.Request, response: httpx2.Response) -> Hop | None:
        message = json.loads(request.content)
        challenge = response.headers.get("www-authenticate", "")
        status, who = response.status_code, f"client -> {self.name}"
        if status == 401:
            right = "resource_metadata=" in challenge and "scope=" in challenge and "error=" not in challenge
            lines = [part for part in challenge.split(", ") if part.startswith("scope=")]
            return self._new(who, "no token", status, ["resource_metadata, " + " ".join(lines)], right)
        if status == 403:
            right = 'error="insufficient_scope"' in challenge
            wanted = [part for part in challenge.split(", ") if part.startswith(("error=", "scope="))]
            return self._new(who, "refused", status, wanted, right)
        if message["method"] == "tools/list":
            tools = response.json()["result"]["tools"]
            lines = [f"{tool['name']}: {' '.join(tool['securitySchemes'][0]['scopes'])}" for tool in tools]
            return self._new(who, "list", status, lines, len(tools) >= 4)
        if message["method"] == "tools/call":
            result = response.json()["result"]
            content = result["structuredContent"]
            text = content.get("message") or short(content["subject"])
            key = "added" if message["params"]["name"] == "add_note" else "call"
            return self._new(who, key, status, [text], not result.get("isError"))
        return None

    def _new(self, who: str, key: str, status: int, lines: list[str], right: bool) -> Hop:
        return Hop(who, TITLES[key], status, lines, right)


def show(console: Console, hops: list[Hop]) -> bool:
    """Prints the table; whether all is as it should be."""
    table = Table("#", "who", "what", "", "answer", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.columns[0].justify = "right"
    table.columns[4].overflow = "fold"
    for number, hop in enumerate(hops, 1):
        mark = "" if hop.right else "[red]WRONG [/red]"
        table.add_row(str(number), hop.who, hop.what, f"{mark}{hop.status}", escape("\n".join(hop.lines)))
    console.print(table)
    console.print()
    wrong = [number for number, hop in enumerate(hops, 1) if not hop.right]
    missing = [title for title in TITLES.values() if title not in {hop.what for hop in hops}]
    for title in missing:
        console.print(f"This hop did not happen: {title}.")
    if wrong:
        console.print(f"Not as they should be: {', '.join(map(str, wrong))}.")
    if not wrong and not missing:
        console.print(f"All {len(hops)} as they should be. The server is in {shown(baked)};")
        console.print(f"`cd {shown(baked)} && make dev` to play with it.")
    return not wrong and not missing


def short(text: str) -> str:
    """An id without most of its random part."""
    return re.sub(r"(-[0-9a-f]{4})[0-9a-f]{4}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"\1...", text)


def shown(path: Path) -> str:
    """A path as a person would type it from here."""
    here = Path.cwd()
    return f"./{path.relative_to(here)}" if path.is_relative_to(here) else str(path)


async def walk(found: dict[str, Any], name: str) -> list[Hop]:
    """The way of a client: refused, discovers, registers, logs in, calls, steps up; then an attacker's."""
    watcher = Walk(found["mcp_url"].removesuffix("/mcp"), name, found["issuer"])
    hooks: dict[str, list[Callable[..., Any]]] = {"response": [watcher.watch]}
    async with http_client(found["mcp_url"], Memory(), event_hooks=hooks) as http:
        async with connect(found["mcp_url"], http) as client:
            await client.list_tools()
            await client.call_tool("whoami")
            await client.call_tool("add_note", {"title": "From the demo", "text": "A client logged in and wrote this."})
    watcher.hops.append(await attack(found, watcher))
    return watcher.hops


async def attack(found: dict[str, Any], watcher: Walk) -> Hop:
    """The claims of the client's own token under another key."""
    payload = watcher.access_token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    async with httpx2.AsyncClient() as http:
        minted = await http.post(
            f"{found['test_controls']}/mint", json={"kind": "access", "key": "foreign", "claims": claims}
        )
        answer = await http.post(
            found["mcp_url"],
            headers={"Authorization": f"Bearer {minted.json()['token']}"},
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        )
    challenge = answer.headers.get("www-authenticate", "")
    lines = [part for part in challenge.split(", ") if part.startswith("error")]
    right = answer.status_code == 401 and 'error="invalid_token"' in challenge and "signature" in challenge
    return Hop(f"attacker -> {watcher.name}", TITLES["forged"], answer.status_code, lines, right)


@contextmanager
def dev() -> Iterator[dict[str, Any]]:
    """The server with local Stytch, as `make dev` starts it."""
    (package,) = [path.parent.name for path in (baked / "src").glob("*/server.py")]
    command = [sys.executable, "-m", package, "dev", "--port", "0", "--auto-approve", "--json"]
    path = os.pathsep.join(str(baked / folder) for folder in ("src", "kit", "."))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    with (
        subprocess.Popen(
            command, cwd=baked, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child,
    ):
        assert child.stdout is not None
        line = child.stdout.readline()
        try:
            if not line:
                raise SystemExit(f"The server did not start:\n{child.communicate()[1]}")
            yield json.loads(line)
        finally:
            child.terminate()
            child.communicate()


def main() -> int:
    """Start, walk, show."""
    console = Console(width=max(Console().width, 120), highlight=False)
    with dev() as found:
        console.print(f"Started {baked.name} and local Stytch: {found['mcp_url']}, {found['issuer']}\n")
        hops = anyio.run(walk, found, baked.name)
    return 0 if show(console, hops) else 1


if __name__ == "__main__":
    sys.exit(main())
