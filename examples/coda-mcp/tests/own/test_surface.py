"""The surface of the tools changes only on purpose, and has what clients and models need."""

from __future__ import annotations

import difflib
from typing import Any

import pytest

from tests.own.rig import MODES, Rig
from tests.own.surface import COMMAND, FILE, surface, written
from tests.sdk_client import Mode

pytestmark = pytest.mark.anyio

HINTS = {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
SCOPE = {"core": ("coda:read", "coda:write"), "analytics": ("coda:read",), "admin": (), "workspace": ()}


async def test_the_tools_are_those_that_are_written_down() -> None:
    now, before = written(await surface()), FILE.read_text(encoding="utf-8")
    difference = "".join(
        difflib.unified_diff(before.splitlines(True), now.splitlines(True), "tests/own/tools.json", "the server", n=2)
    )
    assert not difference, f"{difference}\nIf that is meant: {COMMAND}"


@pytest.mark.parametrize("mode", MODES)
async def test_clients_get_to_see_just_these(rig: Rig, mode: Mode) -> None:
    async with rig.client(mode) as client:
        listed = (await client.list_tools()).tools
    expected = {tool["name"]: tool for tool in await surface()}
    assert [tool.name for tool in listed] == list(expected)
    for tool in listed:
        shown = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
        for name in ("title", "description", "inputSchema", "outputSchema", "annotations"):
            assert shown[name] == expected[tool.name][name]
        (scheme,) = shown["_meta"]["securitySchemes"]
        assert set(expected[tool.name]["scopes"]) <= set(scheme["scopes"])


async def test_every_tool_says_what_it_is() -> None:
    for tool in await surface():
        name = tool["name"]
        assert name.startswith("coda_") or name in ("search", "fetch")
        assert tool["title"]
        assert 20 <= len(tool["description"]) <= 300, name
        hints = tool["annotations"]
        assert hints.keys() == HINTS, name
        assert hints["openWorldHint"] is True
        assert not (hints["readOnlyHint"] and hints["destructiveHint"]), name
        assert tool["outputSchema"]["type"] == "object"
        assert tool["inputSchema"]["type"] == "object"
        expected = SCOPE[tool["toolset"]] or ("coda:admin",)
        assert tool["scopes"] == [expected[0] if hints["readOnlyHint"] else expected[-1]], name


async def test_every_argument_is_described() -> None:
    for tool in await surface():
        for name, schema in tool["inputSchema"]["properties"].items():
            assert schema.get("description"), (tool["name"], name)


async def test_schemas_are_what_every_client_reads() -> None:
    """No null types, no references outside, nothing recursive."""

    def walk(schema: Any, path: str) -> None:
        if isinstance(schema, dict):
            assert schema.get("type") != "null", path
            assert not isinstance(schema.get("type"), list), path
            assert str(schema.get("$ref", "#/$defs/")).startswith("#/$defs/"), path
            for name, value in schema.items():
                walk(value, f"{path}.{name}")
        elif isinstance(schema, list):
            for number, value in enumerate(schema):
                walk(value, f"{path}[{number}]")

    for tool in await surface():
        for part in ("inputSchema", "outputSchema"):
            walk(tool[part], f"{tool['name']}.{part}")
