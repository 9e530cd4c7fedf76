"""A whole server in this process, asked on raw ASGI and judged after every answer: status, words, log, tasks."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import io
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, redirect_stderr
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

import httpx
from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message

from stytch_mcp import Scope, logs, needs
from stytch_mcp.app import ServerDefinition, create_app
from stytch_mcp.settings import Settings
from tests.fake_issuer import DOMAIN, PROJECT_ID, SECRET, FakeIssuer
from tests.fuzz.subject import Flaw, check

HOST = b"notes.example.com"
PUBLIC_URL = "https://notes.example.com"
OIDC_ISSUER = "https://idp.example.org/tenant"
WORKOS_DOMAIN = "https://kind-hill-12.authkit.app"
ACCESS_DOMAIN = "https://team.cloudflareaccess.com"
AUD_TAG = "a" * 64
SIGNIN_SECRET = "canary-of-the-cookies-canary-of-the-cookies"
STATIC_TOKEN = "mcp_canary-of-the-static-token"
# Bounds a hang, nothing else.
HANGING_SECONDS = 30.0
READ = Scope("notes:read", "Read")
WRITE = Scope("notes:write", "Write", implies=(READ,), changes=True)


class Place(BaseModel):
    """An argument with a form of its own."""

    x: float
    names: list[str] = []


@asynccontextmanager
async def build(_: Settings) -> AsyncIterator[MCPServer[Any]]:
    server: MCPServer[Any] = MCPServer("fuzzed", version="1")

    @server.tool()
    async def echo(
        text: str,
        times: Annotated[int, Field(ge=0, le=3)] = 1,
        kind: Literal["plain", "loud"] = "plain",
        place: Place | None = None,
    ) -> dict[str, str]:
        """Says the same again."""
        return {"said": (text.upper() if kind == "loud" else text) * times, "at": str(place)}

    @server.tool(meta=needs(WRITE))
    async def write(text: str, ctx: Context) -> int:
        """Reports progress and needs more than reading."""
        await ctx.report_progress(1, 1, "written")
        return len(text)

    yield server


def new_event_loop() -> asyncio.AbstractEventLoop:
    """That of `serve`, where there is one."""
    module = importlib.import_module("uvloop" if importlib.util.find_spec("uvloop") else "asyncio")
    loop: asyncio.AbstractEventLoop = module.new_event_loop()
    return loop


SERVER = ServerDefinition(name="fuzzed", title="Fuzzed", scopes=(READ, WRITE), settings=Settings, build=build)


def settings(**changes: Any) -> Settings:
    """Everything that can be reached from outside is on."""
    values = {
        "public_url": PUBLIC_URL,
        "auth_issuers": "stytch,workos,oidc",
        "stytch_domain": DOMAIN,
        "stytch_project_id": PROJECT_ID,
        "stytch_secret": SECRET,
        "stytch_public_token": "public-token-live-1",
        "workos_domain": WORKOS_DOMAIN,
        "workos_audience": PROJECT_ID,
        "workos_api_key": "sk_canary-of-workos",
        "oidc_issuer": OIDC_ISSUER,
        "oidc_audience": PROJECT_ID,
        "allowed_emails": "ada@example.com",
        "allowed_organizations": "organization-live-1",
        "scope_mode": "custom",
        "max_body_bytes": 67_108_864,
        "allowed_origins": "https://inspector.example.org",
        "trusted_proxies": "127.0.0.0/8,10.0.0.0/8,fd00::/8",
        "signin_methods": "email-code,email-link,google,github",
        "signin_secret": SIGNIN_SECRET,
        "bearer_tokens": f"ci|{hashlib.sha256(STATIC_TOKEN.encode()).hexdigest()}|notes:write",
        "cf_access_team_domain": ACCESS_DOMAIN,
        "cf_access_aud": AUD_TAG,
        "cf_access_scopes": "notes:write",
        "cf_access_service_tokens": "ci.access",
        **changes,
    }
    return Settings(**values)


@cache
def issuer() -> FakeIssuer:
    """All issuers in one: the same keys, wherever they are asked for."""
    fake = FakeIssuer()
    jwks = fake.client

    def keys(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=published)

    published = asyncio.run(_published(jwks))
    fake.answers["/oauth2/jwks"] = fake.answers["/cdn-cgi/access/certs"] = fake.answers["/tenant/keys"] = keys
    document = {**fake.metadata(), "issuer": OIDC_ISSUER, "jwks_uri": "https://idp.example.org/tenant/keys"}
    fake.answers["/.well-known/oauth-authorization-server/tenant"] = lambda _: httpx.Response(200, json=document)
    return fake


async def _published(client: httpx.AsyncClient) -> Any:
    return (await client.get(f"{DOMAIN}/.well-known/jwks.json")).json()


@cache
def good_token() -> str:
    """A token that is let in: part of it may be nowhere but in the request."""
    return issuer().token(scope="openid notes:write")


@dataclass
class Request:
    """One request; `headers` exactly as they are given to the application."""

    method: str = "POST"
    path: str = "/mcp"
    query: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    @property
    def listens(self) -> bool:
        """Whether its answer is a stream without an end of its own."""
        try:
            message = json.loads(self.body)
        except (ValueError, RecursionError):
            return False
        return isinstance(message, dict) and message.get("method") == "subscriptions/listen"


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False

    def header(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key == name), b"")


class Log:
    """What the server writes to stderr, line by line, in the form that LOG_FORMAT says."""

    def __init__(self, log_format: Literal["json", "text"]) -> None:
        self._format = log_format
        self._written = io.StringIO()
        with redirect_stderr(self._written):
            logs.configure(log_format)

    def take(self) -> str:
        """What was written since the last time, judged."""
        text = self._written.getvalue()
        self._written.seek(0)
        self._written.truncate()
        check("Traceback (most recent call last)" not in text, f"no traceback in the log: {text[-3000:]}")
        for line in text.splitlines():
            self._judge(line)
        return text

    def _judge(self, line: str) -> None:
        if self._format == "json" or line.startswith('{"audit"'):
            entry = json.loads(line)
            level = entry.get("level", "info")
        else:
            check(line.isprintable(), f"nothing in the log commands a terminal: {line!r}")
            level = "error" if "[error" in line or "[critical" in line else "info"
        check(level not in ("error", "critical"), f"no error in the log: {line[:2000]}")


class Server:
    """The server, its event loop, and everything that must not show anywhere."""

    def __init__(self, log: Log, canaries: tuple[str, ...] = ()) -> None:
        self.loop = new_event_loop()
        self.issuer = issuer()
        self.log = log
        _, payload, signature = good_token().split(".")
        secrets = (payload, signature, STATIC_TOKEN, SECRET, SIGNIN_SECRET, "sk_canary-of-workos", *canaries)
        self._canaries = tuple(secret.encode() for secret in secrets)
        self._ending: list[tuple[asyncio.Event, asyncio.Task[None]]] = []

    def start(self, **changes: Any) -> Starlette:
        """An application with these settings, whose lifespan has begun."""
        fake = self.issuer
        client = httpx.AsyncClient(transport=httpx.MockTransport(fake._answer))
        app = create_app(settings(**changes), SERVER, client=client, now=fake.now, clock=fake.clock)
        begun, ending = asyncio.Event(), asyncio.Event()

        async def live() -> None:
            async with app.router.lifespan_context(app):
                begun.set()
                await ending.wait()

        task = self.loop.create_task(live())
        self.loop.run_until_complete(begun.wait())
        self.loop.run_until_complete(asyncio.sleep(0.01))
        self._ending.append((ending, task))
        return app

    def stop(self) -> None:
        """Ends all that was started."""
        for ending, task in self._ending:
            ending.set()
            self.loop.run_until_complete(task)
        self.loop.run_until_complete(asyncio.sleep(0.01))
        # One of sse-starlette's own, for the life of the process.
        left = [task for task in asyncio.all_tasks(self.loop) if "_shutdown_watcher" not in str(task)]
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        check(not left, f"no task is left over: {left}")

    def ask(self, app: ASGIApp, request: Request, may: tuple[int, ...] = ()) -> Answer:
        """The answer to a request, judged. `may`: which 5xx are right here."""
        self.issuer.clock.forward(1)
        self.issuer.requests.clear()
        self.issuer.seen.clear()
        answer = self.loop.run_until_complete(_asked(app, request))
        log = self.log.take()
        check(answer.complete, "every request gets a whole answer")
        check(answer.status < 500 or answer.status in may, f"no {answer.status}: {bytes(answer.body[:500])!r}")
        shown = bytes(answer.body) + b"".join(name + value for name, value in answer.headers) + log.encode()
        check(not any(canary in shown for canary in self._canaries), f"no secret in log or answer: {shown[:3000]!r}")
        check(b"Traceback (most recent" not in answer.body, "no traceback in the answer")
        for name, value in answer.headers:
            check(not set(b"\r\n\0") & set(name + value), f"no header line is broken: {name!r} {value!r}")
        if answer.header(b"content-type").startswith(b"application/json") and answer.body:
            json.loads(answer.body)
        return answer


async def _asked(app: ASGIApp, request: Request) -> Answer:
    """Sends the request, and goes away from a stream that would never end."""
    answer = Answer()
    read, gone = False, asyncio.Event()

    async def receive() -> Message:
        nonlocal read
        if not read:
            read = True
            return {"type": "http.request", "body": request.body, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            check(answer.status == 0, "an answer begins once")
            answer.status, answer.headers = message["status"], list(message["headers"])
            if request.listens and answer.header(b"content-type").startswith(b"text/event-stream"):
                answer.complete = True
                gone.set()
        else:
            check(answer.status, "an answer begins with its status")
            answer.body += message.get("body", b"")
            answer.complete |= not message.get("more_body", False)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.path.encode("utf-8", "surrogateescape"),
        "query_string": request.query,
        "root_path": "",
        "headers": request.headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    async with asyncio.timeout(HANGING_SECONDS):
        await app(scope, receive, send)
    return answer


@contextmanager
def served(log_format: Literal["json", "text"] = "json", canaries: tuple[str, ...] = ()) -> Iterator[Server]:
    """A server that is stopped in the end."""
    server = Server(Log(log_format), canaries)
    try:
        yield server
        server.stop()
    finally:
        logging.basicConfig(level=logging.WARNING, stream=sys.stderr, force=True)


__all__ = ["HOST", "Answer", "Flaw", "Log", "Request", "Server", "served"]
