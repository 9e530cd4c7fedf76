"""Changes are awaited, told about, and seen by whoever reads next; nothing that may have happened is done twice."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.own.cases import DOC, HOME, ROW, SCOPES, SESSIONS, TARGETS
from tests.own.rig import MODES, Rig
from tests.own.test_every_tool import error_of
from tests.sdk_client import Mode

pytestmark = pytest.mark.anyio

RENAME = {"doc_id": DOC, "page": HOME, "name": "Good evening"}
ROWS = {"doc_id": DOC, "table": SCOPES, "rows": [{"Name": "Finder"}]}


@pytest.mark.parametrize("mode", MODES)
async def test_a_change_is_awaited_with_progress(rig: Rig, mode: Mode) -> None:
    seen: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        assert message is not None
        assert "accepted" in message
        seen.append(progress)

    async with rig.client(mode) as client:
        answer = await client.call_tool("coda_update_page", RENAME, progress_callback=note)
    assert answer.structured_content is not None
    assert answer.structured_content["status"] == "applied"
    assert len(seen) >= 3
    assert seen == sorted(set(seen))


async def test_a_change_that_takes_too_long_is_pending_and_not_failed(rig: Rig) -> None:
    rig.control("settings", edit_seconds=100)
    began = rig.clock.seconds
    async with rig.client() as client:
        answer = (await client.call_tool("coda_update_page", RENAME)).structured_content
        assert answer is not None
        assert answer["status"] == "pending"
        assert rig.clock.seconds - began <= 55
        status = {"request_id": answer["request_id"], "wait_seconds": 50}
        later = (await client.call_tool("coda_get_mutation_status", status)).structured_content
        if later and later["status"] == "pending":
            later = (await client.call_tool("coda_get_mutation_status", status)).structured_content
    assert later is not None
    assert later["status"] == "applied"


async def test_a_warning_is_passed_on_word_for_word(rig: Rig) -> None:
    rig.control("fates", next=[{"warning": "Initial page HTML was invalid."}])
    async with rig.client() as client:
        answer = (await client.call_tool("coda_update_page", RENAME)).structured_content
    assert answer is not None
    assert (answer["status"], answer["warning"]) == ("applied_with_warning", "Initial page HTML was invalid.")


async def test_a_change_that_coda_does_not_know_yet_is_waited_for(rig: Rig) -> None:
    rig.control("settings", status_404_seconds=10)
    async with rig.client() as client:
        answer = (await client.call_tool("coda_update_page", RENAME)).structured_content
    assert answer is not None
    assert answer["status"] == "applied"


async def test_that_coda_cannot_be_asked_does_not_undo_a_change(rig: Rig) -> None:
    rig.control("faults", **{"GET */mutationStatus/*": {"status": 503}})
    async with rig.client() as client:
        answer = (await client.call_tool("coda_update_page", RENAME)).structured_content
    assert answer is not None
    assert answer["status"] == "pending"
    assert answer["request_id"]


async def test_a_token_that_may_not_ask_has_written_all_the_same(rig: Rig) -> None:
    rig.fault("GET */mutationStatus/*", status=403)
    async with rig.client() as client:
        answer = (await client.call_tool("coda_update_page", RENAME)).structured_content
    assert answer is not None
    assert answer["status"] == "pending"
    assert "could not be asked" in answer["warning"]


async def test_reading_waits_for_what_was_written_here(rig: Rig) -> None:
    async with rig.client() as client:
        pending = (await client.call_tool("coda_update_page", {**RENAME, "wait": False})).structured_content
        assert pending is not None
        assert pending["status"] == "pending"
        page = (await client.call_tool("coda_get_page", {"doc_id": DOC, "page": HOME})).structured_content
    assert page is not None
    assert page["name"] == "Good evening"


async def test_without_that_it_would_read_what_was_there_before(rig: Rig) -> None:
    """The proof that the test above can fail: another program's change is not waited for."""
    rig.coda("PUT", f"docs/{DOC}/pages/{HOME}", {"name": "Good evening"})
    async with rig.client() as client:
        page = (await client.call_tool("coda_get_page", {"doc_id": DOC, "page": HOME})).structured_content
    assert page is not None
    assert page["name"] == "Welcome"


async def test_reading_does_not_wait_for_ever(rig: Rig) -> None:
    """Nor again and again for what does not come."""
    rig.control("fates", next=[{"stuck": True}])
    waited = []
    async with rig.client() as client:
        await client.call_tool("coda_update_page", {**RENAME, "wait": False})
        for _ in range(6):
            began = rig.clock.seconds
            assert not (await client.call_tool("coda_get_page", {"doc_id": DOC, "page": HOME})).is_error
            waited.append(rig.clock.seconds - began)
    assert 30 <= waited[0] <= 50
    assert sum(waited) <= 170
    assert waited[-1] == 0


