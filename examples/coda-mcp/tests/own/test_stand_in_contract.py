"""That the check against Coda's OpenAPI document finds what it is for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.own.stand_in_contract import Checked, document

pytestmark = pytest.mark.anyio

BASE = "http://coda.test/apis/v1"
JSON = {"content-type": "application/json; charset=utf-8"}
FOLDER = {
    "id": "fl-1",
    "type": "folder",
    "name": "Loft",
    "browserLink": "https://coda.io/docs?folderId=fl-1",
    "workspace": {"id": "ws-1", "type": "workspace", "browserLink": "https://coda.io/docs?workspaceId=ws-1"},
}
ROW = {
    "id": "i-1",
    "type": "row",
    "href": f"{BASE}/docs/d/tables/t/rows/i-1",
    "name": "Vega",
    "index": 0,
    "browserLink": "https://coda.io/d/_dd",
    "createdAt": "2026-01-01T00:00:00.000Z",
    "updatedAt": "2026-01-01T00:00:00.000Z",
    "values": {"c-1": "Vega", "c-2": [1, True]},
}
REFUSAL = {"statusCode": 400, "statusMessage": "Bad Request", "message": "Bad Request"}


async def exchange(
    method: str, path: str, answer: Any, status: int = 200, headers: dict[str, str] | None = None, **more: Any
) -> None:
    """A request and an answer of which one may be wrong."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, headers=headers or JSON, json=answer))
    async with httpx.AsyncClient(transport=Checked(transport)) as http:
        await http.request(method, f"{BASE}{path}", **more)


@pytest.fixture
def openapi() -> None:
    """Skips without the document."""
    document()


async def test_what_is_right_passes(openapi: None) -> None:
    await exchange("GET", "/folders/fl-1", FOLDER)
    await exchange("GET", "/docs/d/tables/t/rows", {"items": [ROW]}, params={"valueFormat": "rich", "limit": 5})
    await exchange("DELETE", "/docs/d/tables/t/rows", {"requestId": "m", "rowIds": ["i"]}, 202, json={"rowIds": ["i"]})
    await exchange("PATCH", "/docs/d", REFUSAL, 400, json={"titel": "refused, so not looked at"})


@pytest.mark.parametrize(
    ("method", "path", "answer", "more"),
    [
        ("GET", "/folders/fl-1", {**FOLDER, "colour": "red"}, {}),
        ("GET", "/folders/fl-1", {key: value for key, value in FOLDER.items() if key != "name"}, {}),
        ("GET", "/folders/fl-1", {**FOLDER, "iconColor": "PURPLE"}, {}),
        ("GET", "/folders/fl-1", FOLDER, {"status": 201}),
        ("GET", "/folders/fl-1", FOLDER, {"headers": {"content-type": "text/html"}}),
        ("GET", "/folders/fl-1", {"statusCode": 410, "statusMessage": "Gone", "message": "Gone"}, {"status": 410}),
        ("GET", "/folders/fl-1", {"error": "x"}, {"status": 400}),
        ("GET", "/folders/fl-1", {"error": "x"}, {"status": 503}),
        ("GET", "/folder/fl-1", FOLDER, {}),
        ("GET", "/docs/d/tables/t/rows", {"items": [{**ROW, "createdAt": "yesterday"}]}, {}),
        ("GET", "/docs/d/tables/t/rows", {"items": [{**ROW, "createdAt": "2026-01-01T00:00:00"}]}, {}),
        ("GET", "/docs/d/tables/t/rows", {"items": [{**ROW, "href": "rows/i-1"}]}, {}),
        ("GET", "/docs/d/tables/t/rows", {"items": [{**ROW, "values": {"c-1": None}}]}, {}),
        ("GET", "/docs/d/tables/t/rows", {"items": []}, {"params": {"cursor": "x"}}),
        ("GET", "/docs/d/tables/t/rows", {"items": []}, {"params": {"valueFormat": "poor"}}),
        ("GET", "/docs/d/tables/t/rows", {"items": []}, {"params": {"visibleOnly": "yes"}}),
        ("DELETE", "/docs/d/tables/t/rows", {"requestId": "m", "rowIds": []}, {"status": 202}),
        ("DELETE", "/docs/d/tables/t/rows", {"requestId": "m", "rowIds": []}, {"status": 202, "json": {"ids": []}}),
        ("DELETE", "/docs/d/tables/t/rows", {"rowIds": []}, {"status": 202, "json": {"rowIds": []}}),
        ("PATCH", "/docs/d", {}, {"json": {"titel": "x"}}),
        ("GET", "/resolveBrowserLink", {}, {}),
    ],
)
async def test_what_is_wrong_is_found(openapi: None, method: str, path: str, answer: Any, more: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        await exchange(method, path, answer, **more)
