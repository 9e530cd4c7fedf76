"""`search` and `fetch` as ChatGPT asks for them, and `coda_find_in_doc`, `coda_guide`, links."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp.client.client import Client

from coda_mcp.tools.guide import TOPICS
from coda_mcp.tools.guides import GUIDES
from tests.own.cases import DOC, HOME, ROW, TARGETS
from tests.own.rig import MODES, Rig
from tests.own.test_every_tool import error_of
from tests.sdk_client import Mode

pytestmark = pytest.mark.anyio


async def call(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(name, arguments)
    assert not answer.is_error, answer.content
    (content,) = answer.content
    assert content.type == "text"
    assert json.loads(content.text) == answer.structured_content
    structured: dict[str, Any] = answer.structured_content or {}
    return structured


@pytest.mark.parametrize("mode", MODES)
async def test_what_chatgpt_asks_for(rig: Rig, mode: Mode) -> None:
    """One content item of JSON, the same as structured content: `results` of id, title, url; then the document."""
    async with rig.client(mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools["search"].input_schema["properties"]) == ["query"]
        assert list(tools["fetch"].input_schema["properties"]) == ["id"]
        found = await call(client, "search", query="welcome")
        assert found.keys() == {"results"}
        for hit in found["results"]:
            assert hit.keys() == {"id", "title", "url"}
            assert all(isinstance(value, str) and value for value in hit.values())
            document = await call(client, "fetch", id=hit["id"])
            assert document.keys() == {"id", "title", "text", "url", "metadata"}
            assert document["id"] == hit["id"]
            assert document["url"] == hit["url"]
            assert all(isinstance(value, str) for value in document["metadata"].values())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("observatory log", f"coda://docs/{DOC}"),
        ("Welcome", f"coda://docs/{DOC}/pages/{HOME}"),
        ("wellcome", f"coda://docs/{DOC}/pages/{HOME}"),
        ("marathon messier", f"coda://docs/{DOC}/pages/canvas-obsGuide02"),
        ("targets", f"coda://docs/{DOC}/tables/{TARGETS}"),
        (f"https://coda.io/d/_d{DOC}", f"coda://docs/{DOC}"),
    ],
)
async def test_search_finds_docs_pages_tables_and_links(rig: Rig, query: str, expected: str) -> None:
    async with rig.client() as client:
        found = await call(client, "search", query=query)
    assert expected in [hit["id"] for hit in found["results"]]


async def test_search_asks_little_of_coda(rig: Rig) -> None:
    async with rig.client() as client:
        await call(client, "search", query="galaxy")
        first = [entry["path"] for entry in rig.requests()]
        await call(client, "search", query="galaxy")
        second = [entry["path"] for entry in rig.requests()]
    assert first.count("/apis/v1/docs") <= 2
    assert len(first) - first.count("/apis/v1/docs") <= 20
    assert second == first, "what things are called is kept for a minute"


@pytest.mark.parametrize(
    ("address", "kind", "words"),
    [
        (f"coda://docs/{DOC}", "doc", "Magnitude (number)"),
        (f"coda://docs/{DOC}/pages/{HOME}", "page", "Everything that was"),
        (f"coda://docs/{DOC}/tables/{TARGETS}", "table", "row_id,Name,Kind"),
        (f"coda://docs/{DOC}/tables/{TARGETS}/rows/{ROW}", "row", "Kind: Galaxy"),
    ],
)
async def test_fetch_reads_each_kind(rig: Rig, address: str, kind: str, words: str) -> None:
    async with rig.client() as client:
        document = await call(client, "fetch", id=address)
    assert words in document["text"]
    assert document["metadata"]["type"] == kind
    assert document["metadata"]["truncated"] == "false"


async def test_a_long_table_is_said_to_be_cut(rig: Rig) -> None:
    rig.control("rows", doc=DOC, table=TARGETS, count=200)
    async with rig.client() as client:
        document = await call(client, "fetch", id=f"coda://docs/{DOC}/tables/{TARGETS}")
    assert document["metadata"]["truncated"] == "true"
    assert len(document["text"].splitlines()) == 101


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "coda://",
        "coda://docs",
        "coda://docs/a/b",
        "https://coda.io",
        "coda://docs/../whoami",
        "coda://docs/%2e%2e",
    ],
)
async def test_an_id_that_is_none_is_explained(rig: Rig, address: str) -> None:
    async with rig.client() as client:
        answer = await client.call_tool("fetch", {"id": address})
    assert answer.is_error
    assert not rig.wire.sent


FOREIGN_LINKS = [
    "https://evil.example/d/_dobsLogBk01",
    "https://coda.io.evil.example/d/_dobsLogBk01",
    "https://coda.io@evil.example/d/_dobsLogBk01",
    "https://evilcoda.io/d/_dobsLogBk01",
    "http://coda.io/d/_dobsLogBk01",
    "javascript:alert(1)",
    "//coda.io/d/_dobsLogBk01",
    "https://coda.io/d/_d obsLogBk01",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("url", FOREIGN_LINKS)
async def test_a_link_to_another_host_is_not_asked_about(rig: Rig, url: str) -> None:
    async with rig.client() as client:
        error = error_of(await client.call_tool("coda_resolve_link", {"url": url}))
    assert error["error"] == "bad_argument"
    assert not rig.wire.sent


async def test_names_that_are_about_right_are_found_in_a_doc(rig: Rig) -> None:
    async with rig.client() as client:
        found = await call(client, "coda_find_in_doc", doc_id=DOC, query="telescop")
        only = await call(client, "coda_find_in_doc", doc_id=DOC, query="telescop", kinds=["column"])
    kinds = {(match["kind"], match["name"]) for match in found["matches"]}
    assert {("table", "Telescopes"), ("column", "Telescope")} <= kinds
    assert [match["kind"] for match in only["matches"]] == ["column"]


async def test_the_guide_has_every_topic_and_says_what_is_not_possible(rig: Rig) -> None:
    assert set(TOPICS) == GUIDES.keys()
    async with rig.client() as client:
        for topic in TOPICS:
            assert (await call(client, "coda_guide", topic=topic))["text"] == GUIDES[topic]
    for word in ("comments", "formula", "views", "full-text", "Packs"):
        assert word in GUIDES["not_possible"]
    assert not rig.wire.sent
