"""The sign-in page in this process, local Stytch on loopback, and a person with a browser that has no screen."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import anyio.lowlevel
import httpx
import uvicorn
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from starlette.applications import Starlette

from stytch_mcp.app import create_app
from stytch_mcp.settings import Settings
from stytch_mcp_kit.local import Config
from stytch_mcp_kit.local import create_app as create_stytch
from stytch_mcp_kit.local.config import PROJECT_ID, PUBLIC_TOKEN, SECRET
from stytch_mcp_kit.local.keys import new_private_key
from stytch_mcp_kit.local.state import Project
from tests import probe
from tests.fake_issuer import Clock
from tests.servers import free_port

PUBLIC_URL = "https://notes.example.com"
MCP_URL = f"{PUBLIC_URL}/mcp"
REDIRECT = "https://claude.ai/api/mcp/auth_callback"
ADA, GRACE = "ada@example.com", "grace@example.org"
CODE = "000000"
SCOPES = {"notes:read": "Stytch says read", "notes:write": "Stytch says write", "notes:admin": "Stytch says admin"}
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
SIGNIN_SECRET = "s" * 32


@cache
def signing_key() -> RSAPrivateKey:
    """One key for all tests: making one takes longer than most of them."""
    return new_private_key()


def settings(domain: str, **changes: Any) -> Settings:
    """A server that admits example.com and offers every way to log in."""
    values = {
        "public_url": PUBLIC_URL,
        "stytch_domain": domain,
        "stytch_project_id": PROJECT_ID,
        "stytch_secret": SECRET,
        "stytch_public_token": PUBLIC_TOKEN,
        "signin_methods": "email-code,email-link,google,github",
        "signin_secret": SIGNIN_SECRET,
        "allowed_email_domains": "example.com",
        "scope_mode": "custom",
        **changes,
    }
    return Settings(**values)


class StytchServer(uvicorn.Server):
    """uvicorn that leaves signals to pytest, and ends when it is told to instead of looking now and then."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = anyio.Event()

    async def main_loop(self) -> None:
        await self.ending.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class World:
    """`app` is the server, `stytch` a client of local Stytch's API, `now` the clock of both."""

    app: Starlette
    domain: str
    stand_in: Starlette
    project: Project
    stytch: httpx.AsyncClient
    now: Clock
    clock: Clock
    stack: AsyncExitStack
    client_id: str = ""

    def person(self, app: Starlette | None = None, headers: dict[str, str] | None = None) -> Person:
        """Somebody with a browser of their own."""
        return Person(self, app or self.app, headers or {})

    async def register(self, **metadata: Any) -> str:
        """A client, by dynamic registration."""
        answer = await self.stytch.post(
            "/v1/oauth2/register", json={"client_name": "Claude", "redirect_uris": [REDIRECT], **metadata}
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["client_id"])

    async def replica(self, **changes: Any) -> Starlette:
        """Another server process, as far as memory goes."""
        # What the gate asks needs no sockets here; what the page asks goes over HTTP, for the SDK knows nothing else.
        http = httpx.AsyncClient(transport=httpx.ASGITransport(self.stand_in))
        app = create_app(settings(self.domain, **changes), probe.SERVER, client=http, now=self.now, clock=self.clock)
        await self.stack.enter_async_context(app.router.lifespan_context(app))
        return app

    async def token(self, code: str, redirect_uri: str = REDIRECT, client_id: str = "") -> httpx.Response:
        """Redeem a code as the client does."""
        form = {
            "grant_type": "authorization_code",
            "client_id": client_id or self.client_id,
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": redirect_uri,
        }
        return await self.stytch.post("/v1/oauth2/token", data=form)

    async def mailed(self, address: str) -> dict[str, Any]:
        """What is in somebody's mailbox."""
        return dict((await self.stytch.get("/_test/otp", params={"email": address})).json())

    def asked(self, path: str) -> int:
        """How often Stytch was asked for a path."""
        return sum(request["path"] == path for request in self.project.requests)


