"""The longest stall of the event loop while the issuer does wrong.

The application runs in this process, on uvloop as under uvicorn. Requests start AT_ONCE in a turn of the loop: what a
server is sent in one turn it works off in one turn, so more would measure the sender.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, redirect_stderr
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import asgi
import calls
import fake_issuer
import faults
import httpx
import uvloop
from figures import ROUNDS, Figure, figure
from jwt.utils import base64url_encode
from processes import TOOL, BenchmarkError, Server, issuing
from starlette.applications import Starlette
from stytch_mcp import logs, serving
from stytch_mcp.app import create_app
from stytch_mcp.protect import remote
from ticker import Ticker

GOAL_MS: Final = 10.0
HOST: Final = "127.0.0.1:8000"
AT_ONCE: Final = 4
REFRESHES: Final = 8
REFRESH_SECONDS: Final = 301
UNKNOWN_KEYS: Final = 10_000
FIRST_REQUESTS: Final = 1_000
# How long the runtime waits makes no difference to the loop; here it should not take five seconds.
TIMEOUT_SECONDS: Final = 0.4
ANSWERS: Final = (200, 401, 503)


@dataclass(frozen=True)
class Source:
    """An issuer as the application meets it: in this process, or over HTTP."""

    domain: str
    client: httpx.AsyncClient
    fault: Callable[[str], Awaitable[None]]
    tokens: Callable[[int, str], Awaitable[Sequence[str]]]


Stall = tuple[float, float]
Sources = Callable[[], AbstractAsyncContextManager[Source]]


def figures() -> Iterator[Figure]:
    """Each fault in both ways, and the floods."""
    remote.TIMEOUT_SECONDS = TIMEOUT_SECONDS
    nowhere = Path(os.devnull).open("w")  # noqa: SIM115 (for as long as the process logs)
    with redirect_stderr(nowhere):
        logs.configure("json")
    for name in ("none", *faults.FAULTS):
        if name not in faults.BY_SOCKET_ONLY:
            yield _stall(name, partial(_faulty, name, in_process))
    with issuing() as issuer:
        for name in ("none", *faults.FAULTS):
            if name not in faults.IN_PROCESS_ONLY:
                yield _stall(f"{name}, over HTTP", partial(_faulty, name, partial(over_http, issuer)))
    yield _stall("10,000 unknown kids", _unknown_keys)
    yield _stall("1,000 first requests, one token", partial(_first_requests, tokens=1))
    yield _stall("1,000 first requests, a token each", partial(_first_requests, tokens=FIRST_REQUESTS))


def _stall(what: str, measure: Callable[[], Coroutine[Any, Any, Stall]]) -> Figure:
    stalls = [uvloop.run(measure()) for _ in range(ROUNDS)]
    processor = statistics.median(processor for _, processor in stalls)
    return figure(
        what,
        [wall * 1000 for wall, _ in stalls],
        " ms",
        at_most=GOAL_MS,
        note=f"{processor * 1000:.2g} ms on the processor",
    )


@asynccontextmanager
async def in_process() -> AsyncIterator[Source]:
    """The fake issuer of the generated tests."""
    issuer = fake_issuer.FakeIssuer()
    issuer.now = fake_issuer.Clock(time.time())

    async def fault(name: str) -> None:
        faults.apply(issuer, name)

    async def tokens(count: int, kid: str) -> Sequence[str]:
        return [issuer.token(jti=str(number), headers={"kid": kid}) for number in range(count)]

    yield Source(fake_issuer.DOMAIN, issuer.client, fault, tokens)


@asynccontextmanager
async def over_http(issuer: Server) -> AsyncIterator[Source]:
    """The same behind a socket."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as control:

        async def fault(name: str) -> None:
            (await control.get(f"{issuer.url}/bench/fault/{name}")).raise_for_status()

        async def tokens(count: int, kid: str) -> Sequence[str]:
            answer = await control.get(f"{issuer.url}/bench/tokens/{count}", params={"kid": kid})
            minted: list[str] = answer.raise_for_status().json()
            return minted

        yield Source(issuer.url, httpx.AsyncClient(trust_env=False), fault, tokens)


