"""Coda answers a byte at a time, or keeps everyone waiting: each call ends with words, within the time that it has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.abc
import pytest

from coda_mcp.upstream import CodaError, Upstream
from coda_mcp.upstream.calls import Call, Calls
from coda_mcp.upstream.http import ATTEMPTS
from coda_mcp.upstream.limits import Window
from tests.own.cases import DOC, HOME
from tests.own.rig import Clock, Rig, settings
from tests.own.test_every_tool import error_of
from tests.own.virtual import Timeline

pytestmark = pytest.mark.anyio

# Bounds a hang, nothing else.
HANGING_SECONDS = 60.0
TIMEOUT_SECONDS = 0.3
PACE_SECONDS = 0.02
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
CANVAS = {"id": "canvas-1", "contentType": "canvas"}

Beginnings = dict[bytes, bytes]


@asynccontextmanager
async def trickling(beginnings: Beginnings, again: bytes = b" ") -> AsyncIterator[tuple[Upstream, list[bytes]]]:
    """A client of a Coda that goes on with one byte after the other. Gives what was asked, method and path.

    `beginnings`: what comes at once, by the last part of the path; `{url}` in it is Coda's own.
    """
    asked: list[bytes] = []

    async def meet(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                line = (await stream.receive()).split(b" HTTP/")[0]
                asked.append(line)
                beginning = beginnings.get(line.rsplit(b"/")[-1], HEAD)
                await stream.send(beginning.replace(b"{url}", url.encode()))
                while not beginning.endswith(b"}"):
                    await stream.send(again)
                    with anyio.move_on_after(PACE_SECONDS):
                        await stream.receive()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    # Shorter than an owner may set it.
    short = settings(url).model_copy(update={"coda_timeout_seconds": TIMEOUT_SECONDS})
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, meet)
        with anyio.fail_after(HANGING_SECONDS):
            async with Upstream(short, timing=Clock().timing) as client:
                yield client, asked
                for each in (client._client, client._downloads):
                    assert not each._transport._pool.connections  # type: ignore[attr-defined]
        tasks.cancel_scope.cancel()


async def read(client: Upstream) -> None:
    await client.get("docs", DOC)


async def rename(client: Upstream) -> None:
    await client.send("PATCH", "docs", DOC, body={"title": "Observatory Log"}, repeatable=True)


async def add(client: Upstream) -> None:
    await client.send("POST", "docs", DOC, "pages", body={"name": "Night"})


CALLS: dict[str, tuple[Callable[[Upstream], Awaitable[None]], int, str]] = {
    "reading": (read, ATTEMPTS, "Try again"),
    "a change that may be repeated": (rename, ATTEMPTS, "Try again"),
    "a change that may not": (add, 1, "unknown"),
}
PARTS = {"in the body": (HEAD, b" "), "in a header": (HEAD[:-4] + b"\r\nX-Long: ", b"y")}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("call", CALLS)
async def test_an_answer_that_trickles_is_given_up(call: str, part: str) -> None:
    do, attempts, words = CALLS[call]
    beginning, again = PARTS[part]
    async with trickling({DOC.encode(): beginning, b"pages": beginning}, again) as (client, asked):
        with pytest.raises(CodaError, match=words) as caught:
            await do(client)
    assert caught.value.kind == "timeout"
    assert len(asked) == attempts


async def test_an_exported_page_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """That one has what is left of the call's time, of which this clock takes nothing."""
    answer = b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"id": "1", "downloadLink": "{url}/file"}'
    async with trickling({b"export": answer, b"1": answer}) as (client, asked):
        monkeypatch.setattr(Calls, "current", Call(deadline=1.0))
        with pytest.raises(CodaError, match="out of reach") as caught:
            await client.exports.read(DOC, CANVAS, "markdown")
    assert (caught.value.kind, caught.value.retryable) == ("unreachable", True)
    assert asked[-1] == b"GET /file"


async def test_a_call_whose_time_is_over_asks_nothing_more(rig: Rig) -> None:
    """Its first answer was slow."""

    def slow() -> None:
        rig.clock.seconds += 60

    rig.wire.before(1, "GET", slow)
    async with rig.client() as client:
        error = error_of(await client.call_tool("coda_read_page", {"doc_id": DOC, "page": HOME}))
    assert error["error"] == "timeout"
    assert "not sent any more" in error["hint"]
    assert len(rig.wire.sent) == 1


async def test_a_pause_that_is_prolonged_ends_the_calls_that_it_leaves_no_time() -> None:
    """A 429 with a long Retry-After, while calls wait that were told a shorter one."""
    timeline = Timeline()
    window = Window(1, 10, timeline.timing)
    refused: list[float] = []

    async def call() -> None:
        await window.wait(55)

    async def waiting() -> None:
        with pytest.raises(CodaError, match="leaves room for this in about") as caught:
            await window.wait(55)
        assert caught.value.kind == "rate_limited"
        refused.append(timeline.seconds)

    async def prolong() -> None:
        await timeline.sleep(5)
        window.pause(3600)

    await timeline.run(call, waiting, waiting, waiting, prolong)
    assert refused == [10, 10, 10]