@asynccontextmanager
async def world(local: dict[str, Any] | None = None, **changes: Any) -> AsyncIterator[World]:
    """Everything started; `local` changes local Stytch's configuration, the rest the settings of the server."""
    now, clock = Clock(float(int(time.time()))), Clock(1000.0)
    port = free_port()
    domain = f"http://127.0.0.1:{port}"
    config = Config(
        domain, f"{PUBLIC_URL}/oauth/authorize", SCOPES, clock=now, signing_key=signing_key(), **(local or {})
    )
    stand_in = create_stytch(config)
    server = StytchServer(
        uvicorn.Config(stand_in, port=port, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
    )
    async with anyio.create_task_group() as tasks, AsyncExitStack() as stack:
        tasks.start_soon(server.serve)
        while not server.started:
            await anyio.lowlevel.checkpoint()
        api = httpx.AsyncClient(base_url=domain, auth=(PROJECT_ID, SECRET), trust_env=False, verify=False)
        http = await stack.enter_async_context(api)
        this = World(Starlette(), domain, stand_in, stand_in.state.project, http, now, clock, stack)
        this.app = await this.replica(**changes)
        this.client_id = await this.register()
        yield this
        await stack.aclose()
        server.ending.set()


class Person:
    """Follows redirects within the page, keeps cookies, fills in forms; never leaves for another site by itself."""

    def __init__(self, world: World, app: Starlette, headers: dict[str, str]) -> None:
        self.world = world
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url=PUBLIC_URL,
            headers={"sec-fetch-site": "same-origin", **headers},
        )
        self.page = httpx.Response(0)

    def query(self, **changes: Any) -> str:
        """A good authorization request; None takes a parameter away, a list repeats it."""
        good = {
            "client_id": self.world.client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": "notes:read",
            "state": "the-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": MCP_URL,
            **changes,
        }
        return urlencode({name: value for name, value in good.items() if value is not None}, doseq=True)

    async def get(self, path: str) -> httpx.Response:
        """Open a page of the server and follow its redirects as long as they stay there."""
        self.page = await self.http.get(path)
        while self.page.is_redirect and self.page.headers["location"].startswith("/"):
            self.page = await self.http.get(self.page.headers["location"])
        return self.page

    async def connect(self, **changes: Any) -> httpx.Response:
        """Come from an application."""
        return await self.get(f"/oauth/authorize?{self.query(**changes)}")

    async def submit(self, path: str = "", **fields: str) -> httpx.Response:
        """Send the page's form, or another form of the page."""
        form = {"csrf": self.csrf, "question": self.question, **fields}
        self.page = await self.http.post(path or self.path, data=form, headers={"origin": "null"})
        if self.page.is_redirect:
            # Another status may make a browser post the form again, to wherever it is led.
            assert self.page.status_code == 303
            await self.get(self.page.headers["location"])
        return self.page

    async def log_in(self, address: str = ADA, code: str | None = None) -> httpx.Response:
        """From the first screen to the third."""
        await self.submit(email=address, kind="email-code")
        right = code or (await self.world.mailed(address))["code"] or CODE
        return await self.submit(action="verify", code=right)

    async def allow(self) -> str:
        """Say yes, and the code that the application gets."""
        await self.submit(decision="allow")
        return self.code

    @property
    def path(self) -> str:
        return self.page.request.url.path

    @property
    def text(self) -> str:
        """The words of the page."""
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", self.page.text)).split())

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.page.text)
        return found[1] if found else ""

    @property
    def question(self) -> str:
        """What was asked, as the consent page's form says it."""
        found = re.search(r'name="question" value="([^"]+)"', self.page.text)
        return found[1] if found else ""

    @property
    def destination(self) -> str:
        """Where the last page leads back to."""
        found = re.search(r'http-equiv="refresh" content="0; url=([^"]*)"', self.page.text)
        assert found is not None, self.text
        assert f'href="{found[1]}"' in self.page.text
        return html.unescape(found[1])

    @property
    def returned(self) -> dict[str, list[str]]:
        """The parameters that the application gets."""
        return parse_qs(urlsplit(self.destination).query)

    @property
    def code(self) -> str:
        return self.returned["code"][0]
