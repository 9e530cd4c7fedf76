"""The name of the issuer or of the API does not resolve, or the resolver does not answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
import stamina
from anyio.lowlevel import checkpoint
from mcp.server.mcpserver.exceptions import ToolError

from stytch_mcp.protect import remote
from tests.asgi import request
from tests.fake_issuer import FakeIssuer
from tests.faults.conftest import Figure
from tests.faults.sockets import HANGING_SECONDS
from tests.faults.test_upstream import client_of, upstream
from tests.test_gate import STATIC_TOKEN, call, post, started

pytestmark = pytest.mark.anyio

# RFC 6761 section 6.4: it never resolves.
NOWHERE = "https://issuer.invalid"
NO_API = "https://api.invalid"
ATTEMPTS = 40


class Resolver:
    """Stands for the machine's; while `hangs` it answers nobody. Counts who waits for it."""

    def __init__(self) -> None:
        self.hangs = True
        self.answer = threading.Event()
        self.waiting = 0
        self.most = 0

    def __call__(self, *_: Any, **__: Any) -> Any:
        if self.hangs:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            self.answer.wait()
            self.waiting -= 1
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.answer.set()


@pytest.fixture
def issuer() -> FakeIssuer:
    """One that is asked over the network, at a name that does not resolve."""
    issuer = FakeIssuer(NOWHERE)
    issuer.client = httpx.AsyncClient(trust_env=False)
    return issuer


async def test_a_name_that_does_not_resolve_is_503(issuer: FakeIssuer) -> None:
    async with started(issuer, stytch_domain=NOWHERE) as app:
        answer = await post(app, issuer.token(), call("free"))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert (await post(app, STATIC_TOKEN, call("free"))).status == 200


async def test_a_resolver_that_hangs_holds_up_nobody_else(
    issuer: FakeIssuer, resolver: Resolver, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT_SECONDS", 0.01)
    async with started(issuer, stytch_domain=NOWHERE) as app:
        with anyio.fail_after(HANGING_SECONDS):
            for number in range(ATTEMPTS):
                answer = await post(app, issuer.token(jti=str(number)), call("free"))
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert (await post(app, STATIC_TOKEN, call("free"))).status == 200
                assert (await request(app, "GET", "/health")).status == 200
                issuer.clock.forward(remote.RETRY_SECONDS)
        figure("a resolver that hangs", f"{ATTEMPTS} attempts, {resolver.most} threads wait for it, all others served")
        resolver.hangs = False
        resolver.answer.set()
        while resolver.waiting:
            await checkpoint()
    assert 0 < resolver.most <= 32, "asyncio's threads have a bound"


@pytest.mark.parametrize(("hangs", "words"), [(False, "ConnectError"), (True, "TimeoutError")])
async def test_an_api_whose_name_does_not_resolve_is_told(
    resolver: Resolver, hangs: bool, words: str, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "TIMEOUT_SECONDS", 0.2)
    resolver.hangs = hangs
    with anyio.fail_after(HANGING_SECONDS), stamina.set_testing(True, attempts=upstream.ATTEMPTS):
        async with client_of(NO_API) as client:
            with pytest.raises(ToolError, match=words) as caught:
                await client.get("1")
    resolver.answer.set()
    figure(f"upstream's name, {'no answer' if hangs else 'not found'}", str(caught.value))
