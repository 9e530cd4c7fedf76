"""`mau`: people of a month, from whatever a log has become by then."""

from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stytch_mcp.cli import ServerModule, cli


def line(event: str, subject: str | None, time: str, **more: object) -> str:
    entry = {"audit": event, "time": time, "request_id": "0" * 16, "subject": subject, **more}
    return json.dumps({name: value for name, value in entry.items() if value is not None})


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, ["mau", *arguments], obj=ServerModule("probe", "tests.probe"), input=stdin)


def rows(result: Result) -> list[list[str]]:
    return [words for words in map(str.split, result.stdout.splitlines()) if words and words[0][:2] == "20"]


LOG = [
    line("log_in", "user-live-1", "2026-10-31T23:59:59.999+00:00", method="email-code"),
    line("tool_call", "user-live-1", "2026-11-01T00:00:00.000+00:00", tool="search", outcome="ok"),
    line("tool_call", "user-live-1", "2026-11-02T08:00:00.000+00:00", tool="search", outcome="error"),
    line("consent", "user-live-2", "2026-11-03T08:00:00.000+00:00"),
    # Half past midnight where it was written is still October in UTC.
    line("tool_call", "user-live-3", "2026-11-01T00:30:00.000+02:00"),
    # Not people, or not let in.
    line("tool_call", "token:ci", "2026-11-03T08:00:00.000+00:00"),
    line("tool_call", "e367.access", "2026-11-03T08:00:00.000+00:00", client_id="e367.access"),
    line("refusal", "user-live-9", "2026-11-03T08:00:00.000+00:00", reason="not_allowed"),
    line("refusal", None, "2026-11-03T08:00:00.000+00:00", reason="wrong_code"),
    # What else is in a log.
    '{"event": "refused", "reason": "expired", "timestamp": "2026-11-03T08:00:00Z", "subject": "user-live-8"}',
    "Traceback (most recent call last):",
    '{"audit": "tool_call", "time": "yesterday", "subject": "user-live-7"}',
    '{"audit": "tool_call", "time": "2026-11-03T08:00:00+00:00", "subject": ["user-live-6"]}',
    "[1, 2",
    '{"half": ',
    "",
]


def test_people_by_month() -> None:
    result = run("-", stdin="\n".join(LOG))
    assert result.exit_code == 0
    assert rows(result) == [["2026-10", "2", "0.0%"], ["2026-11", "2", "0.0%"]]
    assert result.stderr == ""


def test_what_compose_puts_in_front_does_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "log"
    lines = [f"server-{number % 3 + 1}  | {each}\n" for number, each in enumerate(LOG)]
    file.write_text("".join(lines), encoding="utf-8")
    assert rows(run(str(file))) == rows(run("-", stdin="\n".join(LOG)))


@pytest.mark.parametrize(("people", "warned"), [(7, False), (8, True), (10, True), (12, True)])
def test_a_warning_at_80_per_cent(people: int, warned: bool) -> None:
    log = "\n".join(line("tool_call", f"user-{number}", "2026-11-03T08:00:00+00:00") for number in range(people))
    result = run("-", "--limit", "10", stdin=log)
    assert result.exit_code == 0
    assert ("Warning: 2026-11 is at" in result.stderr) is warned


def test_the_limit_is_ten_thousand_unless_said_otherwise() -> None:
    log = "\n".join(line("tool_call", f"user-{number}", "2026-11-03T08:00:00+00:00") for number in range(8000))
    assert "Warning: 2026-11 is at 80.0% of 10000." in run("-", stdin=log).stderr
    assert run("-", "--limit", "0", stdin=log).exit_code == 2


def test_a_file_that_is_no_log_is_not_counted_as_nobody(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"\xff\xfe\nnothing\n")
    result = run(str(file))
    assert result.exit_code == 1
    assert "no line of the audit log" in result.stderr
    assert run(str(tmp_path / "absent")).exit_code == 2


if importlib.util.find_spec("stytch_mcp.audit"):

    def test_it_reads_what_the_audit_log_writes(caplog: pytest.LogCaptureFixture) -> None:
        audit = importlib.import_module("stytch_mcp.audit")
        audit.logger.addHandler(caplog.handler)
        with caplog.at_level(logging.INFO, audit.logger.name):
            audit.record("tool_call", "0" * 16, subject="user-live-1", tool="search", outcome="ok")
            audit.record("refusal", "0" * 16, subject="user-live-2", reason="not_allowed")
        audit.logger.removeHandler(caplog.handler)
        ((_, people, _),) = rows(run("-", stdin="\n".join(caplog.messages)))
        assert people == "1"
