"""The stand-in for Coda: tokens, refusals, pages of lists, limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.own.stand_in import DOC, EDITOR, FULL, ONE_DOC, ONE_TABLE, ORIGIN, READ, SESSIONS, TARGETS, WRITE, coda
from tests.own.stand_in_contract import PREFIX

pytestmark = pytest.mark.anyio

ROW = {"rows": [{"cells": [{"column": "c-tgtName00", "value": "Vega"}]}]}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer nobody", f"Basic {FULL}", FULL])
async def test_only_known_tokens_are_let_in(header: str | None) -> None:
    async with coda() as local:
        headers = {} if header is None else {"authorization": header}
        response = await local.http.get(f"{PREFIX}/docs", headers=headers)
        assert response.status_code == 401
        assert response.json() == {"statusCode": 401, "statusMessage": "Unauthorized", "message": "Unauthorized"}
        assert not any(value in str(list(local.world.requests)) for value in ("nobody", FULL))


@pytest.mark.parametrize(
    ("token", "method", "path", "status"),
    [
        (READ, "GET", DOC, 200),
        (READ, "POST", f"{DOC}/pages/canvas-obsHome001/export", 403),
        (READ, "POST", f"{TARGETS}/rows", 403),
        (READ, "DELETE", DOC, 403),
        (WRITE, "GET", DOC, 403),
        (WRITE, "GET", "/whoami", 200),
        (ONE_DOC, "GET", DOC, 200),
        (ONE_DOC, "GET", f"{DOC}/tables", 200),
        (ONE_DOC, "GET", "/docs", 403),
        (ONE_DOC, "GET", "/docs/handbook01", 403),
        (ONE_DOC, "GET", "/folders", 403),
        (ONE_DOC, "GET", "/analytics/docs/obsLogBk01/pages", 403),
        (ONE_DOC, "GET", "/whoami", 200),
        (ONE_TABLE, "GET", TARGETS, 200),
        (ONE_TABLE, "GET", f"{DOC}/tables/Targets/rows", 200),
        (ONE_TABLE, "GET", SESSIONS, 403),
        (ONE_TABLE, "GET", DOC, 403),
        (EDITOR, "POST", "/docs", 403),
        (EDITOR, "GET", DOC, 200),
        (EDITOR, "GET", "/docs/handbook01", 403),
        (FULL, "POST", "/docs/starChart1/pages", 403),
        (FULL, "GET", "/docs/starChart1", 200),
        (FULL, "GET", "/docs/lunaDiary1", 403),
        (FULL, "GET", "/analytics/docs/bakeryPln1/pages", 401),
    ],
)
async def test_what_a_token_may(token: str, method: str, path: str, status: int) -> None:
    bodies: dict[str, Any] = {f"{TARGETS}/rows": ROW, f"{DOC}/pages/canvas-obsHome001/export": {"outputFormat": "html"}}
    async with coda() as local:
        body = {"json": bodies.get(path, {})} if method in ("POST", "PUT", "PATCH") else {}
        answer = await local.call(method, path, status, token=token, **body)
        if status == 403:
            assert answer == {"statusCode": 403, "statusMessage": "Forbidden", "message": "Forbidden"}


async def test_a_restricted_token_says_that_it_is_one() -> None:
    async with coda() as local:
        assert (await local.call("GET", "/whoami"))["scoped"] is False
        assert (await local.call("GET", "/whoami", token=ONE_DOC))["scoped"] is True


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/docs/nowhere", 404, "Not Found"),
        ("/docs/moonbase01", 404, "Doc has been deleted."),
        (f"{DOC}/pages/nowhere", 404, "Could not find a page with the specified ID or name."),
        (f"{DOC}/tables/nowhere", 404, "Could not find a table with the specified ID or name."),
        (f"{TARGETS}/columns/nowhere", 404, "Could not find a column with the specified ID or name."),
        (f"{TARGETS}/rows/nowhere", 404, "Could not find a row with the specified ID or name."),
        (f"{DOC}/formulas/nowhere", 404, "Could not find a formula with the specified ID or name."),
        (f"{DOC}/controls/nowhere", 404, "Could not find a control with the specified ID or name."),
        ("/mutationStatus/mutate:1", 404, "No request was found with the given id, or it has expired."),
        (f"{DOC}/pages?limit=0", 400, "Bad Request"),
        (f"{DOC}/pages?limit=many", 400, "Bad Request"),
        (f"{DOC}/pages?cursor=1", 400, "Bad Request"),
        (f"{TARGETS}/rows?valueFormat=poor", 400, "Bad Request"),
        (f"{TARGETS}/rows?useColumnNames=1", 400, "Bad Request"),
        (f"{TARGETS}/rows?sortBy=natural&visibleOnly=false", 400, None),
        (f"{DOC}/tables?tableTypes=chair", 400, "Bad Request"),
        (f"{DOC}/pages?pageToken=nonsense", 400, "Invalid pageToken."),
        (f"{TARGETS}/rows?syncToken=nonsense", 400, "Invalid pageToken."),
    ],
)
async def test_refusals(path: str, status: int, message: str | None) -> None:
    async with coda() as local:
        answer = await local.call("GET", path, status)
        assert answer["statusCode"] == status
        if message:
            assert answer["message"] == message


@pytest.mark.parametrize("path", ["/docs/..%2F..", "/docs/%2E%2E", "/docs/%00", "/docs/%ff", "/docs/a%2Fb"])
async def test_odd_ids_are_ids_that_are_not_there(path: str) -> None:
    async with coda() as local:
        await local.call("GET", path, 404)


async def test_a_name_with_a_slash_is_reached_when_it_is_quoted() -> None:
    async with coda() as local:
        local.world.docs["obsLogBk01"].tables["grid-obsTarget1"].name = "Far/near"
        assert (await local.call("GET", f"{DOC}/tables/Far%2Fnear"))["id"] == "grid-obsTarget1"


async def test_what_lines_of_a_page_are_asked_with_is_checked_in_detail() -> None:
    path = f"{DOC}/pages/canvas-obsGuide01/content"
    async with coda() as local:
        answer = await local.call("GET", f"{path}?outputFormat=html", 400)
        assert answer["codaDetail"]["issues"][0]["keys"] == ["outputFormat"]
        first = await local.get(path, limit=2)
        await local.get(path, pageToken=first["nextPageToken"])
        await local.call("GET", f"{path}?limit=2&pageToken={first['nextPageToken']}", 400)


async def test_a_list_comes_in_pages_whose_tokens_hold_the_question() -> None:
    async with coda() as local:
        rows = await local.all(f"{SESSIONS}/rows", limit=7, useColumnNames="true")
        assert [row["index"] for row in rows] == list(range(40))
        assert all("Title" in row["values"] for row in rows)
        first = await local.get(f"{SESSIONS}/rows", limit=7)
        link = await local.http.get(first["nextPageLink"], headers={"authorization": f"Bearer {FULL}"})
        assert [row["index"] for row in link.json()["items"]] == list(range(7, 14))
        other = await local.get(f"{SESSIONS}/rows", limit=1, pageToken=first["nextPageToken"])
        assert len(other["items"]) == 7
        await local.get(f"{TARGETS}/rows", 400, pageToken=first["nextPageToken"])


async def test_a_page_is_never_larger_than_the_largest() -> None:
    async with coda() as local:
        await local.control("rows", doc="obsLogBk01", table="Targets", count=200)
        assert len((await local.get(f"{TARGETS}/rows", limit=1000))["items"]) == 100
        assert len(await local.all(f"{TARGETS}/rows", limit=1000)) == 212


@pytest.mark.parametrize(
    ("method", "path", "requests", "seconds"),
    [
        ("GET", DOC, 100, 6),
        ("GET", "/docs", 4, 6),
        ("PATCH", DOC, 10, 6),
        ("POST", f"{TARGETS}/rows", 5, 10),
        ("DELETE", f"{TARGETS}/rows", 5, 10),
        ("GET", "/analytics/updated", 100, 6),
    ],
)
async def test_a_class_of_requests_has_its_limit(method: str, path: str, requests: int, seconds: int) -> None:
    bodies: dict[str, Any] = {"POST": ROW, "PATCH": {"title": "Log"}, "DELETE": {"rowIds": ["i-nowhere"]}}
    body = {"json": bodies[method]} if method in bodies else {}
    status = 202 if "rows" in path else 200
    async with coda(limits=True) as local:
        for _ in range(requests):
            await local.call(method, path, status, **body)
        answer = await local.call(method, path, 429, **body)
        assert answer == {"statusCode": 429, "statusMessage": "Too Many Requests", "message": "Too Many Requests"}
        local.clock.now += seconds - 0.01
        await local.call(method, path, 429, **body)
        local.clock.now += 0.01
        await local.call(method, path, status, **body)


async def test_a_limit_is_one_users_and_over_all_tokens() -> None:
    async with coda(limits=True) as local:
        for _ in range(4):
            await local.call("GET", "/docs", token=READ)
        await local.call("GET", "/docs", 429)
        await local.call("GET", "/docs", token=EDITOR)


async def test_an_export_is_in_no_limit() -> None:
    async with coda(limits=True) as local:
        for _ in range(20):
            path = f"{DOC}/pages/canvas-obsHome001/export"
            await local.call("POST", path, 202, json={"outputFormat": "html"})


@pytest.mark.parametrize("with_header", [True, False])
async def test_whether_a_refusal_says_when_to_come_back(with_header: bool) -> None:
    async with coda(limits=True) as local:
        await local.control("settings", listing=[1, 6], retry_after=with_header)
        await local.call("GET", "/docs")
        local.clock.now += 1.5
        response = await local.http.get(f"{PREFIX}/docs", headers={"authorization": f"Bearer {FULL}"})
        assert response.status_code == 429
        assert response.headers.get("retry-after") == ("5" if with_header else None)


async def test_answers_carry_codas_headers() -> None:
    async with coda() as local:
        response = await local.http.get(f"{ORIGIN}{PREFIX}{DOC}", headers={"authorization": f"Bearer {FULL}"})
        assert response.headers["x-coda-server"] == "api"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["etag"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"titel": "x"}',
        b'{"title": 1}',
        b'{"title": "x", "extra": null}',
        b"\xff\xfe",
        b'{"title": "\\ud800"}',
    ],
)
async def test_bad_bodies(body: bytes) -> None:
    async with coda() as local:
        headers = {"content-type": "application/json"}
        await local.call("PATCH", DOC, 400, content=body, headers=headers)
        assert (await local.get(DOC))["name"] == "Observatory Log"


async def test_a_body_of_more_than_two_megabytes() -> None:
    async with coda() as local:
        answer = await local.call("PATCH", DOC, 400, json={"title": "x" * 2_500_000})
        assert answer["message"] == "request entity too large"