async def test_a_wait_ends_when_the_caller_is_gone(rig: Rig) -> None:
    """Closing the stream cancels the tool, and with it the asking."""
    rig.clock.held = True
    try:
        async with rig.client() as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "coda_update_page", RENAME)
            await rig.clock.until(sleeping=True)
            tasks.cancel_scope.cancel()
        await rig.clock.until(sleeping=False)
    finally:
        rig.clock.held = False
    assert [request.method for request in rig.wire.sent] == ["PUT"]


UNSAFE: dict[str, dict[str, Any]] = {
    "coda_upsert_rows": ROWS,
    "coda_append_page_content": {"doc_id": DOC, "page": HOME, "content": "Once"},
    "coda_push_button": {"doc_id": DOC, "table": SESSIONS, "row": "i-ses0000001", "column": "c-sesPublish"},
    "coda_trigger_automation": {"doc_id": DOC, "rule_id": "grid-auto-obsReport1"},
    "coda_create_page": {"doc_id": DOC, "name": "Once"},
    "coda_create_doc": {"title": "Once"},
    "coda_add_permission": {"doc_id": DOC, "access": "comment", "principal_type": "anyone"},
    "coda_create_folder": {"name": "Once", "workspace_id": "ws-OwlHill01"},
}
SAFE: dict[str, dict[str, Any]] = {
    "coda_upsert_rows": {**ROWS, "key_columns": ["Name"]},
    "coda_update_row": {"doc_id": DOC, "table": TARGETS, "row": ROW, "cells": {"Magnitude": 1}},
    "coda_delete_rows": {"doc_id": DOC, "table": TARGETS, "row_ids": [ROW]},
    "coda_update_page": RENAME,
    "coda_delete_doc": {"doc_id": DOC},
}
NOT_A_READ = ("POST", "PUT", "DELETE", "PATCH")


def sent(rig: Rig) -> int:
    return sum(request.method in NOT_A_READ for request in rig.wire.sent)


@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": "after"}, {"status": 502, "body": "<html>"}], ids=str)
@pytest.mark.parametrize("name", UNSAFE)
async def test_what_must_not_happen_twice_is_sent_once(rig: Rig, name: str, fault: dict[str, Any]) -> None:
    rig.control("faults", **{f"{method} *": fault for method in NOT_A_READ})
    async with rig.client() as client:
        error = error_of(await client.call_tool(name, UNSAFE[name]))
    assert sent(rig) == 1
    assert "unknown" in error["hint"]


@pytest.mark.parametrize("name", SAFE)
async def test_what_may_happen_twice_is_tried_again(rig: Rig, name: str) -> None:
    rig.control("faults", **{f"{method} *": {"drop": "after", "times": 2} for method in NOT_A_READ})
    async with rig.client() as client:
        answer = await client.call_tool(name, SAFE[name])
    assert not answer.is_error, answer.content
    assert sent(rig) >= 2


async def test_what_is_gone_after_an_unanswered_delete_was_deleted(rig: Rig) -> None:
    rig.fault("DELETE *", drop="after", times=1)
    rig.wire.before(2, "DELETE", lambda: rig.fault("DELETE *", status=404))
    async with rig.client() as client:
        answer = await client.call_tool("coda_delete_doc", {"doc_id": DOC})
    assert not answer.is_error, answer.content
    rig.control("clock", advance_seconds=60)
    assert rig.world.docs[DOC].deleted


async def test_no_cookie_is_kept(rig: Rig) -> None:
    """One caller's session would come along with the next one's request."""
    rig.fault("*/whoami", status=503, headers={"set-cookie": "session=of-somebody; Path=/"}, times=1)
    async with rig.client() as client:
        assert not (await client.call_tool("coda_whoami")).is_error
    assert len(rig.wire.sent) == 2
    assert "cookie" not in rig.wire.sent[1].headers


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(rig: Rig, status: int) -> None:
    rig.fault("*/whoami", status=status, times=1, headers={"retry-after": "17"})
    async with rig.client() as client:
        assert not (await client.call_tool("coda_whoami")).is_error
    assert sum(rig.clock.slept) == pytest.approx(17, abs=0.5)


async def test_a_limit_that_does_not_end_is_told_after_a_few_tries(rig: Rig) -> None:
    rig.control("faults", **{"*/whoami": {"status": 429}})
    async with rig.client() as client:
        error = error_of(await client.call_tool("coda_whoami"))
    assert (error["error"], error["status_code"], error["retryable"]) == ("rate_limited", 429, True)
    assert 2 <= len(rig.wire.sent) <= 4
