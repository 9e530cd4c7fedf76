"""The stand-in for Coda: what a test can do to it."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest

from local.app import create_app
from tests.own.stand_in import BAKERY, DOC, FULL, ORIGIN, TARGETS, coda
from tests.own.stand_in_contract import PREFIX
from tests.servers import free_port, process, wait_for

pytestmark = pytest.mark.anyio

HEADERS = {"authorization": f"Bearer {FULL}"}
ROW = {"rows": [{"cells": [{"column": "Name", "value": "Vega"}]}]}


async def test_reset_makes_it_as_new() -> None:
    async with coda() as local:
        before = await local.get(DOC)
        await local.call("PATCH", DOC, json={"title": "Other"})
        await local.control("settings", max_page_size=1)
        await local.control("faults", **{"*": {"status": 500}})
        await local.control("reset")
        assert await local.get(DOC) == before
        assert len((await local.get("/docs"))["items"]) == 4


async def test_two_stand_ins_share_nothing() -> None:
    async with coda() as one, coda() as other:
        await one.call("PATCH", DOC, json={"title": "Other"})
        assert (await other.get(DOC))["name"] == "Observatory Log"


async def test_the_clock_can_be_moved() -> None:
    async with coda() as local:
        answer = await local.call("POST", f"{TARGETS}/rows", 202, json=ROW)
        assert (await local.control("clock", advance_seconds=20))["now"] == local.clock.now + 20
        assert (await local.get(f"/mutationStatus/{answer['requestId']}"))["completed"] is True


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("settings", {"limit": True}),
        ("settings", {"limits": "perhaps", "max_page_size": 1}),
        ("settings", {"reading": 5}),
        ("faults", {"*": {"state": 500}}),
        ("faults", {"*": {"drop": "sometimes"}}),
        ("fates", {"next": [{"lucky": True}]}),
        ("fates", {"next": [{"stuck": True, "export_error": "x"}]}),
        ("clock", {}),
        ("rows", {"doc": "obsLogBk01", "table": "Targets"}),
    ],
)
async def test_controls_that_are_refused_change_nothing(path: str, body: dict[str, Any]) -> None:
    async with coda() as local:
        before = (await local.http.get("/_test/settings")).json()
        response = await local.http.post(f"/_test/{path}", json=body)
        assert response.status_code == 400
        assert response.json()["message"] != "Bad Request"
        assert (await local.http.get("/_test/settings")).json() == before
        await local.get(DOC)


async def test_a_fault_of_one_route_so_many_times() -> None:
    async with coda() as local:
        routes = {f"GET {PREFIX}{DOC}": {"status": 503, "headers": {"retry-after": "7"}, "times": 2}}
        await local.control("faults", **routes)
        for _ in range(2):
            response = await local.http.get(f"{PREFIX}{DOC}", headers=HEADERS)
            assert (response.status_code, response.headers["retry-after"]) == (503, "7")
            assert response.json()["message"] == "Service Unavailable"
        await local.call("PATCH", DOC, json={"title": "Log"})
        await local.get(DOC)
        await local.get(BAKERY)


async def test_a_malformed_answer() -> None:
    async with coda() as local:
        await local.control("faults", **{f"{PREFIX}/docs/*": {"malformed": True, "times": 1}})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(local.app), base_url=ORIGIN) as http:
            response = await http.get(f"{PREFIX}{DOC}", headers=HEADERS)
        assert response.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            response.json()


@pytest.mark.parametrize(("when", "rows"), [("before", 12), ("after", 13)])
async def test_a_dropped_connection(when: str, rows: int) -> None:
    async with coda() as local:
        await local.control("faults", **{f"POST {PREFIX}{TARGETS}/rows": {"drop": when, "times": 1}})
        with pytest.raises(httpx.RemoteProtocolError):
            await local.call("POST", f"{TARGETS}/rows", 202, json=ROW)
        local.clock.now += 60
        assert len(await local.all(f"{TARGETS}/rows")) == rows


async def test_a_request_is_held_until_the_faults_are_taken_away() -> None:
    async with coda() as local:
        await local.control("faults", **{f"{PREFIX}{DOC}": {"hold": True}})
        done = []

        async def ask() -> None:
            done.append(await local.get(DOC))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await local.get(BAKERY)
            assert not done
            await local.control("faults", "DELETE")
        assert done


async def test_requests_are_noted_without_the_tokens_in_them() -> None:
    async with coda() as local:
        await local.call("POST", f"{TARGETS}/rows?disableParsing=true", 202, json=ROW)
        await local.call("GET", DOC, 401, token="mcp-clients-token")
        await local.get(f"{TARGETS}/rows", 400, cursor="x")
        noted = (await local.http.get("/_test/requests")).json()["requests"]
        assert [(one["method"], one["status"], one["credential"], one["limit"]) for one in noted] == [
            ("POST", 202, "Full access", "content"),
            ("GET", 401, "unknown", None),
            ("GET", 400, "Full access", "reading"),
        ]
        assert noted[0]["body"] == ROW
        assert noted[0]["query"] == {"disableParsing": "true"}
        assert noted[2]["why"].startswith("query: cursor")
        assert not any(token in json.dumps(noted) for token in ("mcp-clients-token", FULL))
        await local.control("requests", "DELETE")
        assert (await local.http.get("/_test/requests")).json() == {"requests": []}


async def test_a_table_and_a_page_can_be_made_large() -> None:
    async with coda() as local:
        assert await local.control("rows", doc="obsLogBk01", table="Targets", count=1000) == {"rows": 1012}
        await local.control("lines", doc="obsLogBk01", page="canvas-obsOldNte1", count=100, length=1000)
        assert len(await local.export("canvas-obsOldNte1")) > 100_000


def test_a_new_one_is_quick_and_has_limits() -> None:
    settings = create_app().state.coda.settings
    assert settings.limits
    assert settings.insert_seconds < 1


@pytest.mark.e2e
async def test_as_a_process() -> None:
    """As `dev` starts it: a real server, a real connection that is dropped."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    command = ["uvicorn", "--factory", "local.app:create_app", "--log-level", "warning", "--port", str(port)]
    with process(*command) as child:
        wait_for(origin, child)
        async with httpx.AsyncClient(base_url=origin, headers=HEADERS, trust_env=False) as http:
            doc = (await http.get(f"{PREFIX}{DOC}")).json()
            assert doc["href"] == f"{origin}{PREFIX}{DOC}"
            await http.post("/_test/faults", json={f"{PREFIX}{DOC}": {"drop": "before", "times": 1}})
            with pytest.raises(httpx.RemoteProtocolError):
                await http.get(f"{PREFIX}{DOC}")
            assert (await http.get(f"{PREFIX}{DOC}")).json() == doc
            export = await http.post(f"{PREFIX}{DOC}/pages/Welcome/export", json={"outputFormat": "markdown"})
            await http.post("/_test/clock", json={"advance_seconds": 1})
            status = (await http.get(export.json()["href"])).json()
        async with httpx.AsyncClient(trust_env=False) as anyone:
            assert "Owl Hill" in (await anyone.get(status["downloadLink"])).text
