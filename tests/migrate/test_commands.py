"""`migrate`, as a person types it: what is missing or wrong is said in a sentence with the way out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stytch_mcp.cli import ServerModule, cli
from tests.fake_issuer import DOMAIN, PROJECT_ID, SECRET
from tests.migrate.test_report import LOG, STYTCH, WORKOS

GOOD = {
    "PUBLIC_URL": "http://127.0.0.1:8000",
    "ALLOWED_USERS": "*",
    "STYTCH_DOMAIN": DOMAIN,
    "STYTCH_PROJECT_ID": PROJECT_ID,
    "STYTCH_SECRET": SECRET,
    "WORKOS_DOMAIN": WORKOS,
    "WORKOS_API_KEY": "sk_test_1",
    "COLUMNS": "200",
}
NOWHERE = {**GOOD, "STYTCH_DOMAIN": "http://127.0.0.1:9", "WORKOS_DOMAIN": "http://127.0.0.1:9"}
USER = {"user_id": "user-live-1", "emails": [{"email": "ada@example.com", "verified": True}]}


def migrate(*arguments: str | Path, env: dict[str, str] | None = None, stdin: str = "") -> Result:
    given = GOOD if env is None else env
    absent: dict[str, str | None] = dict.fromkeys(set(GOOD) - set(given))
    words = ["migrate", *map(str, arguments), "--env-file", os.devnull]
    server = ServerModule("probe", "tests.probe")
    return CliRunner().invoke(cli, words, obj=server, env={**absent, **given}, input=stdin, catch_exceptions=False)


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(json.dumps(USER) + "\n")
    return path


def test_the_commands_are_there_and_explained() -> None:
    shown = CliRunner().invoke(cli, ["--help"], obj=ServerModule("probe", "tests.probe")).output
    assert "migrate" in shown
    shown = CliRunner().invoke(cli, ["migrate", "--help"], obj=ServerModule("probe", "tests.probe")).output
    for command in ("export-users", "import-users", "verify", "report"):
        assert command in shown


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["export-users", "FILE"], "STYTCH_SECRET"),
        (["import-users", "USERS"], "WORKOS_API_KEY"),
        (["verify", "USERS"], "WORKOS_API_KEY"),
        (["report", "-"], "WORKOS_DOMAIN"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_setting_that_a_command_needs_is_named(
    tmp_path: Path, users: Path, arguments: list[str], absent: str
) -> None:
    names = {"FILE": str(tmp_path / "new"), "USERS": str(users)}
    given = {name: value for name, value in GOOD.items() if name != absent}
    result = migrate(*(names.get(word, word) for word in arguments), env=given)
    assert result.exit_code == 1
    assert f"  {absent}   " in result.output
    assert set(tmp_path.iterdir()) == {users}, "nothing was begun"


def test_settings_that_no_server_could_use_are_reported_as_ever() -> None:
    result = migrate("report", "-", env={**GOOD, "WORKOS_DOMAIN": "calm-river-12.authkit.app"})
    assert result.exit_code == 2
    assert "Give the scheme" in result.output


@pytest.mark.parametrize("command", ["export-users", "import-users", "verify"])
def test_a_service_that_is_away_is_one_sentence(tmp_path: Path, users: Path, command: str) -> None:
    file = tmp_path / "new" if command == "export-users" else users
    result = migrate(command, file, env=NOWHERE)
    assert result.exit_code == 1
    assert "cannot be reached: ConnectError." in result.output
    assert "un the same command" in result.output
    assert len(result.output.splitlines()) <= 6


def test_an_export_that_is_complete_is_left_alone(users: Path) -> None:
    before = users.read_bytes()
    result = migrate("export-users", users)
    assert (result.exit_code, users.read_bytes()) == (1, before)
    assert "is there and complete" in result.output


def test_an_export_that_is_not_complete_is_no_list_of_everybody(users: Path) -> None:
    users.with_name("users.resume").write_text('{"cursor": "100", "bytes": 5}')
    for command in ("import-users", "verify"):
        result = migrate(command, users)
        assert result.exit_code == 1
        assert f"run export-users {users} again" in result.output


@pytest.mark.parametrize("content", [b"nonsense\n", b"\xff\xfe", b"[]\n"])
def test_a_file_that_is_no_export(users: Path, content: bytes) -> None:
    users.write_bytes(content)
    result = migrate("import-users", users)
    assert result.exit_code == 1
    assert "Error: " in result.output


def test_somebody_to_leave_out_who_is_not_there_is_a_slip_of_the_pen(users: Path) -> None:
    result = migrate("import-users", users, "--leave-out", "user-live-2")
    assert (result.exit_code, "user-live-2" in result.output) == (1, True)


def test_where_nobody_can_write_nothing_is_begun(users: Path, tmp_path: Path) -> None:
    result = migrate("import-users", users, "--not-moved", tmp_path / "no" / "such" / "folder", env=NOWHERE)
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory." in result.output
    result = migrate("export-users", tmp_path / "no" / "users", env=NOWHERE)
    assert "cannot be written: No such file or directory." in result.output


@pytest.mark.parametrize(
    "arguments",
    [["--tokens", "USERS"], ["--login", "USERS"], ["--login", "--tokens"], []],
    ids=["file and tokens", "file and log-in", "log-in and tokens", "none"],
)
def test_verify_takes_a_file_or_log_ins_or_tokens(users: Path, arguments: list[str]) -> None:
    result = migrate("verify", *(str(users) if word == "USERS" else word for word in arguments))
    assert result.exit_code == 2
    assert "give one of FILE, --login and --tokens" in result.output


@pytest.mark.parametrize("stdin", ["", "one", "one two three"])
def test_verify_wants_two_tokens(stdin: str) -> None:
    result = migrate("verify", "--tokens", stdin=stdin)
    assert (result.exit_code, "two tokens are needed" in result.output) == (1, True)


def test_verify_says_why_the_server_would_refuse_a_token_and_never_the_token() -> None:
    result = migrate("verify", "--tokens", stdin="not-a-token another-one")
    assert result.exit_code == 1
    assert result.output.count("refused   malformed") == 2
    assert "not-a-token" not in result.output
    assert result.output.endswith("Not the same principal under both.\n")


# The report.


def test_the_report_as_a_person_reads_it(users: Path, tmp_path: Path) -> None:
    users.write_text(json.dumps({**USER, "user_id": "user-2"}) + "\n")
    (tmp_path / "log").write_text("".join(LOG))
    result = migrate("report", tmp_path / "log", "--users", users, env={**GOOD, "STYTCH_DOMAIN": STYTCH})
    assert result.exit_code == 0
    table, *groups = result.output.split("\n\n")
    assert [row.split()[:4] for row in table.splitlines()] == [
        ["issuer", "calls", "people", "connections"],
        ["stytch", "5", "3", "4"],
        ["workos", "2", "2", "2"],
        ["bearer-token", "1", "1", "1"],
    ]
    assert groups == [
        "Not moved yet: 2\n  2027-01-05T12:00:00.000Z  user-2  ada@example.com\n  2027-01-03T12:00:00.000Z  user-3",
        "Seen with tokens of both: 1\n  2027-01-02T12:00:00.000Z  user-1\n",
    ]


def test_the_report_for_a_script() -> None:
    given: dict[str, Any] = {"env": {**GOOD, "STYTCH_DOMAIN": STYTCH}, "stdin": "".join(LOG)}
    assert migrate("report", "-", "--ids", **given).output == "user-2\nuser-3\n"
    assert migrate("report", "-", "--ids", "--since", "2027-01-04", **given).output == "user-2\n"
    assert migrate("report", "-", "--ids", "--since", "yesterday", **given).exit_code == 2


def test_a_log_without_tool_calls_is_said_to_have_none() -> None:
    result = migrate("report", "-", stdin="Listening\n")
    assert "No tool calls in there" in result.output
