"""The whole server over HTTP beside Coda's stand-in, with one clock for both that only waiting moves.

The server runs under uvicorn in a thread, so that all tests share it; every test gets the stand-in as new.
"""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio.lowlevel
import httpx
import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import MCPServer

from coda_mcp.server import SERVER, assemble
from coda_mcp.upstream import Timing, Upstream, UpstreamSettings
from local.app import create_app as create_coda
from local.coda.config import FAITHFUL, Config
from local.coda.faults import Fault
from local.coda.world import World
from stytch_mcp.app import create_app
from tests.fake_issuer import CLIENT_ID, DOMAIN, PROJECT_ID, SECRET, USER_ID, FakeIssuer
from tests.sdk_client import Mode
from tests.servers import running

CODA_TOKEN = "local-upstream-token"
START = 1_770_000_000.0
# All that is kept for a while has been forgotten after that.
LONG_SECONDS = 3600.0
EVERYTHING = "coda:read coda:write coda:admin"
MODES: list[Mode] = ["auto", "legacy"]


class Clock:
    """Seconds that pass when somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        self.held = False
        self._sleeping = 0

    def now(self) -> float:
        return self.seconds

    def epoch(self) -> float:
        return START + self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._sleeping += 1
        try:
            if self.held:
                await anyio.sleep_forever()
            self.seconds += seconds
            await anyio.lowlevel.checkpoint()
        finally:
            self._sleeping -= 1

    async def until(self, sleeping: bool) -> None:
        """While `held` is set nobody wakes: returns when somebody sleeps in the server, or nobody does any more."""
        while bool(self._sleeping) is not sleeping:
            await anyio.lowlevel.checkpoint()

    @property
    def timing(self) -> Timing:
        return Timing(self.now, self.sleep)


class Wire(httpx.AsyncBaseTransport):
    """The way to Coda, where a test can listen, and where time can run out without anybody waiting."""

    def __init__(self) -> None:
        self.inner = httpx.AsyncHTTPTransport()
        self.timing_out = False
        self.sent: list[httpx.Request] = []
        self._before: tuple[int, str, Callable[[], None]] | None = None

    def before(self, number: int, method: str, do: Callable[[], None]) -> None:
        """Once, before the so manieth request from now with that method."""
        self._before = number, method, do

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        if self._before is not None and request.method == self._before[1]:
            number, method, do = self._before
            self._before = (number - 1, method, do) if number > 1 else None
            if number == 1:
                do()
        if self.timing_out:
            raise httpx.ReadTimeout("out of time", request=request)
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


@dataclasses.dataclass
class Rig:
    """`world` is all that the stand-in remembers; look at it, and change it through `control`."""

    mcp_url: str
    coda_url: str
    world: World
    clock: Clock
    wire: Wire
    issuer: FakeIssuer
    controls: httpx.Client

    def reset(self) -> None:
        """Coda as new, and so much later that nothing is remembered of the test before."""
        self.clock.seconds += LONG_SECONDS
        self.clock.slept.clear()
        self.control("faults", "DELETE")
        self.control("reset")
        self.control("requests", "DELETE")
        self.control("settings", limits=False)
        self.wire.timing_out = False
        self.wire.sent.clear()

    def control(self, path: str, method: str = "POST", /, **body: Any) -> Any:
        """One of the stand-in's controls."""
        answer = self.controls.request(method, f"{self.coda_url}/_test/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, route: str, **fault: Any) -> None:
        """The same as the control, from within the server."""
        self.world.faults[route] = Fault(**fault)

    def coda(self, method: str, path: str, body: Any = None) -> Any:
        """Asks the stand-in past the server."""
        headers = {"Authorization": f"Bearer {CODA_TOKEN}"}
        answer = self.controls.request(method, f"{self.coda_url}/apis/v1/{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def requests(self) -> list[dict[str, Any]]:
        """What the stand-in was asked."""
        found: list[dict[str, Any]] = self.control("requests", "GET")["requests"]
        return found

    def token(self, scope: str = EVERYTHING) -> str:
        """An access token of the issuer."""
        return self.issuer.token(scope=f"openid {scope}")

    @asynccontextmanager
    async def client(self, mode: Mode = "auto", scope: str = EVERYTHING, person: Any = None) -> AsyncIterator[Client]:
        """The official client with such a token. `person` answers its questions (an elicitation callback)."""
        headers = {"Authorization": f"Bearer {self.token(scope)}"}
        async with plain(headers=headers) as http:
            transport = streamable_http_client(self.mcp_url, http_client=http)
            async with Client(transport, mode=mode, elicitation_callback=person) as client:
                yield client


def plain(**options: Any) -> httpx2.AsyncClient:
    """An HTTP client that reads no certificates: that takes longer than a test."""
    return httpx2.AsyncClient(timeout=60, trust_env=False, verify=False, **options)


def settings(coda_url: str, public_url: str = "http://127.0.0.1", **changes: Any) -> UpstreamSettings:
    """Every toolset, and whoever the issuer vouches for."""
    values = {
        "public_url": public_url,
        "stytch_domain": DOMAIN,
        "stytch_project_id": PROJECT_ID,
        "stytch_secret": SECRET,
        "allowed_users": USER_ID,
        "scope_mode": "custom",
        "upstream_url": coda_url,
        "coda_api_token": CODA_TOKEN,
        "coda_toolsets": "all",
        "max_body_bytes": 8_388_608,
        **changes,
    }
    given = {name: value for name, value in values.items() if value is not None}
    return UpstreamSettings(_env_file=None, **given)  # type: ignore[call-arg]


@contextmanager
def served(**changes: Any) -> Iterator[Rig]:
    """Both servers on loopback, until the block ends."""
    clock, wire, issuer = Clock(), Wire(), FakeIssuer()
    coda_app = create_coda(Config(clock=clock.epoch, timings=FAITHFUL, limits=False))
    with listening() as coda_socket, listening() as socket_:
        coda_url, public_url = url_of(coda_socket), url_of(socket_)

        @asynccontextmanager
        async def build(configured: UpstreamSettings) -> AsyncIterator[MCPServer]:
            async with Upstream(configured, transport=wire, timing=clock.timing) as upstream:
                yield assemble(upstream)

        app = create_app(
            settings(coda_url, public_url, **changes),
            dataclasses.replace(SERVER, build=build),
            client=issuer.client,
            now=issuer.now,
            clock=issuer.clock,
        )
        with (
            running(coda_app, coda_socket, "on"),
            running(app, socket_, "on"),
            httpx.Client(trust_env=False) as controls,
        ):
            yield Rig(f"{public_url}/mcp", coda_url, coda_app.state.coda, clock, wire, issuer, controls)


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        yield listener


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


__all__ = ["CLIENT_ID", "MODES", "Rig", "served"]
