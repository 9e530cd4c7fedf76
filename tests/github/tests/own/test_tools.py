"""The tools, called by a real client."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from local.app import GARBLED, GATEWAY, HALF
from tests.sdk_client import Memory, connect, http_client, logged_in

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

NAME = "octocat/hello#7"


async def test_find_and_read(dev: dict[str, Any]) -> None:
    async with logged_in(dev["mcp_url"]) as client:
        found = await client.call_tool("search_repositories", {"query": "hello"})
        read = await client.call_tool("get_issue", {"issue": NAME})
    assert found.structured_content is not None
    assert [each["full_name"] for each in found.structured_content["repositories"]] == ["octocat/hello"]
    assert read.structured_content is not None
    assert (read.structured_content["title"], read.structured_content["text"]) == ("It says hello", "Too loudly.")
    assert read.structured_content["comments"][0]["author"] == "hubot"


async def test_a_comment_asks_for_more_scope_and_is_then_there(dev: dict[str, Any]) -> None:
    memory = Memory()
    async with http_client(dev["mcp_url"], memory) as http, connect(dev["mcp_url"], http) as client:
        before = await client.call_tool("get_issue", {"issue": NAME})
        assert memory.tokens is not None
        assert memory.tokens.scope is not None
        assert "github:write" not in memory.tokens.scope.split()
        said = await client.call_tool("comment_on_issue", {"issue": NAME, "text": "Quieter now."})
        assert "github:write" in memory.tokens.scope.split()
        after = await client.call_tool("get_issue", {"issue": NAME})
    assert before.structured_content is not None
    assert after.structured_content is not None
    assert after.structured_content["comments"] == [*before.structured_content["comments"], said.structured_content]


@pytest.mark.parametrize(
    ("text", "words"), [(GATEWAY, "is unknown"), (HALF, "is unknown"), (GARBLED, "does not understand")]
)
async def test_a_comment_of_unknown_fate_is_not_repeated(dev: dict[str, Any], text: str, words: str) -> None:
    async with logged_in(dev["mcp_url"]) as client:
        before = await client.call_tool("get_issue", {"issue": NAME})
        said = await client.call_tool("comment_on_issue", {"issue": NAME, "text": text})
        after = await client.call_tool("get_issue", {"issue": NAME})
    assert said.is_error
    assert words in str(said.content)
    assert "Try again" not in str(said.content)
    assert before.structured_content is not None
    assert after.structured_content is not None
    assert [each["text"] for each in after.structured_content["comments"]] == [
        *(each["text"] for each in before.structured_content["comments"]),
        text,
    ]


async def test_without_the_scope_it_is_refused(dev: dict[str, Any]) -> None:
    memory = Memory()
    async with http_client(dev["mcp_url"], memory) as http, connect(dev["mcp_url"], http) as client:
        before = await client.call_tool("get_issue", {"issue": NAME})
    assert memory.tokens is not None
    call = {"name": "comment_on_issue", "arguments": {"issue": NAME, "text": "Unasked."}}
    headers = {
        "Authorization": f"Bearer {memory.tokens.access_token}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-11-25",
    }
    async with httpx.AsyncClient(headers=headers) as plain:
        answer = await plain.post(
            dev["mcp_url"], json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        )
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert "github:write" in answer.headers["www-authenticate"]
    async with logged_in(dev["mcp_url"]) as client:
        after = await client.call_tool("get_issue", {"issue": NAME})
    assert after.structured_content == before.structured_content


async def test_search_and_fetch_are_about_issues(dev: dict[str, Any]) -> None:
    async with logged_in(dev["mcp_url"]) as client:
        found = await client.call_tool("search", {"query": "loudly"})
        assert found.structured_content is not None
        (hit,) = found.structured_content["results"]
        read = await client.call_tool("fetch", {"id": hit["id"]})
    assert (hit["id"], hit["url"]) == (NAME, "https://github.com/octocat/hello/issues/7")
    assert read.structured_content is not None
    assert read.structured_content["text"] == "Too loudly."


@pytest.mark.parametrize("name", ["octocat/hello#8", "../../user#1", "octocat/hello", "a/b#1?x=y", "a/..#1"])
async def test_what_is_no_issue_is_an_error_with_words(dev: dict[str, Any], name: str) -> None:
    async with logged_in(dev["mcp_url"]) as client:
        answer = await client.call_tool("get_issue", {"issue": name})
    assert answer.is_error
    assert "issue" in str(answer.content)
