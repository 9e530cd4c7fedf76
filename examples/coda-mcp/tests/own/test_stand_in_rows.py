"""The stand-in for Coda: tables, rows, what is written into them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.own.stand_in import BAKERY, DOC, SESSIONS, START, TARGETS, Coda, coda

pytestmark = pytest.mark.anyio

RECIPES = f"{BAKERY}/tables/grid-bakRecipes"
SCOPES = f"{DOC}/tables/grid-obsScopes1"
BRIGHT = f"{DOC}/tables/table-obsBright1"


def row(**cells: Any) -> dict[str, Any]:
    """A row with cells by column name, `_` for a blank in it."""
    return {"cells": [{"column": name.replace("_", " "), "value": value} for name, value in cells.items()]}


async def insert(local: Coda, table: str, *rows: dict[str, Any], **more: Any) -> list[str]:
    answer = await local.done("POST", f"{table}/rows", {"rows": list(rows)}, **more)
    ids: list[str] = answer["addedRowIds"]
    return ids


async def values(local: Coda, table: str, key: str, value_format: str = "simpleWithArrays") -> dict[str, Any]:
    found = await local.get(f"{table}/rows/{key}", useColumnNames="true", valueFormat=value_format)
    cells: dict[str, Any] = found["values"]
    return cells


async def test_the_three_formats() -> None:
    async with coda() as local:
        simple = await values(local, RECIPES, "i-rec0000001", "simple")
        assert simple["Ingredients"] == "Rye flour,Wheat flour,Salt"
        assert (simple["Price"], simple["Vegan"]) == ("€6.50", True)
        arrays = await values(local, RECIPES, "i-rec0000001", "simpleWithArrays")
        assert arrays["Ingredients"] == ["Rye flour", "Wheat flour", "Salt"]
        rich = await values(local, RECIPES, "i-rec0000001", "rich")
        assert rich["Recipe"] == "```Comet loaf```"
        assert rich["Price"] == {
            "@context": "http://schema.org/",
            "@type": "MonetaryAmount",
            "currency": "EUR",
            "amount": 6.5,
        }
        relation = rich["Ingredients"][0]
        assert (relation["@type"], relation["additionalType"]) == ("StructuredValue", "row")
        assert (relation["name"], relation["rowId"], relation["tableId"]) == (
            "Rye flour",
            "i-pan0000001",
            "grid-bakPantry1",
        )
        session = await values(local, SESSIONS, "i-ses0000001", "rich")
        assert session["Observers"][0] == {
            "@context": "http://schema.org/",
            "@type": "Person",
            "name": "Nova Owl",
            "email": "nova@example.com",
        }
        target = await values(local, TARGETS, "i-tgt0000001", "rich")
        assert (target["Sketch"]["@type"], target["Chart"]["@type"]) == ("ImageObject", "WebPage")
        assert target["Magnitude"] == 3.4


async def test_rows_by_id_and_by_name() -> None:
    async with coda() as local:
        assert (await local.get(f"{TARGETS}/rows/Saturn"))["id"] == "i-tgt0000012"
        assert (await local.get(f"{TARGETS}/rows/i-tgt0000012"))["name"] == "Saturn"


async def test_a_view_shows_the_rows_of_its_filter() -> None:
    async with coda() as local:
        view = await local.get(BRIGHT)
        assert (view["tableType"], view["parentTable"]["id"], view["rowCount"]) == ("view", "grid-obsTarget1", 8)
        rows = await local.all(f"{BRIGHT}/rows", useColumnNames="true")
        assert len(rows) == 8
        assert all(each["values"]["Naked eye"] for each in rows)
        visible = await local.all(f"{BRIGHT}/rows", sortBy="natural", useColumnNames="true")
        assert [each["name"] for each in visible] == sorted(each["name"] for each in rows)
        assert "Sketch" not in visible[0]["values"]
        names = [column["name"] for column in await local.all(f"{BRIGHT}/columns", visibleOnly="true")]
        assert "Sketch" not in names
        types = [table["tableType"] for table in await local.all(f"{DOC}/tables", tableTypes="view")]
        assert types == ["view"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('c-tgtName00:"Saturn"', 1),
        ('"Name":"Saturn"', 1),
        ('"Kind":"Galaxy"', 3),
        ("c-tgtMagnit:8.4", 2),
        ('"Naked eye":true', 8),
        ('"Name":"saturn"', 0),
        ('c-tgtMagnit:"8.4"', 0),
        ('"Seen in":"Session 1: Crab Nebula"', 1),
    ],
)
async def test_queries(query: str, found: int) -> None:
    async with coda() as local:
        assert len(await local.all(f"{TARGETS}/rows", query=query)) == found


@pytest.mark.parametrize(
    "query", ["Name:Saturn", 'Name:"Saturn"', '"Name":Saturn', '"Nobody":1', "c-no:1", "x", '"Name']
)
async def test_queries_that_are_none(query: str) -> None:
    async with coda() as local:
        await local.get(f"{TARGETS}/rows", 400, query=query)


async def test_an_insert_is_seen_when_it_is_complete() -> None:
    async with coda() as local:
        answer = await local.call("POST", f"{TARGETS}/rows", 202, json={"rows": [row(Name="Vega", Magnitude="0.03")]})
        (row_id,) = answer["addedRowIds"]
        local.clock.now += 19.9
        await local.get(f"{TARGETS}/rows/{row_id}", 404)
        local.clock.now += 0.1
        found = await local.get(f"{TARGETS}/rows/{row_id}")
        assert (found["name"], found["index"], found["values"]["c-tgtMagnit"]) == ("Vega", 12, 0.03)
        assert found["values"]["c-tgtBright"] is True


async def test_an_upsert_by_key_changes_all_that_match_and_adds_what_is_not_there() -> None:
    async with coda() as local:
        body = {"rows": [row(Kind="Galaxy", Magnitude=9), row(Kind="Comet", Name="Halley")], "keyColumns": ["Kind"]}
        for _ in range(2):
            answer = await local.done("POST", f"{TARGETS}/rows", body)
            assert "addedRowIds" not in answer
        rows = await local.all(f"{TARGETS}/rows", useColumnNames="true")
        assert len(rows) == 13
        assert [each["values"]["Magnitude"] for each in rows if each["values"]["Kind"] == "Galaxy"] == [9, 9, 9]


async def test_two_inserts_by_key_at_once_make_one_row() -> None:
    async with coda() as local:
        body = {"rows": [row(Name="Halley")], "keyColumns": ["c-tgtName00"]}
        await local.call("POST", f"{TARGETS}/rows", 202, json=body)
        await local.done("POST", f"{TARGETS}/rows", body)
        assert len(await local.all(f"{TARGETS}/rows")) == 13


@pytest.mark.parametrize(
    ("table", "cells", "column", "shown"),
    [
        (SESSIONS, {"Target": "Saturn"}, "Target", "Saturn"),
        (SESSIONS, {"Target": "i-tgt0000012"}, "Target", "Saturn"),
        (SESSIONS, {"Target": "saturn"}, "Target", "saturn"),
        (SESSIONS, {"Observers": ["nova@example.com", "Luna Moth"]}, "Observers", ["Nova Owl", "Luna Moth"]),
        (SESSIONS, {"Observers": "nobody@example.com"}, "Observers", ["nobody@example.com"]),
        (SESSIONS, {"Date": "2026-03-20"}, "Date", "2026-03-20T00:00:00.000Z"),
        (SESSIONS, {"Date": "20/3/26"}, "Date", "20/3/26"),
        (SESSIONS, {"Cloud_cover": "0.5"}, "Cloud cover", 0.5),
        (SESSIONS, {"Cloud_cover": "1.0e999"}, "Cloud cover", "1.0e999"),
        (SCOPES, {"Last_service": "2026-03-01T02:00:00+02:00"}, "Last service", "2026-03-01T00:00:00.000Z"),
        (SESSIONS, {"Notes": 5}, "Notes", "5"),
        (SCOPES, {"Price": "€1,234.5"}, "Price", "€1,234.50"),
        (SCOPES, {"Price": "a lot"}, "Price", "a lot"),
        (RECIPES, {"Vegan": "true"}, "Vegan", True),
        (RECIPES, {"Ingredients": ["Salt", "i-pan0000005", "Sand"]}, "Ingredients", ["Salt", "Honey", "Sand"]),
    ],
)
async def test_how_written_values_are_understood(table: str, cells: dict[str, Any], column: str, shown: Any) -> None:
    async with coda() as local:
        (row_id,) = await insert(local, table, row(**cells))
        assert (await values(local, table, row_id))[column] == shown


@pytest.mark.parametrize("written", ["Saturn", "i-tgt0000012"])
async def test_a_relation_leads_to_its_row(written: str) -> None:
    async with coda() as local:
        (row_id,) = await insert(local, SESSIONS, row(Target=written))
        assert (await values(local, SESSIONS, row_id, "rich"))["Target"]["rowId"] == "i-tgt0000012"


async def test_unparsed_relations_are_text() -> None:
    async with coda() as local:
        (row_id,) = await insert(local, SESSIONS, row(Target="Saturn"), params={"disableParsing": "true"})
        found = await values(local, SESSIONS, row_id, "rich")
        assert found["Target"] == "```Saturn```"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"rows": [row(Name="a"), row(Nobody="b")]}, "Could not find a column with the specified ID or name."),
        ({"rows": [row(Name="a"), row(Naked_eye=True)]}, "Column Naked eye is not editable."),
        ({"rows": [row(Name="a")], "keyColumns": ["Nobody"]}, None),
        ({"rows": [row(Name="a"), row(Name="x" * 88_000)]}, "Row edit of size 86 KB exceeds maximum size of 85 KB."),
        ({"rows": [row(Name="\n" * 44_000)]}, "Row edit of size 86 KB exceeds maximum size of 85 KB."),
        ({"rows": [row(Name="ü" * 44_000)]}, "Row edit of size 86 KB exceeds maximum size of 85 KB."),
        ({"rows": [row(Name="a")], "rowIds": ["i-mine"]}, "Bad Request"),
        ({"rows": [{"cells": [{"column": "Name", "value": {"a": 1}}]}]}, "Bad Request"),
        ({"rows": [{"cells": [{"column": "Name", "value": None}]}]}, "Bad Request"),
        ({"rows": [{"Name": "a"}]}, "Bad Request"),
        ({}, "Bad Request"),
    ],
)
async def test_a_refused_upsert_changes_nothing(body: dict[str, Any], message: str | None) -> None:
    async with coda() as local:
        answer = await local.call("POST", f"{TARGETS}/rows", 400, json=body)
        if message:
            assert answer["message"] == message
        local.clock.now += 60
        assert len(await local.all(f"{TARGETS}/rows")) == 12


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", '"\\ud800"'])
async def test_values_that_are_no_json_are_refused(value: str) -> None:
    body = json.dumps({"rows": [row(Magnitude="VALUE")]}).replace('"VALUE"', value)
    async with coda() as local:
        await local.call("POST", f"{TARGETS}/rows", 400, content=body)
        assert (await local.http.get("/_test/requests")).json()["requests"]


async def test_a_row_of_the_largest_size_is_taken() -> None:
    async with coda() as local:
        (row_id,) = await insert(local, TARGETS, row(Name="x" * 85 * 1024))
        assert len((await values(local, TARGETS, row_id))["Name"]) == 85 * 1024


async def test_rows_are_upserted_into_base_tables_only() -> None:
    async with coda() as local:
        await local.call("POST", f"{BRIGHT}/rows", 400, json={"rows": [row(Name="a")]})
        await local.done("PUT", f"{BRIGHT}/rows/Saturn", {"row": row(Constellation="Pisces")})
        assert (await values(local, TARGETS, "Saturn"))["Constellation"] == "Pisces"


async def test_updates_and_deletes() -> None:
    async with coda() as local:
        answer = await local.done("PUT", f"{TARGETS}/rows/Saturn", {"row": row(Name="Saturnus")})
        assert answer["id"] == "i-tgt0000012"
        assert (await local.get(f"{TARGETS}/rows/i-tgt0000012"))["name"] == "Saturnus"
        await local.call("PUT", f"{TARGETS}/rows/Saturn", 404, json={"row": row(Name="x")})
        await local.done("DELETE", f"{TARGETS}/rows/i-tgt0000012")
        await local.get(f"{TARGETS}/rows/i-tgt0000012", 404)
        answer = await local.done("DELETE", f"{TARGETS}/rows", {"rowIds": ["i-tgt0000001", "i-tgt0000002", "i-none"]})
        assert answer["rowIds"] == ["i-tgt0000001", "i-tgt0000002", "i-none"]
        assert len(await local.all(f"{TARGETS}/rows")) == 9
        session = await values(local, SESSIONS, "Session 12: Andromeda Galaxy")
        assert session["Target"] == "i-tgt0000001"


async def test_buttons() -> None:
    async with coda() as local:
        path = f"{SESSIONS}/rows/i-ses0000001/buttons"
        answer = await local.done("POST", f"{path}/Publish")
        assert (answer["rowId"], answer["columnId"]) == ("i-ses0000001", "c-sesPublish")
        assert (await values(local, SESSIONS, "i-ses0000001"))["Status"] == "Published"
        await local.call("POST", f"{path}/Notes", 400)
        await local.call("POST", f"{path}/Nobody", 404)


async def test_rows_by_time_and_by_sync_token() -> None:
    async with coda() as local:
        first = await local.get(f"{TARGETS}/rows")
        await local.done("PUT", f"{TARGETS}/rows/i-tgt0000003", {"row": row(Magnitude=8)})
        await local.done("DELETE", f"{TARGETS}/rows/i-tgt0000004")
        latest = await local.all(f"{TARGETS}/rows", sortBy="updatedAt")
        assert latest[-1]["id"] == "i-tgt0000003"
        assert latest[-1]["updatedAt"] == "2026-02-02T02:40:20.000Z"
        assert local.clock.now == START + 120
        changed = await local.all(f"{TARGETS}/rows", syncToken=first["nextSyncToken"])
        assert [each["id"] for each in changed] == ["i-tgt0000003"]


async def test_a_long_list_of_rows_can_end_in_a_gateway_timeout() -> None:
    async with coda() as local:
        await local.control("settings", rows_504_above=10)
        await local.get(f"{TARGETS}/rows", 504, limit=11)
        await local.get(f"{TARGETS}/rows", limit=10)


async def test_formulas_are_calculated_from_the_rows() -> None:
    async with coda() as local:
        assert (await local.get(f"{DOC}/formulas/Sessions so far"))["value"] == 40
        await local.done("POST", f"{DOC}/hooks/automation/grid-auto-obsReport1", {"title": "Fireball"})
        assert (await local.get(f"{DOC}/formulas/f-obsCount01"))["value"] == 41
        assert (await values(local, SESSIONS, "Fireball"))["Status"] == "Planned"
        assert (await local.get(f"{BAKERY}/formulas/f-bakRunsOut"))["value"] == ["Poppy seed"]


@pytest.mark.parametrize(
    ("content", "kind", "note"),
    [
        (b"", "application/json", ""),
        (b'{"notes": "bright"}', "application/json", "bright"),
        (b"notes=very+bright", "application/x-www-form-urlencoded", "very bright"),
        (b"text", "text/plain", "text"),
    ],
)
async def test_what_a_webhook_takes(content: bytes, kind: str, note: str) -> None:
    path = f"{DOC}/hooks/automation/grid-auto-obsReport1"
    async with coda() as local:
        await local.call("POST", path, 202, content=content, headers={"content-type": kind})
        local.clock.now += 60
        assert (await values(local, SESSIONS, "A sighting"))["Notes"] == note


async def test_webhooks_that_lead_nowhere() -> None:
    hooks = f"{DOC}/hooks/automation"
    async with coda() as local:
        await local.call("POST", f"{hooks}/grid-auto-nowhere", 404, json={})
        await local.call("POST", f"{hooks}/grid-auto-obsFrozen1", 422, json={})
        for content in ("[1]", "x", '{"title": "\\ud800"}'):
            headers = {"content-type": "application/json"}
            await local.call("POST", f"{hooks}/grid-auto-obsReport1", 400, content=content, headers=headers)
