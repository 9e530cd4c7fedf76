"""Reading pages in windows, exports one at a time and only from Coda's hosts, and the guard before a page goes."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from mcp.client.client import Client

from coda_mcp.upstream.text import LongText
from tests.own.cases import DOC, GUIDE, HANDBOOK, HOME
from tests.own.rig import CODA_TOKEN, Rig
from tests.own.test_every_tool import error_of

pytestmark = pytest.mark.anyio

PAGE = {"doc_id": DOC, "page": HOME}
LONG_LINES = 2000


async def read(client: Client, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool("coda_read_page", {**PAGE, **arguments})
    assert not answer.is_error, answer.content
    content: dict[str, Any] = answer.structured_content or {}
    return content


@pytest.mark.parametrize("form", ["markdown", "html", "text"])
async def test_a_long_page_comes_in_windows_that_make_up_the_whole(rig: Rig, form: str) -> None:
    rig.control("lines", doc=DOC, page=HOME, count=LONG_LINES, length=60)
    parts: list[str] = []
    start: int | None = 0
    async with rig.client() as client:
        while start is not None:
            part = await read(client, format=form, start=start, max_chars=25_000)
            assert part["start"] == start
            assert 0 < len(part["text"]) <= 25_000
            parts.append(part["text"])
            start = part.get("next_start")
    whole = "".join(parts)
    assert len(whole) == part["total_chars"]
    assert len(parts) > 4
    for number in range(1, LONG_LINES + 1):
        assert f"Line {number} ." in whole
    assert not [part for part in parts[:-1] if part[-1] not in "\n>"], "each window ends where a block does"


async def test_the_windows_of_one_page_cost_one_export(rig: Rig) -> None:
    rig.control("lines", doc=DOC, page=HOME, count=LONG_LINES, length=60)
    async with rig.client() as client:
        first = await read(client)
        await read(client, start=first["next_start"])
    assert [request.method for request in rig.wire.sent].count("POST") == 1


async def test_a_page_that_was_changed_is_exported_anew(rig: Rig) -> None:
    async with rig.client() as client:
        await read(client)
        await client.call_tool("coda_append_page_content", {**PAGE, "content": "<p>Meteor!</p>"})
        assert "Meteor!" in (await read(client))["text"]


async def test_a_window_after_the_end_is_empty(rig: Rig) -> None:
    async with rig.client() as client:
        part = await read(client, start=1_000_000)
    assert part["text"] == ""
    assert "next_start" not in part


async def test_two_exports_of_one_page_do_not_meet(rig: Rig) -> None:
    """At Coda both links would lead to the one that was begun last."""
    texts: dict[str, str] = {}

    async def one(client: Client, form: str) -> None:
        texts[form] = (await read(client, format=form))["text"]

    async with rig.client() as client, anyio.create_task_group() as tasks:
        for form in ("markdown", "html"):
            tasks.start_soon(one, client, form)
    assert "<p>" in texts["html"]
    assert "<p>" not in texts["markdown"]


async def test_an_export_that_was_started_is_not_overrun(rig: Rig) -> None:
    async with rig.client() as client:
        started = (await client.call_tool("coda_start_page_export", {**PAGE, "format": "html"})).structured_content
        again = (await client.call_tool("coda_start_page_export", {**PAGE, "format": "html"})).structured_content
        assert started == again
        assert "<p>" not in (await read(client, format="markdown"))["text"]
    posts = [request for request in rig.wire.sent if request.method == "POST"]
    statuses = [request for request in rig.wire.sent if f"/export/{started['export_id']}" in str(request.url)]
    assert len(posts) == 2
    assert statuses, "the running one was waited for"


async def test_the_download_is_without_the_token(rig: Rig) -> None:
    async with rig.client() as client:
        await read(client)
    (download,) = [request for request in rig.wire.sent if request.url.path.startswith("/blobs/")]
    assert "authorization" not in download.headers
    assert "cookie" not in download.headers
    assert CODA_TOKEN not in str(download.url)


HOSTILE = [
    "http://169.254.169.254",
    "https://169.254.169.254",
    "https://evil.example",
    "https://coda.io.evil.example",
    "https://evilcoda.io",
    "http://coda.io",
    "https://coda.io:8443",
    "https://coda.io@evil.example",
    "https://[::1]",
    "https://ec2-1-2-3-4.compute.amazonaws.com",
    "https://s3.amazonaws.com.evil.example",
    "ftp://coda.io",
    "file://",
]


@pytest.mark.parametrize("origin", HOSTILE)
async def test_a_link_to_another_host_is_not_followed(rig: Rig, origin: str) -> None:
    rig.control("settings", blob_origin=origin)
    async with rig.client() as client:
        error = error_of(await client.call_tool("coda_read_page", PAGE))
    assert "not Coda's" in error["hint"]
    assert not [request for request in rig.wire.sent if "/blobs/" in str(request.url)]


async def test_a_redirect_of_the_download_is_not_followed(rig: Rig) -> None:
    fault = {"status": 302, "headers": {"location": f"{rig.coda_url}/apis/v1/whoami"}}
    rig.control("faults", **{"GET /blobs/*": fault})
    async with rig.client() as client:
        error_of(await client.call_tool("coda_read_page", PAGE))
    assert not [request for request in rig.wire.sent if request.url.path.endswith("/whoami")]


async def test_a_link_that_is_over_is_asked_for_again(rig: Rig) -> None:
    rig.control("faults", **{"GET /blobs/*": {"status": 403, "body": "<?xml?><Error/>", "times": 1}})
    async with rig.client() as client:
        assert "Everything that was" in (await read(client))["text"]


async def test_an_answer_that_is_an_error_in_xml_is_no_page(rig: Rig) -> None:
    body = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code></Error>'
    rig.control("faults", **{"GET /blobs/*": {"status": 200, "body": body, "content_type": "application/xml"}})
    async with rig.client() as client:
        error = error_of(await client.call_tool("coda_read_page", PAGE))
    assert error["retryable"]


async def test_an_export_may_not_be_found_at_first(rig: Rig) -> None:
    rig.control("settings", export_404_seconds=8)
    async with rig.client() as client:
        assert (await read(client))["text"]


async def test_an_export_that_may_not_be_seen_is_not_waited_for(rig: Rig) -> None:
    rig.fault("GET */export/*", status=403)
    async with rig.client() as client:
        assert error_of(await client.call_tool("coda_read_page", PAGE))["error"] == "forbidden"
    assert sum("/export/" in request.url.path for request in rig.wire.sent) == 1


async def test_an_export_that_fails_says_why(rig: Rig) -> None:
    rig.control("fates", next=[{"export_error": "The page is too odd."}])
    async with rig.client() as client:
        error = error_of(await client.call_tool("coda_read_page", PAGE))
    assert (error["error"], error["coda_message"]) == ("export_failed", "The page is too odd.")


@pytest.mark.parametrize("page", ["canvas-hndSync01", "canvas-hndSheet1"])
async def test_a_page_without_content_of_its_own_is_not_exported(rig: Rig, page: str) -> None:
    async with rig.client() as client:
        error = error_of(await client.call_tool("coda_read_page", {"doc_id": HANDBOOK, "page": page}))
    assert error["error"] == "bad_argument"
    assert [request.method for request in rig.wire.sent] == ["GET"]


async def test_a_table_is_made_and_its_id_found(rig: Rig) -> None:
    columns, rows = ["Lens & co", "<mm>"], [["Wide", 24], ["Long"], ["{{ 7 * 7 }}", None]]
    async with rig.client() as client:
        made = await client.call_tool("coda_create_table", {**PAGE, "columns": columns, "rows": rows, "name": "Lenses"})
        assert made.structured_content is not None
        table = {"doc_id": DOC, "table": made.structured_content["id"]}
        described = (await client.call_tool("coda_describe_table", {**table, "sample_rows": 3})).structured_content
    assert described is not None
    assert [column["name"] for column in described["columns"]] == columns
    values = [row["values"] for row in described["sample_rows"]]
    assert [value["Lens & co"] for value in values] == ["Wide", "Long", "{{ 7 * 7 }}"]


async def test_a_copy_says_what_it_lost(rig: Rig) -> None:
    async with rig.client() as client:
        copied = await client.call_tool("coda_duplicate_page", {"doc_id": DOC, "page": GUIDE, "new_name": "Copy"})
    assert copied.structured_content is not None
    assert "do not" in copied.structured_content["message"]


@pytest.mark.parametrize("text", ["", "a", "é" * 200_000, "😀\n" * 70_000, "<p>x</p>" * 30_000, "x" * 300_000])
def test_any_text_comes_back_whole_whatever_the_pieces(text: str) -> None:
    content, kept = text.encode(), LongText()
    for offset in range(0, len(content), 9_973):
        kept.add(content[offset : offset + 9_973])
    kept.close()
    assert kept.characters == len(text)
    assert kept.whole() == text
    parts, start = [], 0
    while True:
        part = kept.window(start, 50_000)
        parts.append(part.text)
        if part.next_start is None:
            break
        assert part.next_start > start
        start = part.next_start
    assert "".join(parts) == text
