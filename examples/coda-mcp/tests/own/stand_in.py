"""A stand-in for Coda in this process, with a clock that only a test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette

from local.app import create_app
from local.coda.config import FAITHFUL, Config
from local.coda.world import World
from tests.own.stand_in_contract import PREFIX, Checked

ORIGIN = "http://coda.test"
FULL, READ, WRITE, ONE_DOC, ONE_TABLE, EDITOR = (
    f"local-{name}-token" for name in ("upstream", "read", "write", "doc", "table", "editor")
)
DOC, BAKERY = "/docs/obsLogBk01", "/docs/bakeryPln1"
TARGETS, SESSIONS = f"{DOC}/tables/grid-obsTarget1", f"{DOC}/tables/grid-obsSession"
START = 1_770_000_000.0


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Coda:
    """The stand-in and a client of it, who is let in with `token`."""

    app: Starlette
    http: httpx.AsyncClient
    checked: Checked
    clock: Clock = field(default_factory=Clock)
    token: str = FULL

    @property
    def world(self) -> World:
        world: World = self.app.state.coda
        return world

    async def call(self, method: str, path: str, expect: int = 200, token: str | None = None, **more: Any) -> Any:
        """The JSON of an answer with the status that is expected."""
        headers = {"authorization": f"Bearer {token or self.token}", **more.pop("headers", {})}
        response = await self.http.request(method, f"{PREFIX}{path}", headers=headers, **more)
        assert response.status_code == expect, (response.status_code, response.text, list(self.world.requests)[-1])
        return response.json()

    async def get(self, path: str, expect: int = 200, **parameters: Any) -> Any:
        return await self.call("GET", path, expect, params=parameters)

    async def done(self, method: str, path: str, json: Any = None, **more: Any) -> Any:
        """A change, and the time until it is complete."""
        answer = await self.call(method, path, 202, **({"json": json} if json is not None else {}), **more)
        self.clock.now += 60
        return answer

    async def all(self, path: str, **parameters: Any) -> list[Any]:
        """All pages of a list, each asked for with no more than its token."""
        items, page = [], await self.get(path, **parameters)
        items += page["items"]
        while "nextPageToken" in page:
            page = await self.get(path, pageToken=page["nextPageToken"])
            items += page["items"]
        return items

    async def control(self, path: str, method: str = "POST", /, **body: Any) -> Any:
        response = await self.http.request(method, f"/_test/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    async def lines(self, page: str) -> list[str]:
        return [item["itemContent"]["content"] for item in await self.all(f"{DOC}/pages/{page}/content", limit=500)]

    async def export(self, page: str, markup: str = "markdown", doc: str = DOC) -> str:
        """A page's content, by the way of an export."""
        begun = await self.call("POST", f"{doc}/pages/{page}/export", 202, json={"outputFormat": markup})
        self.clock.now += 10
        status = await self.get(f"{doc}/pages/{page}/export/{begun['id']}")
        assert status["status"] == "complete"
        response = await self.http.get(status["downloadLink"])
        assert response.status_code == 200
        assert response.headers["content-encoding"] == "gzip"
        return response.text


@asynccontextmanager
async def coda(clock: Clock | None = None, limits: bool = False) -> AsyncIterator[Coda]:
    """Faithful timings and, unless a test is about them, no rate limits."""
    clock = clock or Clock()
    app = create_app(Config(clock=clock, timings=FAITHFUL, in_process=True, limits=limits))
    checked = Checked(httpx.ASGITransport(app))
    async with httpx.AsyncClient(transport=checked, base_url=ORIGIN) as http:
        yield Coda(app, http, checked, clock)
