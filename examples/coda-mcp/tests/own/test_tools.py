"""The tools of this server, called by a real client. Yours to change along with them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sdk_client import Memory, Mode, connect, http_client, logged_in

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

MODES: list[Mode] = ["auto", "legacy"]


@pytest.mark.parametrize("mode", MODES)
async def test_search_and_fetch(dev: dict[str, Any], mode: Mode) -> None:
    async with logged_in(dev["mcp_url"], mode) as client:
        found = await client.call_tool("search", {"query": "oauth client"})
        assert found.structured_content is not None
        (hit,) = found.structured_content["results"]
        document = await client.call_tool("fetch", {"id": hit["id"]})
    assert document.structured_content is not None
    assert document.structured_content["title"] == hit["title"]
    assert document.structured_content["url"] == hit["url"] == f"{dev['upstream']}/notes/{hit['id']}"


@pytest.mark.parametrize("mode", MODES)
async def test_adding_asks_for_more_scope_and_then_succeeds(dev: dict[str, Any], mode: Mode) -> None:
    memory = Memory()
    async with http_client(dev["mcp_url"], memory) as http, connect(dev["mcp_url"], http, mode) as client:
        await client.list_tools()
        assert memory.tokens is not None
        before = (memory.tokens.scope or "").split()
        added = await client.call_tool("add_note", {"title": "From a test", "text": "It works."})
        after = (memory.tokens.scope or "").split()
    assert not added.is_error
    assert not any(scope.endswith(":write") for scope in before)
    assert any(scope.endswith(":write") for scope in after)


@pytest.mark.parametrize("note_id", ["999", "../../admin", "a/b?c=d", "ü\u0000"])
async def test_a_note_that_is_not_there_is_an_error_with_words(dev: dict[str, Any], note_id: str) -> None:
    async with logged_in(dev["mcp_url"]) as client:
        answer = await client.call_tool("fetch", {"id": note_id})
    assert answer.is_error
    assert "There is nothing of that id" in str(answer.content)


async def test_bad_arguments_are_an_error_with_words(dev: dict[str, Any]) -> None:
    async with logged_in(dev["mcp_url"]) as client:
        answer = await client.call_tool("fetch", {"id": ""})
    assert answer.is_error
    assert "at least 1 character" in str(answer.content)
