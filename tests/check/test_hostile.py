"""Servers that mean harm: a run ends, in a finding, with bounded memory, and asks nobody it should not ask."""

from __future__ import annotations

import asyncio
import json
import random
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from stytch_mcp_kit.check import clients, reports
from stytch_mcp_kit.check.registry import Level
from stytch_mcp_kit.check.runner import Options, Report, Status, run
from stytch_mcp_kit.check.web import MAX_BYTES, MAX_REQUESTS
from tests.check.stand_in import Asked, Fault, StandIn, answer

pytestmark = pytest.mark.anyio

Writer = asyncio.StreamWriter
Behave = Callable[[Writer, str], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
GIGABYTE = 1024**3


async def redirects(writer: Writer, path: str) -> None:
    writer.write(f"HTTP/1.1 302 Found\r\nlocation: {path}x\r\ncontent-length: 0\r\n\r\n".encode())


async def is_huge(writer: Writer, path: str) -> None:
    writer.write(HEAD + b"content-length: %d\r\n\r\n" % GIGABYTE)
    for _ in range(GIGABYTE // 65_536):
        writer.write(b" " * 65_536)
        await writer.drain()


async def has_no_end(writer: Writer, path: str) -> None:
    """An event stream that goes on, one character at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def says_nothing(writer: Writer, path: str) -> None:
    await asyncio.Event().wait()


async def is_no_text(writer: Writer, path: str) -> None:
    body = b'{"resource": "\xff\xfe\xc3("}'
    writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)


async def is_deep(writer: Writer, path: str) -> None:
    body = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)


async def has_long_numbers(writer: Writer, path: str) -> None:
    body = b'{"resource": ' + b"9" * 100_000 + b"}"
    writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)


async def has_huge_headers(writer: Writer, path: str) -> None:
    writer.write(HEAD + b"x: " + b"a" * 4_000_000 + b"\r\n\r\n")


async def unpacks_to_a_lot(writer: Writer, path: str) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    body = b"".join(packer.compress(b" " * 1_000_000) for _ in range(200)) + packer.flush()
    writer.write(HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


async def is_no_http(writer: Writer, path: str) -> None:
    writer.write(b"\x00\xff\x16\x03 go away\r\n\r\n" * 20)


async def hangs_up(writer: Writer, path: str) -> None:
    writer.write(HEAD + b"content-length: 100\r\n\r\n{")


BEHAVIOURS = [
    redirects,
    is_huge,
    has_no_end,
    says_nothing,
    is_no_text,
    is_deep,
    has_long_numbers,
    has_huge_headers,
    unpacks_to_a_lot,
    is_no_http,
    hangs_up,
]


class Hostile:
    """A server on loopback that leads a client to `place`, and does something bad there."""

    def __init__(self, place: str, behave: Behave) -> None:
        self.place = place
        self.behave = behave
        self.requests = 0
        self.url = ""
        self.tasks: set[asyncio.Task[None]] = set()

    def documents(self) -> dict[str, Any]:
        issuer = self.url.removesuffix("/mcp")
        resource = {"resource": self.url, "authorization_servers": [issuer], "scopes_supported": ["read"]}
        server = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "registration_endpoint": f"{issuer}/register",
            "jwks_uri": f"{issuer}/keys",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        }
        return {
            "/.well-known/oauth-protected-resource/mcp": resource,
            "/.well-known/oauth-protected-resource": resource,
            "/.well-known/oauth-authorization-server": server,
            "/keys": {"keys": []},
        }

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            while line := await reader.readline():
                self.requests += 1
                path = line.split()[1].decode()
                length = 0
                while (header := await reader.readline()).strip():
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                await reader.readexactly(length)
                if path.startswith(self.place):
                    await self.behave(writer, path)
                    await writer.drain()
                    break
                document = self.documents().get(path)
                body = json.dumps(document or {}).encode()
                status = "200 OK" if document else "401 Unauthorized" if path.startswith("/mcp") else "404 Not Found"
                challenge = (
                    f'www-authenticate: Bearer resource_metadata="{self.url.removesuffix("/mcp")}'
                    '/.well-known/oauth-protected-resource/mcp", scope="read"\r\n'
                )
                writer.write(
                    f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{challenge}"
                    f"content-length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()


@asynccontextmanager
async def hostile(place: str, behave: Behave) -> AsyncIterator[Hostile]:
    server = Hostile(place, behave)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/mcp"
    try:
        yield server
    finally:
        listening.close()
        for task in list(server.tasks):
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)


def readable(report: Report) -> str:
    """All formats, of which none may trip over what a server said."""
    texts = [reports.text(report), *(render(report) for render in reports.FORMATS.values())]
    return "\n".join(texts)


@pytest.mark.parametrize("behave", BEHAVIOURS, ids=lambda behave: behave.__name__)
@pytest.mark.parametrize("place", ["/mcp", "/.well-known/oauth-protected-resource", "/.well-known/oauth-auth", "/keys"])
async def test_harm_ends_in_a_finding(place: str, behave: Behave) -> None:
    tracemalloc.start()
    try:
        async with hostile(place, behave) as server:
            options = Options(server.url, register=True, seconds=0.4, deadline_seconds=6)
            report = await run(options, clients.load())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.exit_code in (1, 2)
    assert report.unreachable or report.failing(Level.MUST)
    assert not [result for result in report.results if "cannot be made sense of" in result.detail]
    assert report.requests <= MAX_REQUESTS
    assert peak < 40 * MAX_BYTES, "of a body no more is kept than its first part"
    assert "Traceback" not in readable(report)


ELSEWHERE = [
    "http://169.254.169.254/latest/meta-data",
    "https://169.254.169.254/keys",
    "https://[fe80::1]/keys",
    "https://[::ffff:169.254.169.254]/keys",
    "https://10.0.0.1/keys",
    "https://192.168.1.1/keys",
    "https://127.0.0.1/keys",
    "https://[::1]/keys",
    "https://[::ffff:127.0.0.1]/keys",
    "https://0.0.0.0/keys",
    "https://inside.example.com/keys",
    "https://2130706433/keys",
    "https://0x7f.1/keys",
    "file:///etc/passwd",
    "gopher://example.com/",
    "https://",
    "https://[/keys",
    "https://example.com:99999/keys",
]


class Watched(StandIn):
    """Remembers which addresses were really asked."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.asked: set[str] = set()

    async def resolve(self, host: str, port: int) -> list[str]:
        inside = {"inside.example.com": "10.0.0.2", "2130706433": "127.0.0.1", "0x7f.1": "127.0.0.1"}
        return [inside[host]] if host in inside else await super().resolve(host, port)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.add(request.url.host)
        return await super().handle_async_request(request)


@pytest.mark.e2e
@pytest.mark.parametrize("member", ["jwks_uri", "authorization_servers", "resource_metadata", "redirect"])
@pytest.mark.parametrize("url", ELSEWHERE)
async def test_a_public_server_leads_nobody_inside(dev: dict[str, Any], url: str, member: str) -> None:
    """As a tool that fetches what others name: what a server says must not reach this network (SSRF)."""

    def before(asked: Asked) -> httpx.Response | None:
        if member == "redirect" and asked.path.startswith("/.well-known/oauth-protected-resource"):
            return answer(302, location=url)
        return None

    def after(asked: Asked, answered: Any) -> None:
        if member == "jwks_uri" and asked.path == "/.well-known/oauth-authorization-server":
            answered.say({**answered.json, member: url})
        if member == "authorization_servers" and asked.path.startswith("/.well-known/oauth-protected-resource"):
            answered.say({**answered.json, member: [url]})
        if member == "resource_metadata" and "www-authenticate" in answered.headers:
            answered.challenge(resource_metadata=url)

    watched = Watched(dev, Fault(before, after), public=True)
    options = Options(
        "https://notes.example.com/mcp",
        transport=watched,
        resolve=watched.resolve,
        only=frozenset({"CH", "PR", "AS", "JW"}),
    )
    report = await run(options, clients.load())
    assert report.of(Status.FAILS)
    assert not [result for result in report.results if "cannot be made sense of" in result.detail]
    assert watched.asked <= {"93.184.216.34", "93.184.216.35"}
    readable(report)


VALUES: list[Any] = [
    None,
    True,
    -1,
    1e308,
    "",
    "x",
    "https://",
    "\x1b[31m[bold]red[/bold]\x00\u202e|<script>",
    [],
    [None],
    [[]],
    [{}],
    ["\x07"],
    {},
    {"a": {"b": []}},
]


@pytest.mark.e2e
@pytest.mark.parametrize("seed", range(12))
async def test_no_answer_trips_a_check(dev: dict[str, Any], seed: int) -> None:
    """Members of any type anywhere: in documents, results, errors and headers."""
    chance = random.Random(seed)

    def bent(value: Any, depth: int = 0) -> Any:
        if chance.random() < 0.08 * (depth > 0):
            return chance.choice(VALUES)
        if isinstance(value, dict):
            return {name: bent(each, depth + 1) for name, each in value.items()}
        return [bent(each, depth + 1) for each in value] if isinstance(value, list) else value

    def after(asked: Asked, answered: Any) -> None:
        if asked.path.startswith("/_test/"):
            return
        if answered.json:
            answered.say(bent(answered.json))
        if "www-authenticate" in answered.headers and chance.random() < 0.2:
            answered.headers["www-authenticate"] = chance.choice(
                ["Bearer", 'Bearer ,,="', 'x="y', "Bearer a=b c=d", '"']
            )

    stand_in = StandIn(dev, Fault(after=after))
    report = await run(Options(dev["mcp_url"], full=True, transport=stand_in), clients.load())
    assert not [result for result in report.results if "cannot be made sense of" in result.detail]
    text = readable(report)
    assert not set(text) & set("\x1b\x00\x07\u202e")


@pytest.mark.e2e
async def test_what_a_server_says_cannot_write_on_the_terminal(dev: dict[str, Any]) -> None:
    """Where a finding, a note or a table quotes it: a client id, an error code, a scope, a title."""
    evil = "\x1b]0;owned\x07\x1b[31m[red]\u202e\r\n| x |"

    def after(asked: Asked, answered: Any) -> None:
        if asked.path == "/v1/oauth2/register" and answered.status == 200:
            answered.say({**answered.json, "client_id": evil, "redirect_uris": [evil]})
        elif asked.rpc and "error" in answered.json:
            answered.say({**answered.json, "error": {"code": evil, "message": evil}})
        elif asked.rpc == "tools/list" and answered.result:
            found = answered.json
            found["result"]["tools"][0] |= {"name": evil, "title": None}
            answered.say(found)

    report = await run(Options(dev["mcp_url"], full=True, transport=StandIn(dev, Fault(after=after))), clients.load())
    assert {"RG-02", "PT-11", "TL-04"} <= {result.check.id for result in report.of(Status.FAILS)}
    assert any("Registered" in note for note in report.notes)
    assert not set(readable(report)) & set("\x1b\x07\u202e\r")


async def test_a_name_server_that_does_not_answer_is_not_waited_for() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        raise AssertionError

    report = await run(Options("https://notes.example.com/mcp", resolve=resolve, seconds=0.1), clients.load())
    assert report.unreachable == "the host name cannot be resolved (TimeoutError)"
    assert report.exit_code == 2
