"""The stand-in for Coda: changes that are accepted now and made later, docs, and who may see them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.own.stand_in import BAKERY, DOC, EDITOR, FULL, ONE_DOC, ONE_TABLE, READ, SESSIONS, TARGETS, coda

pytestmark = pytest.mark.anyio

TITLE: dict[str, Any] = {"rows": [{"cells": [{"column": "Name", "value": "Vega"}]}]}
LATEST = {"x-coda-doc-version": "latest"}


async def test_a_change_is_pending_and_then_complete() -> None:
    async with coda() as local:
        answer = await local.call("POST", f"{TARGETS}/rows", 202, json=TITLE)
        assert answer["requestId"].startswith("mutate:")
        path = f"/mutationStatus/{answer['requestId']}"
        assert await local.get(path) == {"completed": False}
        local.clock.now += 20
        assert await local.get(path) == {"completed": True}
        local.clock.now += 86_400
        assert "expired" in (await local.get(path, 404))["message"]


async def test_latest_is_refused_while_any_change_of_the_doc_is_on_its_way() -> None:
    async with coda() as local:
        await local.call("GET", TARGETS, headers=LATEST)
        await local.call("PUT", f"{DOC}/pages/canvas-obsHome001", 202, json={"name": "Hello"})
        refused = await local.call("GET", TARGETS, 400, headers=LATEST)
        assert refused["message"] == "Doc is not yet up to date."
        await local.call("GET", f"{BAKERY}/tables", headers=LATEST)
        local.clock.now += 17
        await local.call("GET", TARGETS, headers=LATEST)
        await local.call("GET", TARGETS, 400, headers={"x-coda-doc-version": "1"})


async def test_a_complete_change_may_be_seen_later() -> None:
    async with coda() as local:
        await local.control("settings", snapshot_seconds=30)
        answer = await local.call("POST", f"{TARGETS}/rows", 202, json=TITLE)
        local.clock.now += 20
        assert await local.get(f"/mutationStatus/{answer['requestId']}") == {"completed": True}
        assert len(await local.all(f"{TARGETS}/rows")) == 12
        await local.call("GET", TARGETS, 400, headers=LATEST)
        local.clock.now += 30
        assert len(await local.all(f"{TARGETS}/rows")) == 13


async def test_changes_of_one_doc_are_made_in_order() -> None:
    """A deletion takes 10 s and an insertion 20 s, but what came first is first."""
    async with coda() as local:
        first = await local.call("POST", f"{TARGETS}/rows", 202, json=TITLE)
        local.clock.now += 1
        second = await local.call("DELETE", f"{TARGETS}/rows", 202, json={"rowIds": first["addedRowIds"]})
        other = await local.call("DELETE", f"{BAKERY}/tables/Orders/rows/i-ord0000001", 202)
        local.clock.now += 10
        assert (await local.get(f"/mutationStatus/{other['requestId']}"))["completed"] is True
        assert (await local.get(f"/mutationStatus/{second['requestId']}"))["completed"] is False
        local.clock.now += 9
        assert (await local.get(f"/mutationStatus/{second['requestId']}"))["completed"] is True
        assert len(await local.all(f"{TARGETS}/rows")) == 12


async def test_what_becomes_of_changes_can_be_chosen() -> None:
    async with coda() as local:
        await local.control("fates", next=[{"warning": "Odd."}, {}, {"stuck": True}])
        answers = [await local.done("PUT", f"{DOC}/pages/canvas-obsHome001", {"name": name}) for name in "abc"]
        statuses = [await local.get(f"/mutationStatus/{answer['requestId']}") for answer in answers]
        assert statuses == [{"completed": True, "warning": "Odd."}, {"completed": True}, {"completed": False}]
        assert (await local.get(f"{DOC}/pages/canvas-obsHome001"))["name"] == "b"
        await local.done("PUT", f"{DOC}/pages/canvas-obsHome001", {"name": "d"})
        assert (await local.get(f"{DOC}/pages/canvas-obsHome001"))["name"] == "d"


async def test_a_status_may_not_be_known_at_first() -> None:
    async with coda() as local:
        await local.control("settings", status_404_seconds=5)
        answer = await local.call("POST", f"{TARGETS}/rows", 202, json=TITLE)
        await local.get(f"/mutationStatus/{answer['requestId']}", 404)
        local.clock.now += 5
        await local.get(f"/mutationStatus/{answer['requestId']}")


async def test_a_doc_is_created_with_a_page_and_found() -> None:
    async with coda() as local:
        page = {"name": "Notes", "pageContent": {"type": "canvas", "canvasContent": {"format": "html", "content": "x"}}}
        body = {"title": "New", "folderId": "fl-Kitchen001", "initialPage": page}
        doc = await local.call("POST", "/docs", 201, json=body)
        assert (doc["name"], doc["owner"], doc["workspaceId"]) == ("New", "vega@example.com", "ws-NightOven")
        assert [one["name"] for one in await local.all(f"/docs/{doc['id']}/pages")] == ["Notes"]
        plain = await local.call("POST", "/docs", 201, json={})
        assert [one["name"] for one in await local.all(f"/docs/{plain['id']}/pages")] == ["Untitled page"]
        await local.call("POST", "/docs", 400, json={"folderId": "fl-nowhere"})


async def test_a_new_doc_may_take_its_time() -> None:
    async with coda() as local:
        await local.control("settings", create_doc_seconds=3)
        doc = await local.call("POST", "/docs", 201, json={"title": "Slow"})
        await local.get(f"/docs/{doc['id']}", 404)
        assert "Slow" not in [one["name"] for one in await local.all("/docs")]
        local.clock.now += 3
        await local.get(f"/docs/{doc['id']}")


async def test_a_copy_is_a_doc_of_its_own() -> None:
    async with coda() as local:
        copy = await local.call("POST", "/docs", 201, json={"sourceDoc": "obsLogBk01"})
        assert copy["sourceDoc"]["id"] == "obsLogBk01"
        path = f"/docs/{copy['id']}"
        await local.done("DELETE", f"{path}/tables/Targets/rows/Saturn")
        assert len(await local.all(f"{path}/tables/Targets/rows")) == 11
        assert len(await local.all(f"{TARGETS}/rows")) == 12
        assert (await local.get(f"{path}/formulas/f-obsCount01"))["value"] == 40
        assert [one["id"] for one in await local.all("/docs", sourceDoc="obsLogBk01")] == [copy["id"]]
        await local.call("POST", "/docs", 403, json={"sourceDoc": "lunaDiary1"})
        await local.call("POST", "/docs", 201, json={"sourceDoc": "starChart1"})
        local.world.docs["starChart1"].acl.copying = False
        await local.call("POST", "/docs", 403, json={"sourceDoc": "starChart1"})
        await local.call("POST", "/docs", 404, json={"sourceDoc": "moonbase01"})


async def test_a_deleted_doc_says_so() -> None:
    async with coda() as local:
        assert await local.call("DELETE", DOC, 202) == {}
        await local.get(DOC)
        local.clock.now += 10
        assert (await local.get(DOC, 404))["message"] == "Doc has been deleted."
        assert (await local.get(f"{TARGETS}/rows", 404))["message"] == "Doc has been deleted."
        assert "obsLogBk01" not in [one["id"] for one in await local.all("/docs")]
        await local.call("DELETE", "/docs/starChart1", 403)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, {"Observatory Log", "Bakery Planner", "Team Handbook", "Shared Star Charts"}),
        ({"isOwner": "false"}, {"Shared Star Charts"}),
        ({"isPublished": "true"}, {"Team Handbook"}),
        ({"isStarred": "true"}, {"Observatory Log"}),
        ({"inGallery": "true"}, {"Team Handbook"}),
        ({"query": "star CHARTS"}, {"Shared Star Charts"}),
        ({"workspaceId": "ws-NightOven"}, {"Bakery Planner"}),
        ({"folderId": "fl-Attic00001"}, set()),
    ],
)
async def test_docs_are_found_by(filters: dict[str, str], names: set[str]) -> None:
    async with coda() as local:
        assert {doc["name"] for doc in await local.all("/docs", **filters)} == names


async def test_a_folder_goes_when_it_is_empty() -> None:
    async with coda() as local:
        assert (await local.call("DELETE", "/folders/fl-Observing1", 400))["message"] == "Folder is not empty."
        await local.call("DELETE", "/folders/fl-Attic00001")
        await local.get("/folders/fl-Attic00001", 404)
        assert [one["name"] for one in await local.all("/folders", isStarred="true")] == ["Observing"]
        body = {"name": "x", "workspaceId": "ws-OwlHill01"}
        await local.call("POST", "/folders", 403, token=EDITOR, json=body)
        await local.call("POST", "/folders", 400, json=body | {"workspaceId": "ws-nowhere"})


async def test_permissions_decide_who_reads_and_writes() -> None:
    path = "/docs/handbook01"
    async with coda() as local:
        await local.call("GET", path, 403, token=EDITOR)
        principal = {"type": "email", "email": "orion@example.com"}
        await local.call("POST", f"{path}/acl/permissions", json={"access": "readonly", "principal": principal})
        await local.call("GET", path, token=EDITOR)
        await local.call("POST", f"{path}/pages", 403, token=EDITOR, json={"name": "x"})
        await local.call("POST", f"{path}/acl/permissions", json={"access": "write", "principal": principal})
        await local.call("POST", f"{path}/pages", 202, token=EDITOR, json={"name": "x"})
        permissions = await local.all(f"{path}/acl/permissions")
        (given,) = [one for one in permissions if one["principal"] == principal]
        assert given["access"] == "write"
        await local.call("PATCH", f"{path}/acl/settings", json={"allowEditorsToChangePermissions": False})
        await local.call("DELETE", f"{path}/acl/permissions/{given['id']}", 403, token=EDITOR)
        assert (await local.call("GET", f"{path}/acl/metadata", token=EDITOR))["canShare"] is False
        await local.call("DELETE", f"{path}/acl/permissions/{given['id']}")
        await local.call("GET", path, 403, token=EDITOR)
        await local.call("DELETE", f"{path}/acl/permissions/AclP-handbook01-owner", 400)
        await local.call("DELETE", f"{path}/acl/permissions/nobody", 404)


@pytest.mark.parametrize(
    "principal",
    [
        {"type": "email", "email": "nobody"},
        {"type": "group", "groupId": "grp-nowhere"},
        {"type": "workspace", "workspaceId": "ws-nowhere"},
        {"type": "internalAccess"},
        {"type": "anyone", "email": "vega@example.com"},
    ],
)
async def test_principals_that_are_none(principal: dict[str, Any]) -> None:
    async with coda() as local:
        body = {"access": "readonly", "principal": principal}
        await local.call("POST", f"{DOC}/acl/permissions", 400, json=body)


async def test_people_and_groups_are_searched() -> None:
    async with coda() as local:
        found = await local.get(f"{DOC}/acl/principals/search", query="owl")
        assert [user["name"] for user in found["users"]] == ["Vega Owl", "Nova Owl"]
        found = await local.get(f"{DOC}/acl/principals/search", query="star")
        assert [group["groupName"] for group in found["groups"]] == ["Stargazers"]


async def test_a_doc_is_published_and_taken_back() -> None:
    async with coda() as local:
        await local.done("PUT", f"{DOC}/publish", {"slug": "log", "discoverable": False, "categoryNames": ["Science"]})
        published = (await local.get(DOC))["published"]
        assert (published["discoverable"], published["categories"]) == (False, [{"name": "Science"}])
        assert published["browserLink"] == "https://coda.io/@vega/log"
        await local.call("PUT", f"{DOC}/publish", 400, json={"categoryNames": ["Magic"]})
        await local.call("PUT", f"{DOC}/publish", 400, json={"slug": "owl-hill-handbook"})
        await local.call("DELETE", f"{DOC}/publish")
        assert "published" not in await local.get(DOC)
        await local.call("PUT", f"{DOC}/publish", 403, token=EDITOR, json={})


async def test_custom_domains() -> None:
    path = f"{DOC}/domains"
    async with coda() as local:
        await local.call("POST", path, 202, json={"customDocDomain": "log.example.com"})
        (domain,) = (await local.get(path))["customDocDomains"]
        assert (domain["setupStatus"], domain["domainStatus"]) == ("pending", "notConnected")
        await local.call("PATCH", f"{path}/log.example.com", json={})
        (domain,) = (await local.get(path))["customDocDomains"]
        assert domain["setupStatus"] == "succeeded"
        await local.call("POST", path, 400, json={"customDocDomain": "log.example.com"})
        await local.call("POST", path, 400, json={"customDocDomain": "no domain"})
        await local.call("DELETE", f"{path}/log.example.com")
        await local.call("DELETE", f"{path}/log.example.com", 404)
        assert await local.get("/domains/provider/elsewhere.example.com") == {"provider": "Other"}


async def test_roles_are_changed_by_admins() -> None:
    path = "/workspaces/ws-OwlHill01/users"
    body = {"email": "orion@example.com", "newRole": "DocMaker"}
    async with coda() as local:
        await local.call("POST", "/docs", 403, token=EDITOR, json={})
        await local.call("POST", f"{path}/role", 403, token=EDITOR, json=body)
        await local.call("POST", f"{path}/role", json=body)
        await local.call("POST", "/docs", 201, token=EDITOR, json={})
        members = (await local.get(path, includedRoles="DocMaker"))["items"]
        assert {member["email"] for member in members} == {f"{name}@example.com" for name in ("nova", "luna", "orion")}
        await local.call("POST", f"{path}/role", 400, json={"email": "vega@example.com", "newRole": "Editor"})
        await local.call("POST", f"{path}/role", 404, json=body | {"email": "nobody@example.com"})
        await local.get("/workspaces/ws-nowhere/users", 404)
        await local.call("GET", "/workspaces/ws-NightOven/users", 403, token=EDITOR)
        activity = (await local.get("/workspaces/ws-OwlHill01/roles"))["items"]
        assert [each["month"] for each in activity] == ["2026-02-01", "2026-01-01", "2025-12-01"]


async def test_go_links() -> None:
    path = "/organizations/org-OwlHill01/goLinks"
    link = {"name": "log", "destinationUrl": "https://coda.io/d/_dobsLogBk01"}
    async with coda() as local:
        await local.call("POST", path, json=link)
        await local.call("POST", path, 400, json=link)
        await local.call("POST", path, 400, json=link | {"name": "a b"})
        await local.call("POST", path, 403, token=EDITOR, json=link)
        await local.call("POST", "/organizations/org-nowhere/goLinks", 403, json=link)


async def test_analytics_are_the_same_each_time_and_add_up() -> None:
    async with coda() as local:
        daily = await local.all("/analytics/docs", docIds="obsLogBk01,bakeryPln1", limit=7)
        assert len(daily) == 60
        assert daily == await local.all("/analytics/docs", docIds="obsLogBk01,bakeryPln1")
        total = await local.all("/analytics/docs", docIds="obsLogBk01,bakeryPln1", scale="cumulative")
        views = sum(item["metrics"][0]["views"] for item in total)
        assert views == sum(item["metrics"][0]["views"] for item in daily)
        days = await local.all("/analytics/docs", docIds="obsLogBk01", sinceDate="2026-01-20", untilDate="2026-01-22")
        assert [item["metrics"][0]["date"] for item in days] == ["2026-01-20", "2026-01-21", "2026-01-22"]
        most = await local.all("/analytics/docs", orderBy="views", direction="descending")
        counts = [item["metrics"][0]["views"] for item in most]
        assert counts == sorted(counts, reverse=True)
        one = await local.get("/analytics/docs/summary", sinceDate="2026-01-20", untilDate="2026-01-20")
        assert one["totalSessions"] < (await local.get("/analytics/docs/summary"))["totalSessions"]
        assert (await local.get("/analytics/updated"))["docAnalyticsLastUpdated"] == "2026-02-01"


@pytest.mark.parametrize(
    ("url", "kind", "object_id"),
    [
        ("https://coda.io/d/_dobsLogBk01", "doc", "obsLogBk01"),
        ("https://docs.superhuman.com/d/Observatory-Log_dobsLogBk01/", "doc", "obsLogBk01"),
        ("https://coda.io/d/_dobsLogBk01/Field-guide_suide01", "page", "canvas-obsGuide01"),
        ("https://coda.io/d/_dobsLogBk01#Targets_tobsTarget1", "table", "grid-obsTarget1"),
        ("https://coda.io/d/_dobsLogBk01/Any_suide01#Targets_tobsTarget1/_rui-tgt0000001", "row", "i-tgt0000001"),
    ],
)
async def test_links_lead_to_objects(url: str, kind: str, object_id: str) -> None:
    async with coda() as local:
        found = (await local.get("/resolveBrowserLink", url=url))["resource"]
        assert (found["type"], found["id"]) == (kind, object_id)
        there = await local.http.get(found["href"], headers={"authorization": f"Bearer {FULL}"})
        assert there.json()["id"] == object_id


async def test_every_browser_link_leads_back() -> None:
    async with coda() as local:
        log = local.world.docs["obsLogBk01"]
        log.pages["canvas-obsGuide01"].name, log.tables["grid-obsSession"].name = "How_suave_d", "Big_data_table"
        things = [
            *await local.all("/docs"),
            *await local.all(f"{DOC}/pages"),
            *await local.all(f"{DOC}/tables"),
            *await local.all(f"{SESSIONS}/rows", limit=100),
        ]
        for thing in things:
            found = await local.get("/resolveBrowserLink", url=thing["browserLink"])
            assert found["resource"]["id"] == thing["id"]


@pytest.mark.parametrize(
    ("url", "status", "graceful"),
    [
        ("https://coda.io/d/_dnowhere", 404, 404),
        ("https://coda.io/d/_dmoonbase01", 404, 404),
        ("https://coda.io/d/_dlunaDiary1", 403, 403),
        ("https://coda.io/d/_dobsLogBk01/Gone_suzzzzz", 404, 200),
        ("https://coda.io/d/_dobsLogBk01#Gone_tzzzzz", 404, 200),
        ("https://coda.io/welcome", 404, 404),
        ("https://example.com/d/_dobsLogBk01", 400, 400),
        ("https://coda.io.example.com/d/_dobsLogBk01", 400, 400),
        ("coda", 400, 400),
        ("http://[", 400, 400),
    ],
)
async def test_links_that_lead_nowhere(url: str, status: int, graceful: int) -> None:
    async with coda() as local:
        await local.get("/resolveBrowserLink", status, url=url)
        found = await local.get("/resolveBrowserLink", graceful, url=url, degradeGracefully="true")
        if graceful == 200:
            assert found["resource"]["id"] == "obsLogBk01"


async def test_a_doc_token_resolves_links_of_its_doc_only() -> None:
    async with coda() as local:
        for doc, status in [("obsLogBk01", 200), ("bakeryPln1", 403)]:
            url = {"url": f"https://coda.io/d/_d{doc}"}
            await local.call("GET", "/resolveBrowserLink", status, token=ONE_DOC, params=url)
        for part, status in [("#Targets_tobsTarget1", 200), ("#Sessions_tobsSession", 403), ("", 403)]:
            url = {"url": f"https://coda.io/d/_dobsLogBk01{part}"}
            await local.call("GET", "/resolveBrowserLink", status, token=ONE_TABLE, params=url)
        await local.call("GET", "/resolveBrowserLink", 400, token=READ)
