"""Rows: what cannot be written is said before anything is sent, many rows come with an account of each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp.client.client import Client

from tests.own.cases import BAKERY, DOC, ROW, SCOPES, SESSIONS, TARGETS
from tests.own.rig import Rig
from tests.own.test_every_tool import error_of

pytestmark = pytest.mark.anyio

IN_SCOPES = {"doc_id": DOC, "table": SCOPES}
IN_TARGETS = {"doc_id": DOC, "table": TARGETS}
IN_SESSIONS = {"doc_id": DOC, "table": SESSIONS}


async def call(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(name, arguments)
    assert not answer.is_error, answer.content
    content: dict[str, Any] = answer.structured_content or {}
    return content


UNWRITABLE: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown column": (TARGETS, {"Colour": "red"}, "The columns are: Name, Kind, Magnitude"),
    "misspelt column": (TARGETS, {"Magnitud": 1}, "Did you mean 'Magnitude'?"),
    "calculated column": (TARGETS, {"Naked eye": True}, "calculated"),
    "button": (SESSIONS, {"Publish": True}, "coda_push_button"),
    "ambiguous date": (SESSIONS, {"Date": "03/04/2026"}, "ISO 8601"),
    "date in words": (SESSIONS, {"Date": "next Friday"}, "ISO 8601"),
    "more than 85 KB": (TARGETS, {"Name": "x" * 90_000}, "85 KB"),
    "85 KB by its line breaks": (TARGETS, {"Name": "\n" * 50_000}, "85 KB"),
    "85 KB in bytes": (TARGETS, {"Name": "é" * 50_000}, "85 KB"),
}


@pytest.mark.parametrize("case", UNWRITABLE)
@pytest.mark.parametrize("name", ["coda_upsert_rows", "coda_update_row", "coda_update_rows"])
async def test_what_cannot_be_written_is_refused_with_the_way_out(rig: Rig, name: str, case: str) -> None:
    table, cells, words = UNWRITABLE[case]
    by_tool: dict[str, dict[str, Any]] = {
        "coda_upsert_rows": {"rows": [cells]},
        "coda_update_row": {"row": ROW, "cells": cells},
        "coda_update_rows": {"rows": [{"row": ROW, "cells": cells}]},
    }
    arguments = by_tool[name]
    async with rig.client() as client:
        error = error_of(await client.call_tool(name, {"doc_id": DOC, "table": table, **arguments}))
    assert words in error["hint"]
    assert all(request.method == "GET" for request in rig.wire.sent)


async def test_the_row_that_is_too_large_is_named(rig: Rig) -> None:
    rows = [{"Name": "small"}, {"Name": "x" * 90_000}]
    async with rig.client() as client:
        error = error_of(await client.call_tool("coda_upsert_rows", {**IN_TARGETS, "rows": rows}))
    assert error["hint"].startswith("Row 1 has 88 KB")


@pytest.mark.parametrize("value", ["2026-12-31", "2026-12-31T09:30:00", ""])
async def test_a_date_that_is_clear_is_written(rig: Rig, value: str) -> None:
    async with rig.client() as client:
        cells = {"Date": value}
        await call(client, "coda_update_row", **IN_SESSIONS, row="i-ses0000001", cells=cells)
    (written,) = [entry for entry in rig.requests() if entry["method"] == "PUT"]
    assert written["body"]["row"]["cells"] == [{"column": "c-sesDate00", "value": value}]


async def test_columns_that_are_new_are_looked_up_again(rig: Rig) -> None:
    """What is kept of a table is a minute old at most, and never the reason for a refusal."""
    async with rig.client() as client:
        await call(client, "coda_describe_table", **IN_SCOPES)
        column = rig.world.docs[DOC].tables[SCOPES].columns["c-scpName00"]
        rig.world.docs[DOC].tables[SCOPES].columns["c-new"] = type(column)("c-new", "Owner")
        await call(client, "coda_upsert_rows", **IN_SCOPES, rows=[{"Owner": "Luna"}])


async def test_many_rows_are_sent_in_parts(rig: Rig) -> None:
    rows = [{"Name": f"Scope {number}"} for number in range(250)]
    async with rig.client() as client:
        written = await call(client, "coda_upsert_rows", **IN_SCOPES, rows=rows)
    posts = [entry for entry in rig.requests() if entry["method"] == "POST"]
    assert [len(post["body"]["rows"]) for post in posts if post["body"]] == [100, 100, 50]
    assert written["status"] == "applied"
    assert len(written["added_row_ids"]) == 250
    assert len(written["request_ids"]) == 3
    assert "rows" not in written


async def test_large_rows_are_sent_in_parts_by_weight(rig: Rig) -> None:
    rows = [{"Name": f"{number:03}" + "x" * 80_000} for number in range(40)]
    async with rig.client() as client:
        written = await call(client, "coda_upsert_rows", **IN_SCOPES, rows=rows)
    assert len(written["request_ids"]) == 3
    assert len(written["added_row_ids"]) == 40


async def test_it_is_told_row_by_row_what_became_of_a_part_that_failed(rig: Rig) -> None:
    rows = [{"Name": f"Scope {number}"} for number in range(250)]
    fault = {"status": 400, "body": {"statusCode": 400, "statusMessage": "Bad Request", "message": "No more."}}
    async with rig.client() as client:
        await call(client, "coda_describe_table", **IN_SCOPES)
        rig.wire.before(3, "POST", lambda: rig.fault("POST */rows", **fault))
        written = await call(client, "coda_upsert_rows", **IN_SCOPES, rows=rows)
    assert written["status"] == "partly"
    first, second, rest = written["rows"]
    assert (first["first"], first["last"], first["status"]) == (0, 99, "applied")
    assert (second["first"], second["last"], second["status"]) == (100, 199, "applied")
    assert (rest["first"], rest["last"], rest["status"]) == (200, 249, "not_sent")
    assert rest["error"]["coda_message"] == "No more."
    assert len(written["added_row_ids"]) == 200


async def test_what_became_of_an_unanswered_part_is_unknown(rig: Rig) -> None:
    rows = [{"Name": f"Scope {number}"} for number in range(250)]
    async with rig.client() as client:
        await call(client, "coda_describe_table", **IN_SCOPES)
        rig.wire.before(2, "POST", lambda: rig.fault("POST */rows", drop="after"))
        written = await call(client, "coda_upsert_rows", **IN_SCOPES, rows=rows)
    assert [(row["first"], row["status"]) for row in written["rows"]] == [
        (0, "applied"),
        (100, "unknown"),
        (200, "not_sent"),
    ]


async def test_keyed_twice_is_once(rig: Rig) -> None:
    rows = [{"Name": "Finder", "Aperture in mm": 50}]
    async with rig.client() as client:
        for _ in range(2):
            await call(client, "coda_upsert_rows", **IN_SCOPES, rows=rows, key_columns=["Name"])
        found = await call(client, "coda_search_rows", **IN_SCOPES, text="finder")
    assert len(found["items"]) == 1


async def test_a_key_column_needs_a_value_in_each_row(rig: Rig) -> None:
    rows = [{"Name": "A"}, {"Aperture in mm": 1}]
    async with rig.client() as client:
        error = error_of(
            await client.call_tool("coda_upsert_rows", {**IN_SCOPES, "rows": rows, "key_columns": ["Name"]})
        )
    assert "Row 1 has no value" in error["hint"]


async def test_a_view_is_refused_by_coda_and_told(rig: Rig) -> None:
    async with rig.client() as client:
        arguments = {"doc_id": DOC, "table": "table-obsBright1", "rows": [{"Name": "Vega"}]}
        error = error_of(await client.call_tool("coda_upsert_rows", arguments))
    assert error["status_code"] == 400
    assert error["coda_message"]


@pytest.mark.parametrize("value", ['say "hi"', "a:b", "1", 7, True, "ü", "\\", "' or 1=1"])
async def test_a_value_is_quoted_on_its_way_into_a_query(rig: Rig, value: Any) -> None:
    async with rig.client() as client:
        await call(client, "coda_list_rows", **IN_TARGETS, column="Name", value=value)
    (asked,) = [entry for entry in rig.requests() if entry["path"].endswith("/rows")]
    name, _, literal = asked["query"]["query"].partition(":")
    assert name == "c-tgtName00"
    assert json.loads(literal) == value


async def test_deleting_by_value_is_tried_dry_first_and_has_a_bound(rig: Rig) -> None:
    wanted = {**IN_TARGETS, "column": "Kind", "value": "Galaxy"}
    async with rig.client() as client:
        dry = await call(client, "coda_delete_rows_by_query", **wanted)
        assert dry["matched"] == len(dry["row_ids"]) > 1
        assert "dry run" in dry["message"]
        assert all(request.method == "GET" for request in rig.wire.sent)
        error = error_of(
            await client.call_tool("coda_delete_rows_by_query", {**wanted, "dry_run": False, "max_rows": 1})
        )
        assert "Nothing was deleted" in error["hint"]
        deleted = await call(client, "coda_delete_rows_by_query", **wanted, dry_run=False)
        assert deleted["matched"] == dry["matched"]
        left = await call(client, "coda_list_rows", **IN_TARGETS, column="Kind", value="Galaxy")
    assert left["items"] == []


async def test_rows_can_be_paged_and_searched_further(rig: Rig) -> None:
    rig.control("rows", doc=DOC, table=SCOPES, count=450)
    async with rig.client() as client:
        found, cursor, scanned = [], None, 0
        while True:
            part = await call(client, "coda_search_rows", **IN_SCOPES, text="row 4", max_scanned=200, cursor=cursor)
            found += part["items"]
            scanned += part["scanned"]
            cursor = part.get("next_cursor")
            if not part["has_more"]:
                break
    assert scanned == 453
    assert len(found) == len([number for number in range(1, 451) if str(number).startswith("4")])
    paged = [entry for entry in rig.requests() if "pageToken" in entry["query"]]
    assert paged
    assert all(entry["query"].keys() == {"pageToken"} for entry in paged), "with a token nothing else is sent"


async def test_only_the_columns_that_were_asked_for(rig: Rig) -> None:
    async with rig.client() as client:
        rows = await call(client, "coda_list_rows", **IN_TARGETS, columns=["Kind", "c-tgtName00"], limit=2)
        by_id = await call(client, "coda_list_rows", **IN_TARGETS, columns=["Kind"], keys="ids", limit=1)
    assert [set(row["values"]) for row in rows["items"]] == [{"Name", "Kind"}] * 2
    assert set(by_id["items"][0]["values"]) == {"c-tgtKind00"}


async def test_a_504_on_a_large_table_asks_for_less(rig: Rig) -> None:
    rig.control("settings", rows_504_above=20)
    async with rig.client() as client:
        error = error_of(await client.call_tool("coda_list_rows", {**IN_TARGETS, "limit": 100}))
        assert "smaller limit" in error["hint"]
        assert (await call(client, "coda_list_rows", **IN_TARGETS, limit=10))["items"]


async def test_a_button_does_what_its_author_made_it_do(rig: Rig) -> None:
    async with rig.client() as client:
        row = (await call(client, "coda_list_rows", doc_id=BAKERY, table="Orders", limit=1))["items"][0]
        pushed = await call(client, "coda_push_button", doc_id=BAKERY, table="Orders", row=row["id"], column="Baked")
    assert pushed["status"] == "applied"
    assert pushed["id"] == row["id"]
