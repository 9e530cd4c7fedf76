"""Every tool, called by the official client over HTTP with a token, on both eras of the protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp_types import CallToolResult

from tests.own.cases import BAD, DOC, GOOD, HOME, MISSING, WITHOUT_ARGUMENTS, WITHOUT_CODA, Arguments
from tests.own.rig import CODA_TOKEN, MODES, Rig, plain
from tests.own.stand_in_contract import PREFIX, check_request
from tests.sdk_client import Mode

pytestmark = pytest.mark.anyio

ASKING = sorted(GOOD.keys() - WITHOUT_CODA)
VERSIONS = {"auto": "2026-07-28", "legacy": "2025-11-25"}

both_eras = pytest.mark.parametrize("mode", MODES)


def error_of(answer: CallToolResult) -> dict[str, Any]:
    """The error that a model reads; no structured content is beside it."""
    assert answer.is_error, answer.content
    assert answer.structured_content is None
    (content,) = answer.content
    assert content.type == "text"
    error: dict[str, Any] = json.loads(content.text)
    assert error["hint"]
    return error


def prepared(rig: Rig, arguments: Arguments) -> Arguments:
    """With the IDs of an export and of a change that there are."""
    page = f"docs/{DOC}/pages/{HOME}"
    filled = dict(arguments)
    if arguments.get("export_id") == "EXPORT":
        filled["export_id"] = rig.coda("POST", f"{page}/export", {"outputFormat": "markdown"})["id"]
        rig.clock.seconds += 10
    if arguments.get("request_id") == "REQUEST":
        filled["request_id"] = rig.coda("PUT", page, {"name": "Renamed"})["requestId"]
    return filled


async def test_every_tool_has_its_cases(rig: Rig) -> None:
    async with rig.client() as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert names == GOOD.keys()
    assert names - WITHOUT_ARGUMENTS == BAD.keys()
    assert names >= MISSING.keys()


@both_eras
@pytest.mark.parametrize("name", GOOD)
async def test_it_answers(rig: Rig, name: str, mode: Mode) -> None:
    """The client compares the structured content with the schema that the server announced."""
    arguments = prepared(rig, GOOD[name])
    async with rig.client(mode) as client:
        answer = await client.call_tool(name, arguments)
        assert client.protocol_version == VERSIONS[mode]
    assert not answer.is_error, answer.content
    (content,) = answer.content
    assert content.type == "text"
    assert json.loads(content.text) == answer.structured_content
    assert all(request.headers.get("authorization") in (None, f"Bearer {CODA_TOKEN}") for request in rig.wire.sent)


@pytest.mark.parametrize("name", ASKING)
async def test_it_asks_what_the_document_of_the_api_describes(rig: Rig, name: str) -> None:
    arguments = prepared(rig, GOOD[name])
    async with rig.client() as client:
        await client.call_tool(name, arguments)
    asked = [request for request in rig.wire.sent if request.url.path.startswith(PREFIX)]
    assert asked
    for request in asked:
        check_request(request)


@both_eras
@pytest.mark.parametrize("name", GOOD)
async def test_it_asks_for_the_scope_that_is_missing(rig: Rig, name: str, mode: Mode) -> None:
    async with rig.client(mode) as client:
        tool = next(tool for tool in (await client.list_tools()).tools if tool.name == name)
    assert tool.meta is not None
    scopes = tool.meta["securitySchemes"][0]["scopes"]
    lesser = " ".join(scopes[:-1]) or "coda:other"
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": GOOD[name]}}
    headers = {"Authorization": f"Bearer {rig.token(lesser)}", "Accept": "application/json, text/event-stream"}
    headers["MCP-Protocol-Version"] = VERSIONS[mode]
    async with plain() as http:
        answer = await http.post(rig.mcp_url, json=body, headers=headers)
    assert answer.status_code == 403
    assert f'scope="{" ".join(scopes)}"' in answer.headers["www-authenticate"]
    assert not rig.wire.sent


@both_eras
@pytest.mark.parametrize("name", ASKING)
async def test_it_says_what_is_not_found(rig: Rig, name: str, mode: Mode) -> None:
    if name not in MISSING:
        rig.control("faults", **{"*/apis/v1/*": {"status": 404}})
    arguments = MISSING[name] if name in MISSING else prepared(rig, GOOD[name])
    async with rig.client(mode) as client:
        error = error_of(await client.call_tool(name, arguments))
    assert error["error"] == "not_found"
    assert not error["retryable"]


@both_eras
@pytest.mark.parametrize("name", ASKING)
async def test_it_waits_when_coda_says_that_it_is_too_much(rig: Rig, name: str, mode: Mode) -> None:
    arguments = prepared(rig, GOOD[name])
    rig.control("faults", **{"*/apis/v1/*": {"status": 429, "times": 1}})
    async with rig.client(mode) as client:
        answer = await client.call_tool(name, arguments)
    assert not answer.is_error, answer.content
    assert [entry["status"] for entry in rig.requests()].count(429) == 1
    assert max(rig.clock.slept) >= 1


@both_eras
@pytest.mark.parametrize("name", ASKING)
async def test_it_says_that_coda_is_down(rig: Rig, name: str, mode: Mode) -> None:
    arguments = prepared(rig, GOOD[name])
    rig.control("faults", **{"*/apis/v1/*": {"status": 503}})
    async with rig.client(mode) as client:
        error = error_of(await client.call_tool(name, arguments))
    assert (error["error"], error["status_code"], error["retryable"]) == ("unavailable", 503, True)


@both_eras
@pytest.mark.parametrize("name", ASKING)
async def test_it_says_that_coda_does_not_answer(rig: Rig, name: str, mode: Mode) -> None:
    arguments = prepared(rig, GOOD[name])
    rig.wire.timing_out = True
    async with rig.client(mode) as client:
        error = error_of(await client.call_tool(name, arguments))
    assert error["error"] == "timeout"


@both_eras
@pytest.mark.parametrize("name", BAD)
async def test_it_refuses_what_cannot_be_right(rig: Rig, name: str, mode: Mode) -> None:
    before = len(rig.world.mutations)
    async with rig.client(mode) as client:
        answer = await client.call_tool(name, BAD[name])
    assert answer.is_error, answer.structured_content
    assert "Traceback" not in str(answer.content)
    assert len(rig.world.mutations) == before
    assert all(request.method == "GET" for request in rig.wire.sent)
