"""The command line, as a person types it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stytch_mcp.cli import ServerModule, cli

GOOD = {
    "PUBLIC_URL": "https://notes.example.com",
    "STYTCH_DOMAIN": "https://quiet-lake-1234.customers.stytch.com",
    "STYTCH_PROJECT_ID": "project-live-11111111-1111-4111-8111-111111111111",
    "STYTCH_SECRET": "secret-live-value",
    "SIGNIN_SECRET": "s" * 32,
    "ALLOWED_USERS": "*",
}


def run(*arguments: str, env: dict[str, str] | None = None, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, arguments, obj=ServerModule("probe", "tests.probe"), env=env, input=stdin)


def test_a_new_token_is_printed_once_with_the_setting_to_add() -> None:
    result = run("token", "new", "ci", "--scopes", "notes:read notes:write", "--until", "2999-12-31")
    assert result.exit_code == 0
    (token,) = re.findall(r"^  (mcp_\S{43})$", result.output, re.MULTILINE)
    digest = hashlib.sha256(token.encode()).hexdigest()
    assert f"  BEARER_TOKENS=ci|{digest}|notes:read notes:write|2999-12-31\n" in result.output
    assert result.output.count(token) == 1


def test_two_tokens_are_never_the_same() -> None:
    assert run("token", "new", "a").output != run("token", "new", "a").output


def test_a_token_that_exists_is_hashed_and_not_shown() -> None:
    result = run("token", "hash", "claude-code", "--scopes", "notes:read", stdin="the-value-it-has\n")
    assert result.exit_code == 0
    digest = hashlib.sha256(b"the-value-it-has").hexdigest()
    assert f"BEARER_TOKENS=claude-code|{digest}|notes:read\n" in result.output
    assert "the-value-it-has" not in result.output


BAD_TOKENS = {
    "no value": (["hash", "ci"], "", "no token on standard input"),
    "blank inside": (["hash", "ci"], "two words", "a bearer token has only letters"),
    "bad name": (["new", "my laptop"], "", "a name has up to 64 letters"),
    "bar in it": (["new", "a|b"], "", "an entry is name|sha256|scopes"),
    "bad scope": (["new", "ci", "--scopes", 'no"quote'], "", "is not a scope"),
    "bad date": (["new", "ci", "--until", "tomorrow"], "", "is not a date like"),
    "past": (["new", "ci", "--until", "2001-01-01"], "", "2001-01-01 is past"),
}


@pytest.mark.parametrize("case", BAD_TOKENS)
def test_what_would_not_work_is_refused_before_a_token_is_shown(case: str) -> None:
    arguments, stdin, words = BAD_TOKENS[case]
    result = run("token", *arguments, stdin=stdin)
    assert result.exit_code == 1
    assert words in result.output
    assert "mcp_" not in result.output


def test_tokens_are_listed_by_name_and_never_by_digest() -> None:
    digest = "a" * 64
    tokens = f"ci|{digest}|notes:read|2999-12-31, old|{'b' * 64}||2001-01-01"
    result = run("token", "list", "--env-file", os.devnull, env={**GOOD, "BEARER_TOKENS": tokens})
    assert result.exit_code == 0
    assert re.search(r"ci +notes:read +2999-12-31", result.output)
    assert "2001-01-01 (ended)" in result.output
    assert digest not in result.output


def test_no_tokens_say_how_to_make_one() -> None:
    assert "probe token new NAME" in run("token", "list", "--env-file", os.devnull, env=GOOD).output


def test_settings_that_are_wrong_are_reported_together_and_nothing_starts() -> None:
    wrong = {"PUBLIC_URL": "weather.example.com", "STYTCH_DOMAIN": f"{GOOD['STYTCH_DOMAIN']}/", "PORT": "http"}
    result = run("serve", "--env-file", os.devnull, env=wrong)
    assert result.exit_code == 2
    assert "probe cannot start: 4 settings need attention." in result.output
    for name in ("PUBLIC_URL", "PORT", "STYTCH_PROJECT_ID", "STYTCH_DOMAIN"):
        assert re.search(rf"^  {name} ", result.output, re.MULTILINE)
    assert "Traceback" not in result.output


def test_settings_are_read_from_a_file_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in GOOD.items()), encoding="utf-8")
    assert run("token", "list", "--env-file", str(file)).exit_code == 0
    assert run("token", "list", "--env-file", str(file), env={"PUBLIC_URL": "nowhere"}).exit_code == 2


def test_a_file_that_is_named_and_not_there_is_an_error(tmp_path: Path) -> None:
    result = run("token", "list", "--env-file", str(tmp_path / "missing.env"), env=GOOD)
    assert result.exit_code == 2
    assert "missing.env does not exist" in result.output


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_bytes(b"PUBLIC_URL=\xff\xfe")
    result = run("token", "list", "--env-file", str(file), env=GOOD)
    assert result.exit_code == 2
    assert "is not UTF-8 text" in result.output


WRONG = {
    "password in a URL": ({"OIDC_ISSUER": "https://ada:hunter2@idp.example.com"}, "OIDC_ISSUER"),
    "host that is a name": ({"HOST": "not-a-host"}, "HOST"),
    "credential that no header carries": ({"STYTCH_SECRET": "ö-hunter2"}, "STYTCH_SECRET"),
    "credential of two lines": ({"STYTCH_SECRET": "hunter2\nX: y"}, "STYTCH_SECRET"),
    "issuer named twice": ({"AUTH_ISSUERS": "stytch,stytch"}, "AUTH_ISSUERS"),
    "one issuer under two names": (
        {"AUTH_ISSUERS": "stytch,oidc", "OIDC_ISSUER": GOOD["STYTCH_DOMAIN"]},
        "OIDC_ISSUER",
    ),
    "two tokens of one name": ({"BEARER_TOKENS": f"ci|{'a' * 64}|, ci|{'b' * 64}|"}, "BEARER_TOKENS"),
    "one token under two names": ({"BEARER_TOKENS": f"a|{'a' * 64}|, b|{'a' * 64}|"}, "BEARER_TOKENS"),
    "a mode of a later version": ({"AUTH_MODE": "mutual-tls"}, "AUTH_MODE"),
}


@pytest.mark.parametrize("case", WRONG)
def test_settings_that_would_do_harm_are_refused_without_saying_secrets(case: str) -> None:
    changes, name = WRONG[case]
    result = run("serve", "--env-file", os.devnull, env={**GOOD, **changes})
    assert result.exit_code == 2
    assert re.search(rf"^  {name} ", result.output, re.MULTILINE)
    assert "hunter2" not in result.output


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_in_the_log_has_no_values(log_format: str) -> None:
    code = (
        "import structlog; from stytch_mcp import logs\n"
        f"logs.configure({log_format!r})\n"
        "def fail(token):\n    raise RuntimeError('out of order')\n"
        "try: fail('mcp_' + 'value' * 3)\n"
        "except RuntimeError: structlog.get_logger().exception('failed')"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert "out of order" in done.stderr
    assert "valuevalue" not in done.stderr


def test_help_names_every_setting() -> None:
    from tests.probe import SERVER

    shown = run("serve", "--help").output
    for name in SERVER.settings.model_fields:
        assert re.search(rf"^  {name.upper()} ", shown, re.MULTILINE), name


def test_health_says_which_address_does_not_answer() -> None:
    result = run("health", "--env-file", os.devnull, env={**GOOD, "PORT": "9"})
    assert result.exit_code == 1
    assert "http://127.0.0.1:9/ready does not answer" in result.output


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_health_with_a_port_that_is_none(port: str) -> None:
    result = run("health", "--env-file", os.devnull, env={"PORT": port})
    assert result.exit_code == 1
    assert "HOST or PORT cannot be used" in result.output


@pytest.mark.parametrize("command", [["--help"], ["token", "new", "ci"], ["health", "--env-file", os.devnull]])
def test_small_commands_do_not_load_the_server(command: list[str]) -> None:
    """The token commands and help start fast, and `health` runs beside the server; the SDKs are for serving."""
    code = (
        "import sys; from stytch_mcp import cli\n"
        "try: cli.main('probe', 'tests.probe')\n"
        "except SystemExit: pass\n"
        "assert not {'mcp', 'stytch', 'starlette'} & set(sys.modules), sorted(sys.modules)\n"
        "assert 'health' not in sys.argv or 'httpx' not in sys.modules"
    )
    environment = {"PYTHONPATH": f"{Path(__file__).parents[1] / 'src'}:{Path(__file__).parents[1]}"}
    subprocess.run([sys.executable, "-c", code, *command], env=environment, check=True, capture_output=True)
