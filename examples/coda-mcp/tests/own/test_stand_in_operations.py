"""Every operation of the stand-in for Coda, against Coda's OpenAPI document."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.own.stand_in import BAKERY, DOC, FULL, ORIGIN, SESSIONS, TARGETS, coda
from tests.own.stand_in_contract import PREFIX, document, operations

pytestmark = pytest.mark.anyio

PAGE = f"{DOC}/pages/canvas-obsGuide01"
HTML = {"type": "canvas", "canvasContent": {"format": "html", "content": "<p>Hello</p>"}}
READS = [
    "/whoami",
    "/whoami?includeUserOrg=true",
    "/docs",
    "/folders",
    "/folders/fl-Observing1",
    "/categories",
    DOC,
    "/docs/handbook01",
    f"{DOC}/pages",
    PAGE,
    "/docs/handbook01/pages",
    f"{PAGE}/content",
    f"{DOC}/tables",
    TARGETS,
    f"{DOC}/tables/table-obsBright1",
    f"{TARGETS}/columns",
    f"{SESSIONS}/columns",
    f"{BAKERY}/tables/grid-bakRecipes/columns",
    f"{BAKERY}/tables/grid-bakOrders1/columns",
    f"{BAKERY}/tables/grid-bakPantry1/columns",
    f"{TARGETS}/columns/c-tgtSessns",
    *(f"{SESSIONS}/rows?valueFormat={each}" for each in ("simple", "simpleWithArrays", "rich")),
    *(f"{TARGETS}/rows?valueFormat={each}" for each in ("simple", "simpleWithArrays", "rich")),
    f"{BAKERY}/tables/Orders/rows?valueFormat=rich&useColumnNames=true",
    f"{BAKERY}/tables/Recipes/rows?valueFormat=rich",
    f"{TARGETS}/rows/i-tgt0000001?valueFormat=rich",
    f"{DOC}/formulas",
    f"{DOC}/formulas/f-obsCount01",
    f"{BAKERY}/formulas/f-bakRunsOut",
    f"{DOC}/controls",
    f"{DOC}/controls/ctrl-obsSeeing1",
    f"{DOC}/acl/metadata",
    f"{DOC}/acl/permissions",
    f"{DOC}/acl/principals/search?query=nova",
    f"{DOC}/acl/settings",
    "/docs/handbook01/domains",
    "/domains/provider/stars.example.com",
    "/workspaces/ws-OwlHill01/users",
    "/workspaces/ws-OwlHill01/roles",
    "/analytics/docs",
    "/analytics/docs?scale=cumulative&orderBy=views&direction=descending",
    "/analytics/docs/summary",
    "/analytics/docs/obsLogBk01/pages",
    "/analytics/updated",
    "/resolveBrowserLink?url=https%3A%2F%2Fcoda.io%2Fd%2F_dobsLogBk01",
]
WRITES: list[tuple[str, str, int, Any]] = [
    ("POST", "/docs", 201, {"title": "New", "folderId": "fl-Observing1", "initialPage": {"pageContent": HTML}}),
    ("PATCH", DOC, 200, {"title": "Log", "iconName": "owl"}),
    ("POST", "/folders", 201, {"name": "Loft", "workspaceId": "ws-OwlHill01", "description": "Up"}),
    ("PATCH", "/folders/fl-Observing1", 200, {"name": "Seeing"}),
    ("DELETE", "/folders/fl-Attic00001", 200, None),
    ("POST", f"{DOC}/pages", 202, {"name": "New", "parentPageId": "canvas-obsGuide01", "pageContent": HTML}),
    ("PUT", PAGE, 202, {"name": "Guide", "contentUpdate": {"insertionMode": "append", **HTML}}),
    ("DELETE", f"{DOC}/pages/canvas-obsVisitor/content", 202, {}),
    ("DELETE", f"{DOC}/pages/canvas-obsVisitor", 202, None),
    ("POST", f"{TARGETS}/rows", 202, {"rows": [{"cells": [{"column": "Name", "value": "Vega"}]}]}),
    ("PUT", f"{TARGETS}/rows/i-tgt0000001", 202, {"row": {"cells": [{"column": "c-tgtMagnit", "value": 3}]}}),
    ("DELETE", f"{TARGETS}/rows", 202, {"rowIds": ["i-tgt0000002"]}),
    ("DELETE", f"{TARGETS}/rows/i-tgt0000003", 202, None),
    ("POST", f"{SESSIONS}/rows/i-ses0000001/buttons/c-sesPublish", 202, None),
    ("POST", f"{DOC}/hooks/automation/grid-auto-obsReport1", 202, {"title": "Meteor"}),
    ("POST", f"{DOC}/acl/permissions", 200, {"access": "write", "principal": {"type": "anyone"}}),
    ("DELETE", f"{DOC}/acl/permissions/AclP-obs-group", 200, None),
    ("PATCH", f"{DOC}/acl/settings", 200, {"allowCopying": False}),
    ("PUT", f"{DOC}/publish", 202, {"slug": "log", "categoryNames": ["Science"], "mode": "play"}),
    ("DELETE", "/docs/handbook01/publish", 200, None),
    ("POST", f"{DOC}/domains", 202, {"customDocDomain": "log.example.com"}),
    ("PATCH", f"{DOC}/domains/log.example.com", 200, {}),
    ("DELETE", f"{DOC}/domains/log.example.com", 200, None),
    ("POST", "/workspaces/ws-OwlHill01/users/role", 200, {"email": "orion@example.com", "newRole": "DocMaker"}),
    ("POST", "/organizations/org-OwlHill01/goLinks", 200, {"name": "log", "destinationUrl": "https://coda.io/d/_dx"}),
    ("DELETE", BAKERY, 202, None),
]


async def test_every_operation_is_there_and_as_documented() -> None:
    """All but those on Packs, ingestion and agents. What is checked, and how: stand_in_contract.py."""
    documented = set(operations())
    async with coda() as local:
        for path in READS:
            await local.call("GET", path)
        for method, path, status, body in WRITES:
            if body is not None and "contentUpdate" in body:
                body["contentUpdate"].pop("type", None)
            answer = await local.call(method, path, status, **({"json": body} if body is not None else {}))
            if "requestId" in answer:
                assert await local.get(f"/mutationStatus/{answer['requestId']}") == {"completed": status == 201}
                local.clock.now += 60
                assert await local.get(f"/mutationStatus/{answer['requestId']}") == {"completed": True}
        await local.export("canvas-obsNight01")
    assert local.checked.succeeded == documented


async def test_what_is_not_coda_is_not_here() -> None:
    """Operations that other servers have tools for, and Coda has not."""
    headers = {"authorization": f"Bearer {FULL}"}
    async with coda() as local, httpx.AsyncClient(transport=httpx.ASGITransport(local.app), base_url=ORIGIN) as http:
        for path in ["/workspaces", "/workspaces/ws-OwlHill01", f"{DOC}/automations", f"{TARGETS}/rows/x/analytics"]:
            response = await http.get(f"{PREFIX}{path}", headers=headers)
            assert response.status_code == 404
        assert (await http.delete(f"{PREFIX}{TARGETS}/columns/c-tgtName00", headers=headers)).status_code == 404


def samples() -> dict[str, Any]:
    """A sample of each body, from the file beside the document."""
    document()
    path = Path(os.environ["CODA_OPENAPI"]).with_name("coda-samples.json")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


async def test_every_sample_body_is_understood() -> None:
    """A sample names things that are not here, so it may be refused, but not for its shape."""
    known = {"{docId}": "obsLogBk01", "{pageIdOrName}": "canvas-obsGuide01", "{tableIdOrName}": "grid-obsTarget1"}
    tried = 0
    async with coda() as local:
        for name, sample in samples().items():
            if name not in operations() or "requestBody" not in sample:
                continue
            path = sample["path"]
            for parameter, value in known.items():
                path = path.replace(parameter, value)
            body = sample["requestBody"]
            if name == "upsertRows":
                body.pop("rowIds")
            await local.http.request(
                sample["method"], f"/apis/v1{path}", json=body, headers={"authorization": "Bearer local-upstream-token"}
            )
            assert not str(list(local.world.requests)[-1]["why"]).startswith("body:"), (name, local.world.requests[-1])
            tried += 1
    assert tried > 15


async def test_every_answer_of_success_has_the_fields_of_its_sample() -> None:
    """Those that the samples have and the document requires are there by the schema; this is about the rest."""
    expected = samples()
    optional = {"nextPageToken", "nextPageLink", "warning", "error", "image", "icon", "organizationId", "subtitle"}
    async with coda() as local:
        for name, path in [
            ("listPages", "/docs/obsLogBk01/pages/canvas-obsGuide02"),
            ("getTable", f"{DOC}/tables/table-obsBright1"),
            ("getRow", f"{TARGETS}/rows/i-tgt0000001"),
            ("getColumn", f"{TARGETS}/columns/c-tgtBright"),
            ("getFormula", f"{DOC}/formulas/f-obsCount01"),
            ("getControl", f"{DOC}/controls/ctrl-obsSeeing1"),
            ("whoami", "/whoami"),
        ]:
            sample = expected[name]["responses"]["200"]
            sample = sample["items"][0] if name == "listPages" else sample
            answer = await local.get(path)
            assert sample.keys() - answer.keys() <= optional | {"display", "defaultValue"}, name
