"""The life of a page and a row as it was measured at Coda, as one conversation with the stand-in's faithful timings."""

from __future__ import annotations

from typing import Any

import pytest
from mcp.client.client import Client

from tests.own.cases import DOC, SCOPES
from tests.own.rig import MODES, Rig
from tests.sdk_client import Mode

pytestmark = pytest.mark.anyio

APPEND_SECONDS = 16.0


@pytest.mark.parametrize("mode", MODES)
async def test_a_page_and_a_row_from_creation_to_deletion(rig: Rig, mode: Mode) -> None:
    async with rig.client(mode) as client:
        call = caller(client)
        made = await applied(call, "coda_create_page", name="Night of the comet", content="<p>First light</p>")
        page = made["id"]
        assert await lines(call, page) == ["First light"]

        began = rig.clock.seconds
        await applied(call, "coda_update_page", page=page, name="Night of two comets")
        assert rig.clock.seconds - began >= APPEND_SECONDS, "Coda takes its time, and the tool waited"
        assert (await call("coda_get_page", page=page))["name"] == "Night of two comets"

        await applied(call, "coda_append_page_content", page=page, content="Clouds", format="markdown")
        await applied(call, "coda_append_page_content", page=page, content="<h2>Log</h2>", position="prepend")
        assert await lines(call, page) == ["Log", "First light", "Clouds"]

        elements = (await call("coda_list_page_elements", page=page))["items"]
        clouds = next(each["id"] for each in elements if each["text"] == "Clouds")
        await applied(call, "coda_replace_page_content", page=page, element_id=clouds, content="<p>Clear sky</p>")
        assert await lines(call, page) == ["Log", "First light", "Clear sky"]

        row = {"Name": "Finder", "Aperture in mm": 50}
        for _ in range(2):
            await applied(call, "coda_upsert_rows", table=SCOPES, rows=[row], key_columns=["Name"])
        finders = (await call("coda_list_rows", table=SCOPES, column="Name", value="Finder"))["items"]
        assert len(finders) == 1, "the second time it was updated and not added"

        elements = (await call("coda_list_page_elements", page=page))["items"]
        first = next(each["id"] for each in elements if each["text"] == "First light")
        await applied(call, "coda_delete_page_content", page=page, element_ids=[first])
        assert await lines(call, page) == ["Log", "Clear sky"]

        elements = (await call("coda_list_page_elements", page=page))["items"]
        await applied(call, "coda_delete_page_content", page=page, all=True)
        left = (await call("coda_list_page_elements", page=page))["items"]
        assert [(each["id"], each["text"]) for each in left] == [(elements[0]["id"], "")]

        await applied(call, "coda_replace_page_content", page=page, content="<p>New moon</p>", confirm_overwrite=True)
        assert await lines(call, page) == ["New moon"]

        await applied(call, "coda_delete_rows", table=SCOPES, row_ids=[finders[0]["id"]])
        await applied(call, "coda_delete_page", page=page)
        gone = await client.call_tool("coda_get_page", {"doc_id": DOC, "page": page})
        assert gone.is_error


def caller(client: Client) -> Any:
    async def call(tool: str, **arguments: Any) -> dict[str, Any]:
        answer = await client.call_tool(tool, {"doc_id": DOC, **arguments})
        assert not answer.is_error, answer.content
        content: dict[str, Any] = answer.structured_content or {}
        return content

    return call


async def applied(call: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    """A change that Coda has carried out when the tool answers."""
    answer: dict[str, Any] = await call(tool, **arguments)
    assert answer["status"] == "applied", answer
    return answer


async def lines(call: Any, page: str) -> list[str]:
    """What stands on a page."""
    text: str = (await call("coda_read_page", page=page, format="text"))["text"]
    return text.rstrip("\n").split("\n")
