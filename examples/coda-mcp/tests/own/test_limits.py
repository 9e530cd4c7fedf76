"""Coda's rate limits are kept ahead of time: judged by the stand-in, which counts as Coda says that it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from coda_mcp.upstream import CodaError, Upstream
from coda_mcp.upstream.limits import Window, classify, shared
from coda_mcp.upstream.settings import Rate
from local.app import create_app
from local.coda.config import Config
from local.coda.faults import Fault
from local.coda.world import World
from tests.own.cases import DOC, SCOPES
from tests.own.rig import settings
from tests.own.virtual import Timeline

pytestmark = pytest.mark.anyio

ORIGIN = "https://coda.io"
CALLS = 500
ENOUGH_SECONDS = 600.0


@asynccontextmanager
async def upstream(
    timeline: Timeline, replicas: int = 1, **changes: Any
) -> AsyncIterator[tuple[list[Upstream], World]]:
    """Clients of one stand-in with limits; several stand for replicas of the server."""
    app = create_app(Config(clock=timeline.now, in_process=True, limits=True))
    values = {"coda_call_seconds": ENOUGH_SECONDS, "coda_rate_share": 1 / replicas, **changes}
    clients = [
        Upstream(settings(ORIGIN, **values), transport=httpx.ASGITransport(app), timing=timeline.timing)
        for _ in range(replicas)
    ]
    async with clients[0]:
        yield clients, app.state.coda


def statuses(world: World) -> set[int]:
    return {entry["status"] for entry in world.requests}


def dictated(calls: int, count: int, seconds: float) -> float:
    """When the last of so many calls can be sent at the earliest without breaking the limit."""
    return (calls - 1) // count * seconds


async def test_500_calls_at_once_take_no_longer_than_the_limit_dictates() -> None:
    timeline = Timeline()
    async with upstream(timeline) as ((client,), world):
        await timeline.run(*[partial(client.get, "docs", DOC)] * CALLS)
    assert statuses(world) == {200}
    assert len(world.requests) == CALLS
    assert timeline.seconds <= 1.1 * dictated(CALLS, 100, 6)
    # What is 5 % below the published number, to the tenth of a second.
    assert timeline.seconds == pytest.approx(1.05 * dictated(CALLS, 100, 6))


CLASSES = {
    "listing": (24, 4, 6, ("docs",)),
    "analytics": (250, 100, 6, ("analytics", "updated")),
}


@pytest.mark.parametrize("name", CLASSES)
async def test_each_class_of_reads_has_its_own_limit(name: str) -> None:
    calls, count, seconds, path = CLASSES[name]
    timeline = Timeline()
    async with upstream(timeline) as ((client,), world):
        await timeline.run(*[partial(client.get, *path)] * calls, *[partial(client.get, "whoami")] * 100)
    assert statuses(world) == {200}
    assert timeline.seconds <= 1.1 * dictated(calls, count, seconds)


async def test_writing_has_its_limits_and_reading_does_not_wait_for_it() -> None:
    timeline = Timeline()
    update = {"row": {"cells": [{"column": "c-scpApertr", "value": 100}]}}
    path = ("docs", DOC, "tables", SCOPES, "rows", "i-scp0000001")
    writes = [partial(client_send, "PUT", path, update)] * 20
    titles = [partial(client_send, "PATCH", ("docs", DOC), {"title": "Observatory Log"})] * 40
    done: list[float] = []

    async with upstream(timeline) as ((client,), world):

        async def read() -> None:
            await client.get("whoami")
            done.append(timeline.seconds)

        calls = [partial(write, client) for write in (*writes, *titles)]
        await timeline.run(*calls, *[read] * 50)
    assert statuses(world) == {200, 202}
    assert set(done) == {0.0}
    # Whichever of the published numbers for content holds, 3 in 10 s are let through.
    assert timeline.seconds <= 1.1 * dictated(20, 3, 10)
    assert timeline.seconds >= dictated(40, 10, 6)


async def client_send(method: str, path: tuple[str, ...], body: dict[str, Any], client: Upstream) -> None:
    await client.send(method, *path, body=body, repeatable=True)


async def test_replicas_share_the_limit() -> None:
    timeline = Timeline()
    async with upstream(timeline, replicas=2) as (clients, world):
        await timeline.run(*[partial(client.get, "docs", DOC) for client in clients for _ in range(150)])
    assert statuses(world) == {200}


async def test_without_the_share_they_would_break_it() -> None:
    """The proof that the test above can fail."""
    timeline = Timeline()
    async with upstream(timeline, replicas=2, coda_rate_share=1.0) as (clients, world):
        await timeline.run(*[partial(client.get, "docs", DOC) for client in clients for _ in range(150)])
    assert 429 in statuses(world)


async def test_when_somebody_else_uses_the_limit_everyone_pauses_and_gets_through() -> None:
    timeline = Timeline()
    async with upstream(timeline) as ((client,), world):
        world.settings.reading = [20, 6]
        results = await timeline.run(*[partial(client.get, "docs", DOC)] * 30)
    assert len(results) == 30
    assert 429 in statuses(world)


async def test_when_coda_says_wait_nobody_else_asks_meanwhile() -> None:
    timeline = Timeline()
    async with upstream(timeline) as ((client,), world):
        world.faults["*/whoami"] = Fault.model_validate({"status": 429, "times": 1, "headers": {"retry-after": "17"}})

        async def later() -> None:
            await timeline.sleep(1)
            await client.get("docs", DOC)

        await timeline.run(partial(client.get, "whoami"), later)
    asked = [(entry["at"], entry["status"]) for entry in world.requests]
    assert asked[0] == (0, 429)
    assert [at >= 17 for at, _ in asked[1:]] == [True, True]


async def test_what_would_wait_too_long_is_refused_at_once_and_not_sent() -> None:
    timeline = Timeline()
    refused: list[CodaError] = []
    async with upstream(timeline, coda_call_seconds=55) as ((client,), world):

        async def write() -> None:
            try:
                await client.send("DELETE", "docs", DOC, "tables", SCOPES, "rows", "i-nothing", repeatable=True)
            except CodaError as error:
                if error.kind == "rate_limited":
                    assert timeline.seconds == 0
                    refused.append(error)

        await timeline.run(*[write] * 40)
    assert len(world.requests) + len(refused) == 40
    assert len(world.requests) == 3 * 6
    assert all(error.retryable and error.retry_after and error.retry_after > 52 for error in refused)


async def test_a_call_that_is_cancelled_while_it_waits_takes_nobodys_place() -> None:
    timeline = Timeline()
    window = Window(1, 10, timeline.timing)
    sent: list[float] = []

    async def call() -> None:
        await window.wait(1000)
        sent.append(timeline.seconds)

    async def cancelled() -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(window.wait, 1000.0)
                await timeline.sleep(5)
                scope.cancel()

    await timeline.run(call, cancelled, call, call)
    assert sent == [0, 10, 20]


def test_a_window_says_when_it_lets_through() -> None:
    now = 0.0

    async def nobody(_: float) -> None: ...

    timeline = Timeline()
    window = Window(3, 10, timeline.timing)
    expected = [window._expected(ahead) for ahead in range(7)]
    assert expected == [now, now, now, 10, 10, 10, 20]


@pytest.mark.parametrize(
    ("rate", "share", "expected"),
    [("100/6.3", 1, (100, 6.3)), ("100/6.3", 0.5, (50, 6.3)), ("3/10", 0.5, (1, 10)), ("3/10", 0.25, (1, 10 / 0.75))],
)
def test_a_share_is_never_more_than_its_part(rate: str, share: float, expected: tuple[int, float]) -> None:
    count, seconds = shared(Rate.parse(rate), share)
    assert (count, seconds) == pytest.approx(expected)
    assert count / seconds <= Rate.parse(rate).count / Rate.parse(rate).seconds * share + 1e-9


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "docs", "listing"),
        ("GET", "docs/D", "reading"),
        ("GET", "docs/D/pages/P/export/E", "reading"),
        ("GET", "analytics/docs", "analytics"),
        ("POST", "docs", "writing"),
        ("PATCH", "docs/D", "writing"),
        ("PUT", "docs/D/publish", "writing"),
        ("POST", "docs/D/pages", "content"),
        ("POST", "docs/D/pages/P/export", "writing"),
        ("DELETE", "docs/D/pages/export", "content"),
        ("POST", "docs/D/tables/T/rows", "content"),
        ("DELETE", "docs/D/tables/T/rows/R", "content"),
        ("POST", "docs/D/hooks/automation/A", "writing"),
    ],
)
def test_which_limit_a_request_counts_for(method: str, path: str, expected: str) -> None:
    assert classify(method, tuple(path.split("/"))) == expected