@asynccontextmanager
async def application(source: Source, clock: fake_issuer.Clock) -> AsyncIterator[Starlette]:
    """The baked server with this issuer."""
    server = importlib.import_module("notes_mcp.server").SERVER
    settings = server.settings(
        public_url=f"http://{HOST}",
        scope_mode="custom",
        allowed_email_domains="example.com",
        stytch_domain=source.domain,
        stytch_project_id=fake_issuer.PROJECT_ID,
        stytch_secret=fake_issuer.SECRET,
        upstream_url="http://127.0.0.1:9",
    )
    app = create_app(settings, server, client=source.client, clock=clock)
    async with app.router.lifespan_context(app):
        # As `serving` does where it does: the collector no longer walks through what has come to stay.
        getattr(serving, "settle", gc.collect)()
        yield app


async def _faulty(name: str, sources: Sources) -> Stall:
    """Cold, then warm: every refresh meets the fault while known, new and unknown tokens come in."""
    clock = fake_issuer.Clock(1000.0)
    async with sources() as source:
        ordinary = await source.tokens(REFRESHES * AT_ONCE, fake_issuer.KEY_ID)
        unknown = await source.tokens(REFRESHES, "unknown")
        await source.fault(name)
        async with application(source, clock) as app:
            ticker = Ticker()
            ticker.take()
            for warm in (False, True):
                if warm:
                    await source.fault("none")
                    clock.forward(REFRESH_SECONDS)
                    await _send(app, ordinary[:1])
                    await source.fault(name)
                for number in range(REFRESHES):
                    clock.forward(REFRESH_SECONDS)
                    await _send(app, [unknown[number], ordinary[0], *ordinary[number * AT_ONCE :][:AT_ONCE]])
            longest = ticker.take()
            ticker.stop()
        await source.fault("none")
    return longest


async def _unknown_keys() -> Stall:
    async with in_process() as source:
        (token,) = await source.tokens(1, fake_issuer.KEY_ID)
        rest = token.partition(".")[2]
        invented = [f"{_header(number)}.{rest}" for number in range(UNKNOWN_KEYS)]
        return await _flood(source, invented, first=token)


async def _first_requests(tokens: int) -> Stall:
    """The keys come when all are waiting for them."""
    async with in_process() as source:
        minted = list(await source.tokens(tokens, fake_issuer.KEY_ID))
        await source.fault("slow, but in time")
        return await _flood(source, minted * (FIRST_REQUESTS // tokens))


async def _flood(source: Source, tokens: Sequence[str], first: str | None = None) -> Stall:
    async with application(source, fake_issuer.Clock(1000.0)) as app:
        if first is not None:
            await _send(app, [first])
        ticker = Ticker()
        ticker.take()
        await _send(app, tokens)
        longest = ticker.take()
        ticker.stop()
    return longest


def _header(number: int) -> str:
    return base64url_encode(json.dumps({"alg": "RS256", "kid": f"invented-{number}"}).encode()).decode()


async def _send(app: Starlette, tokens: Iterable[str]) -> None:
    async with asyncio.TaskGroup() as requests:
        for number, token in enumerate(tokens, 1):
            requests.create_task(_request(app, token))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)


async def _request(app: Starlette, token: str) -> None:
    headers = calls.headers(calls.LEGACY, TOOL, token).items()
    answer = await asgi.request(
        app, "POST", "/mcp", headers=headers, host=HOST, chunks=(calls.body(calls.LEGACY, TOOL),)
    )
    if answer.status not in ANSWERS:
        raise BenchmarkError(f"answered {answer.status}: {answer.body[:200]!r}")
