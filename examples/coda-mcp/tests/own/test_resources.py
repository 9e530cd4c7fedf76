"""Resources, their templates, completion, prompts: all behind the read scope."""

from __future__ import annotations

import json

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceTemplateReference

from coda_mcp.tools.guide import TOPICS
from tests.own.cases import BAKERY, DOC, HOME, TARGETS
from tests.own.rig import MODES, Rig, plain
from tests.sdk_client import Mode

pytestmark = pytest.mark.anyio

TEMPLATES = {
    "coda://docs/{doc_id}",
    "coda://docs/{doc_id}/schema",
    "coda://docs/{doc_id}/pages/{page}",
    "coda://docs/{doc_id}/tables/{table}",
}
PROMPTS = {
    "analyze_doc_structure",
    "design_table_schema",
    "migrate_spreadsheet",
    "setup_automation",
    "audit_permissions",
    "summarize_page",
    "report_from_table",
}


async def text(client: Client, uri: str) -> tuple[str | None, str]:
    (content,) = (await client.read_resource(uri)).contents
    return content.mime_type, content.text  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", MODES)
async def test_what_there_is_to_attach(rig: Rig, mode: Mode) -> None:
    async with rig.client(mode) as client:
        resources = {str(resource.uri) for resource in (await client.list_resources()).resources}
        templates = {each.uri_template for each in (await client.list_resource_templates()).resource_templates}
        docs = json.loads((await text(client, "coda://docs"))[1])
        kind, outline = await text(client, f"coda://docs/{DOC}")
        assert kind == "text/markdown"
        assert "Magnitude (number)" in outline
        kind, schema = await text(client, f"coda://docs/{DOC}/schema")
        assert kind == "application/json"
        assert json.loads(schema)["id"] == DOC
        kind, page = await text(client, f"coda://docs/{DOC}/pages/{HOME}")
        assert kind == "text/markdown"
        assert "Everything that was" in page
        kind, table = await text(client, f"coda://docs/{DOC}/tables/{TARGETS}")
        assert kind == "text/csv"
        assert table.startswith("row_id,Name,Kind")
        kind, guide = await text(client, "coda://guides/limits")
        assert "100 requests in 6 s" in guide
    assert resources == {"coda://docs", *(f"coda://guides/{topic}" for topic in TOPICS)}
    assert templates == TEMPLATES
    assert {doc["id"] for doc in docs} >= {DOC, BAKERY}


@pytest.mark.parametrize(
    "uri",
    ["coda://docs/nothing", "coda://docs/..", "coda://docs/a%2F..%2Fb", f"coda://docs/{DOC}/pages/nothing", "coda://x"],
)
async def test_what_is_not_there_is_an_error_with_words(rig: Rig, uri: str) -> None:
    async with rig.client() as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource(uri)
    assert "Traceback" not in str(refused.value)


@pytest.mark.parametrize("mode", MODES)
async def test_ids_are_completed_by_name(rig: Rig, mode: Mode) -> None:
    async with rig.client(mode) as client:

        async def complete(template: str, argument: str, typed: str, **known: str) -> list[str]:
            ref = ResourceTemplateReference(uri=template)
            completed = await client.complete(ref, {"name": argument, "value": typed}, known)
            return completed.completion.values

        page, table = "coda://docs/{doc_id}/pages/{page}", "coda://docs/{doc_id}/tables/{table}"
        assert await complete("coda://docs/{doc_id}", "doc_id", "bakery") == [BAKERY]
        assert await complete("coda://docs/{doc_id}", "doc_id", "obs") == [DOC]
        assert await complete(page, "page", "welc", doc_id=DOC) == [HOME]
        assert TARGETS in await complete(table, "table", "", doc_id=DOC)
        assert await complete(table, "table", "x", doc_id="nothing") == []
        assert await complete(page, "page", "welc") == []


@pytest.mark.parametrize("mode", MODES)
async def test_prompts(rig: Rig, mode: Mode) -> None:
    async with rig.client(mode) as client:
        prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        assert prompts.keys() == PROMPTS
        names = {tool.name for tool in (await client.list_tools()).tools}
        for name, prompt in prompts.items():
            assert prompt.title
            assert prompt.description
            arguments = {argument.name: f"<{argument.name}>" for argument in prompt.arguments or []}
            assert all(argument.description for argument in prompt.arguments or [])
            (message,) = (await client.get_prompt(name, arguments)).messages
            said = message.content.text  # type: ignore[union-attr]
            assert all(value in said for value in arguments.values())
            mentioned = {word.strip(".,();:") for word in said.split() if word.startswith("coda_")}
            assert mentioned <= names, "a prompt names only tools that there are"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/list", {}),
        ("resources/read", {"uri": "coda://guides/limits"}),
        ("resources/templates/list", {}),
        ("prompts/list", {}),
        ("prompts/get", {"name": "summarize_page", "arguments": {"doc_id": "d", "page": "p"}}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "x", "value": ""}}),
    ],
)
async def test_all_of_it_needs_the_read_scope(rig: Rig, method: str, params: dict[str, object]) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {"Authorization": f"Bearer {rig.token('coda:other')}", "Accept": "application/json, text/event-stream"}
    async with plain() as http:
        refused = await http.post(rig.mcp_url, json=body, headers=headers)
        headers["Authorization"] = f"Bearer {rig.token('coda:admin')}"
        headers["MCP-Protocol-Version"] = "2025-11-25"
        allowed = await http.post(rig.mcp_url, json=body, headers=headers)
    assert refused.status_code == 403
    assert 'scope="coda:read"' in refused.headers["www-authenticate"]
    assert allowed.status_code == 200
