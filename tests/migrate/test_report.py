"""The report: who still comes with tokens of Stytch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stytch_mcp_kit.migrate.report import Call, calls, summarize

STYTCH, WORKOS = "https://quiet-lake-1234.customers.stytch.com", "https://calm-river-12.authkit.app"


def line(day: int, subject: str, issuer: str, **changes: Any) -> str:
    entry = {
        "audit": "tool_call",
        "time": f"2027-01-{day:02}T12:00:00.000Z",
        "subject": subject,
        "issuer": issuer,
        "client_id": "claude",
        "tool": "search",
        **changes,
    }
    return json.dumps(entry) + "\n"


LOG = [
    line(1, "user-1", STYTCH),
    line(2, "user-1", STYTCH),
    line(2, "user-2", STYTCH),
    line(3, "user-3", STYTCH),
    line(4, "user-1", WORKOS),
    line(5, "user-2", STYTCH, client_id="cursor"),
    line(6, "user_01NEW", WORKOS),
    line(6, "token:ci", "bearer-token"),
]


def test_calls_by_issuer() -> None:
    shares = summarize(calls(LOG)).shares
    assert {issuer: (share.calls, len(share.people), len(share.connections)) for issuer, share in shares.items()} == {
        STYTCH: (5, 3, 4),
        WORKOS: (2, 2, 2),
        "bearer-token": (1, 1, 1),
    }
    assert shares[STYTCH].last == "2027-01-05T12:00:00.000Z"


def test_who_has_not_moved_and_who_is_half_way_the_latest_first() -> None:
    found = summarize(calls(LOG))
    assert list(found.not_yet(STYTCH, WORKOS)) == ["user-2", "user-3"]
    assert found.half_way(STYTCH, WORKOS) == {"user-1": "2027-01-02T12:00:00.000Z"}


def test_only_from_a_moment_on() -> None:
    found = summarize(calls(LOG, "2027-01-04"))
    assert list(found.not_yet(STYTCH, WORKOS)) == ["user-2"]
    assert found.half_way(STYTCH, WORKOS) == {}


@pytest.mark.parametrize(
    "other",
    [
        "",
        "tool_call",
        '"tool_call"',
        "[]",
        '{"audit": "tool_call"',
        json.dumps({"audit": "refusal", "reason": "tool_call"}),
        line(1, "user-1", STYTCH, time=None),
        line(1, "user-1", STYTCH, client_id=7),
        "[" * 100_000 + "tool_call",
    ],
    ids=lambda text: text[:30],
)
def test_lines_that_are_no_tool_call_do_not_count(other: str) -> None:
    assert list(calls([other, LOG[0]])) == [Call("2027-01-01T12:00:00.000Z", "user-1", STYTCH, "claude")]


def test_what_stands_before_a_line_does_not_matter() -> None:
    assert list(calls([f"notes-1  | {line}" for line in LOG])) == list(calls(LOG))
