"""The guard before a page or all of its content goes: tables, controls and formulas are not lost by the way."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from mcp_types import ElicitRequestParams, ElicitResult

from tests.own.cases import BAKERY, DOC, HANDBOOK, HOME
from tests.own.rig import Rig
from tests.own.test_every_tool import error_of

pytestmark = pytest.mark.anyio

PAGE = {"doc_id": DOC, "page": HOME}

ENDANGERING: dict[str, dict[str, Any]] = {
    "coda_delete_page": {},
    "coda_delete_page_content": {"all": True},
    "coda_replace_page_content": {"content": "<p>New</p>", "confirm_overwrite": True},
}


@pytest.mark.parametrize("name", ENDANGERING)
async def test_tables_on_a_page_are_not_lost_by_the_way(rig: Rig, name: str) -> None:
    page = {"doc_id": BAKERY, "page": "Kitchen"}
    async with rig.client() as client:
        error = error_of(await client.call_tool(name, {**page, **ENDANGERING[name]}))
        assert error["error"] == "would_lose"
        assert "'Pantry' (grid-bakPantry1)" in error["hint"]
        assert "'Runs out' (f-bakRunsOut)" in error["hint"]
        assert all(request.method == "GET" for request in rig.wire.sent)
        some = {**page, **ENDANGERING[name], "may_lose": ["grid-bakPantry1"]}
        assert "f-bakRunsOut" in error_of(await client.call_tool(name, some))["hint"]
        everything = {**some, "may_lose": ["grid-bakPantry1", "f-bakRunsOut"]}
        answer = await client.call_tool(name, everything)
    assert not answer.is_error, answer.content


@pytest.mark.parametrize("name", ENDANGERING)
@pytest.mark.parametrize("answer", ["yes", "no", "decline", "cancel"])
async def test_a_client_that_can_ask_asks_the_person(rig: Rig, name: str, answer: str) -> None:
    """On 2026-07-28; the person reads what would go, and only a yes lets it go."""
    questions: list[str] = []

    async def person(_: Any, params: ElicitRequestParams) -> ElicitResult:
        questions.append(params.message)
        if answer in ("yes", "no"):
            return ElicitResult(action="accept", content={"allow": answer == "yes"})
        return ElicitResult(action="decline" if answer == "decline" else "cancel")

    arguments = {"doc_id": BAKERY, "page": "Kitchen", **ENDANGERING[name]}
    async with rig.client(person=person) as client:
        result = await client.call_tool(name, arguments)
    (question,) = questions
    assert "'Pantry' (grid-bakPantry1)" in question
    assert result.is_error is (answer != "yes"), result.content
    if answer != "yes":
        assert "did not agree" in error_of(result)["hint"]
        assert all(request.method == "GET" for request in rig.wire.sent)


async def test_a_yes_is_not_taken_for_more_than_was_asked(rig: Rig) -> None:
    """A table that came in between is not lost by it."""

    async def person(_: Any, params: ElicitRequestParams) -> ElicitResult:
        bakery = rig.world.docs[BAKERY]
        extra = dataclasses.replace(bakery.tables["grid-bakPantry1"], table_id="grid-new", name="Just added")
        bakery.tables["grid-new"] = extra
        return ElicitResult(action="accept", content={"allow": True})

    async with rig.client(person=person) as client:
        result = await client.call_tool("coda_delete_page", {"doc_id": BAKERY, "page": "Kitchen"})
    assert "Just added" in error_of(result)["hint"]
    assert all(request.method == "GET" for request in rig.wire.sent)


async def test_a_client_of_an_older_revision_is_not_asked(rig: Rig) -> None:
    async def person(*_: Any) -> ElicitResult:
        raise AssertionError("there is no way to ask")

    async with rig.client("legacy", person=person) as client:
        result = await client.call_tool("coda_delete_page", {"doc_id": BAKERY, "page": "Kitchen"})
    assert "may_lose" in error_of(result)["hint"]


async def test_subpages_are_named_before_their_parent_goes(rig: Rig) -> None:
    async with rig.client() as client:
        page = {"doc_id": HANDBOOK, "page": "canvas-hndRules1"}
        error = error_of(await client.call_tool("coda_delete_page", page))
    assert "Your first night" in error["hint"]


async def test_a_whole_page_is_not_replaced_by_forgetting_the_element(rig: Rig) -> None:
    async with rig.client() as client:
        error = error_of(await client.call_tool("coda_replace_page_content", {**PAGE, "content": "x"}))
    assert error["error"] == "would_lose"
    assert not rig.wire.sent
