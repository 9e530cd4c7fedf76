"""Which tools and docs there are at all: toolsets, read-only, the list of docs; and whose token goes where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from tests.own.cases import BAKERY, DOC, GOOD, Arguments
from tests.own.rig import CODA_TOKEN, MODES, Rig, served
from tests.own.test_every_tool import error_of, prepared
from tests.sdk_client import Mode

pytestmark = pytest.mark.anyio

WRITES = ("create", "update", "delete", "append", "replace", "duplicate", "upsert", "push", "trigger")


@pytest.fixture(scope="module")
def limited() -> Iterator[Rig]:
    """A server of one doc only."""
    with served(coda_doc_ids=BAKERY) as rig:
        yield rig


@pytest.fixture
def one_doc(limited: Rig) -> Rig:
    limited.reset()
    return limited


IN_OTHER_DOC = {name: arguments for name, arguments in GOOD.items() if arguments.get("doc_id") not in (None, BAKERY)}
ELSEWHERE: dict[str, Arguments] = {
    **IN_OTHER_DOC,
    "coda_delete_doc": {"doc_id": DOC},
    "fetch": {"id": f"coda://docs/{DOC}"},
    "coda_resolve_link": {"url": f"https://coda.io/d/_d{DOC}"},
    "search": {"query": f"https://coda.io/d/_d{DOC}"},
    "coda_create_doc": {"title": "New"},
    "coda_create_page": {
        "doc_id": BAKERY,
        "name": "Stolen",
        "kind": "sync_page",
        "source_doc_id": DOC,
        "source_page_id": "canvas-obsHome001",
    },
    "coda_list_doc_analytics": {"doc_ids": [DOC]},
    "coda_get_doc_analytics_summary": {},
}


@pytest.mark.parametrize("name", ELSEWHERE)
async def test_no_tool_leads_into_another_doc(one_doc: Rig, name: str) -> None:
    before = len(one_doc.world.mutations)
    async with one_doc.client() as client:
        error = error_of(await client.call_tool(name, ELSEWHERE[name]))
    assert error["error"] == "not_allowed"
    assert len(one_doc.world.mutations) == before
    assert not [entry for entry in one_doc.requests() if DOC in entry["path"]]


async def test_every_tool_that_takes_a_doc_is_among_them(rig: Rig) -> None:
    async with rig.client() as client:
        tools = (await client.list_tools()).tools
    docs = {
        tool.name for tool in tools if {"doc_id", "doc_ids", "source_doc_id"} & tool.input_schema["properties"].keys()
    }
    assert docs <= ELSEWHERE.keys()


@pytest.mark.parametrize(
    "doc_id", [f"{BAKERY}/../{DOC}", f"{BAKERY}%2F..%2F{DOC}", BAKERY.lower(), f" {BAKERY}", f"{DOC}#"]
)
async def test_no_spelling_leads_around_it(one_doc: Rig, doc_id: str) -> None:
    async with one_doc.client() as client:
        error = error_of(await client.call_tool("coda_get_doc", {"doc_id": doc_id}))
    assert error["error"] == "not_allowed"
    assert not one_doc.wire.sent


async def test_the_allowed_doc_is_served_and_no_other_is_shown(one_doc: Rig) -> None:
    async with one_doc.client() as client:
        assert not (await client.call_tool("coda_get_doc_outline", {"doc_id": BAKERY})).is_error
        listed = (await client.call_tool("coda_list_docs")).structured_content
        found = (await client.call_tool("search", {"query": "e"})).structured_content
        used = (await client.call_tool("coda_list_doc_analytics")).structured_content
        docs = json.loads((await client.read_resource("coda://docs")).contents[0].text)  # type: ignore[union-attr]
    assert listed is not None
    assert found is not None
    assert used is not None
    assert [doc["id"] for doc in listed["items"]] == [BAKERY]
    assert found["results"]
    assert all(hit["id"].startswith(f"coda://docs/{BAKERY}") for hit in found["results"])
    assert {item["id"] for item in used["items"]} == {BAKERY}
    assert [doc["id"] for doc in docs] == [BAKERY]


@pytest.mark.parametrize("uri", [f"coda://docs/{DOC}", f"coda://docs/{DOC}/schema", f"coda://docs/{DOC}/pages/Welcome"])
async def test_no_resource_leads_into_another_doc(one_doc: Rig, uri: str) -> None:
    async with one_doc.client() as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource(uri)
    assert "not_allowed" in str(refused.value)
    assert not one_doc.wire.sent


async def names(rig: Rig) -> set[str]:
    async with rig.client() as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def test_core_is_what_there_is_without_a_word_about_it() -> None:
    with served(coda_toolsets=None) as rig:
        core = await names(rig)
    assert len(core) == 46
    assert "coda_list_permissions" not in core
    assert "coda_upsert_rows" in core


async def test_toolsets_add_to_it() -> None:
    with served(coda_toolsets="admin") as rig:
        found = await names(rig)
    assert {"coda_upsert_rows", "coda_list_permissions"} <= found
    assert not {"coda_list_workspace_members", "coda_list_doc_analytics"} & found


async def test_read_only_means_that_nothing_that_changes_is_there() -> None:
    with served(coda_read_only=True) as rig:
        async with rig.client() as client:
            tools = (await client.list_tools()).tools
            refused = await client.call_tool("coda_delete_doc", {"doc_id": DOC})
        assert refused.is_error
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
        assert not [tool.name for tool in tools if any(word in tool.name.split("_") for word in WRITES)]
        assert DOC in rig.world.docs
        assert not rig.world.docs[DOC].deleted
        guide = None
        async with rig.client() as client:
            guide = (await client.call_tool("coda_guide")).structured_content
    assert guide is not None
    assert guide["read_only"] is True


@pytest.mark.parametrize(
    ("scope", "tools"),
    [
        ("coda:read", ["coda_whoami"]),
        ("coda:write", ["coda_whoami", "coda_update_doc"]),
        ("coda:admin", ["coda_whoami", "coda_update_doc", "coda_list_permissions", "coda_list_workspace_members"]),
    ],
)
async def test_a_scope_includes_the_lesser_ones(rig: Rig, scope: str, tools: list[str]) -> None:
    async with rig.client(scope=scope) as client:
        for name in tools:
            assert not (await client.call_tool(name, GOOD[name])).is_error


@pytest.mark.parametrize("mode", MODES)
async def test_the_clients_token_never_reaches_coda(rig: Rig, mode: Mode) -> None:
    """Neither in a header nor anywhere else; Coda would refuse it, and the stand-in notes what it was shown."""
    token = rig.token()
    for name in ("coda_whoami", "coda_read_page", "coda_update_page", "search", "fetch"):
        async with rig.client(mode) as client:
            await client.call_tool(name, prepared(rig, GOOD[name]))
    assert len(rig.wire.sent) > 5
    for request in rig.wire.sent:
        everything = f"{request.url}{request.headers}{request.content!r}"
        assert token.split(".")[2] not in everything
        assert "eyJ" not in everything, "no token of the issuer at all"
        assert request.headers.get("authorization", f"Bearer {CODA_TOKEN}") == f"Bearer {CODA_TOKEN}"


async def test_a_request_with_the_clients_token_would_be_refused(rig: Rig) -> None:
    """The proof that the stand-in would show it."""
    answer = rig.controls.get(f"{rig.coda_url}/apis/v1/whoami", headers={"Authorization": f"Bearer {rig.token()}"})
    assert answer.status_code == 401


async def test_a_token_that_coda_does_not_accept_is_the_owners_to_mend() -> None:
    with served(coda_api_token="wrong-token") as rig:
        async with rig.client() as client:
            error = error_of(await client.call_tool("coda_whoami"))
    assert (error["error"], error["status_code"], error["retryable"]) == ("unauthorized", 401, False)
    assert "CODA_API_TOKEN" in error["hint"]
    assert "wrong-token" not in str(error)


@pytest.mark.parametrize(
    ("token", "name"), [("local-read-token", "coda_update_page"), ("local-doc-token", "coda_get_doc")]
)
async def test_a_restricted_token_is_explained(token: str, name: str) -> None:
    arguments: dict[str, Any] = {"coda_get_doc": {"doc_id": BAKERY}}.get(name, GOOD[name])
    with served(coda_api_token=token) as rig:
        async with rig.client() as client:
            error = error_of(await client.call_tool(name, arguments))
    assert (error["error"], error["status_code"]) == ("forbidden", 403)
    assert "restricted" in error["hint"]
