"""The command: what it prints, what it exits with, and that no secret is in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from click.testing import CliRunner, Result

from stytch_mcp_kit.check import command
from stytch_mcp_kit.check.areas import AREAS, CHECKS
from stytch_mcp_kit.check.command import check
from stytch_mcp_kit.check.registry import Level
from stytch_mcp_kit.check.reports import FORMATS
from stytch_mcp_kit.check.runner import Options
from tests.check.stand_in import Fault, StandIn, answer
from tests.servers import ROOT, free_port, package, process

pytestmark = pytest.mark.e2e


def said(*arguments: str, stdin: str | None = None, **environment: str) -> Result:
    return CliRunner().invoke(check, list(arguments), input=stdin, env=environment)


def minted(dev: dict[str, Any], **wishes: Any) -> str:
    answer = httpx.post(f"{dev['test_controls']}/mint", json=wishes, trust_env=False)
    return str(answer.json()["token"])


@pytest.mark.parametrize(
    ("options", "depth"),
    [
        ([], "passive"),
        (["--register"], "registration"),
        (["--login"], "log-in"),
        (["--full"], "full"),
    ],
)
def test_the_generated_server_passes_at_every_depth(dev: dict[str, Any], options: list[str], depth: str) -> None:
    result = said(dev["mcp_url"], *options)
    assert result.exit_code == 0, result.output
    assert f"depth: {depth}" in result.output
    assert "0 MUST fail" in result.output
    assert "!" not in result.output
    assert "not reached" not in result.output


def test_a_token_goes_deeper(dev: dict[str, Any]) -> None:
    token = minted(dev)
    for result in (
        said(dev["mcp_url"], "--token", token),
        said(dev["mcp_url"], "--token", "-", stdin=f"{token}\n"),
        said(dev["mcp_url"], MCP_CHECK_TOKEN=token),
    ):
        assert result.exit_code == 0, result.output
        assert "depth: token" in result.output
        assert re.search(r"\ntoken +ok 7 ", result.output)
        assert re.search(r"\ntools +ok 13 ", result.output)
        assert token not in result.output


def test_looking_writes_nothing(dev: dict[str, Any]) -> None:
    """Without options: no registration, no token request, no authorization request with parameters."""
    controls = dev["test_controls"]
    httpx.delete(f"{controls}/requests", trust_env=False)
    assert said(dev["mcp_url"]).exit_code == 0
    asked = httpx.get(f"{controls}/requests", trust_env=False).json()["requests"]
    by_us = [each for each in asked if each["path"].startswith(("/.well-known", "/v1/oauth2", "/_test/authorize"))]
    assert by_us
    assert {each["method"] for each in by_us} == {"GET"}
    assert not [each for each in by_us if each["path"].startswith("/v1/oauth2")]


def test_a_broken_hop_is_named_with_its_reason_and_the_way_out(dev: dict[str, Any]) -> None:
    result = said(dev["mcp_url"], "--token", minted(dev, claims={"aud": ["another"]}))
    assert result.exit_code == 1
    assert "! TK-01  a fresh token is accepted" in result.output
    assert "The first hop that breaks: TK-01" in result.output
    assert "Found: it gets 401 The token was issued for another resource." in result.output


def test_nobody_there_is_2() -> None:
    result = said(f"http://127.0.0.1:{free_port()}/mcp")
    assert result.exit_code == 2
    assert "cannot be reached: no answer (ConnectError)" in result.output
    for form in FORMATS:
        other = said(f"http://127.0.0.1:{free_port()}/mcp", "--format", form)
        assert other.exit_code == 2
        assert "no answer (ConnectError)" in other.output


def test_a_name_that_leads_nowhere_is_2() -> None:
    result = said("https://no-such-host.invalid/mcp")
    assert result.exit_code == 2
    assert "the host name cannot be resolved" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument 'URL', for example https://notes.example.com/mcp"),
        (["notes.example.com"], "Give the scheme and the path: https://notes.example.com/mcp"),
        (["ftp://notes.example.com/"], "Give the scheme"),
        (["http://[/mcp"], "is not a URL"),
        (["http://notes.example.com:99999/"], "is not a URL"),
        (["https://notes.example.com/m cp"], "spaces"),
        (["https://notes.example.com/mcp", "--format", "yaml"], "'yaml' is not one of"),
        (["https://notes.example.com/mcp", "--client", "netscape"], "'netscape' is not one of"),
        (["https://notes.example.com/mcp", "--only", "CH-99"], "CH-99: no such check. All of them: --list"),
        (["https://notes.example.com/mcp", "--skip", "XX,YY"], "XX, YY: no such check"),
        (["https://notes.example.com/mcp", "--timeout", "0"], "0"),
        (["https://notes.example.com/mcp", "--token", "a b"], "no header can carry"),
        (["https://notes.example.com/mcp", "--token", "-"], "no token on standard input"),
        (["https://notes.example.com/mcp", "--no-such-option"], "No such option"),
        (["--explain", "CH-99"], "no such check"),
        (["https://notes.example.com/mcp", "--probe-stytch"], "STYTCH_PROJECT_ID and STYTCH_SECRET"),
    ],
)
def test_wrong_usage_is_3_and_says_how(arguments: list[str], words: str) -> None:
    result = said(*arguments, stdin="")
    assert result.exit_code == 3
    assert words in result.output
    assert "Traceback" not in result.output


def test_full_depth_is_for_dev_only(dev: dict[str, Any]) -> None:
    """Where the issuer has no test controls nothing is forged; here they are hidden."""
    stand_in = StandIn(dev, Fault(before=lambda asked: answer(404) if asked.path.startswith("/_test/set") else None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "Options", partial(Options, transport=stand_in))
        result = said(dev["mcp_url"], "--full")
    assert result.exit_code == 3
    assert "Start the server with `dev`; elsewhere --login goes deepest" in result.output


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_is_what_it_says(dev: dict[str, Any], form: str) -> None:
    result = said(dev["mcp_url"], "--token", minted(dev, claims={"aud": ["another"]}), "--format", form, "--skip", "HO")
    assert result.exit_code == 1
    failing = {"TK-01"}
    if form == "json":
        report = json.loads(result.stdout)
        assert {each["id"] for each in report["checks"] if each["status"] == "fails"} == failing
        assert report["first_broken"] == "TK-01"
        assert report["exit_code"] == 1
        assert {each["client"] for each in report["clients"]} == {
            "chatgpt",
            "claude",
            "claude-code",
            "cursor",
            "vscode",
        }
        requirement = next(each for each in report["checks"] if each["id"] == "CH-06")["requirement"]
        assert requirement == {
            "document": "MCP authorization",
            "section": "Scope Selection Strategy",
            "level": "SHOULD",
            "since": "2025-11-25",
        }
    elif form == "junit":
        root = ElementTree.fromstring(result.stdout)
        assert {
            case.get("name", "")[:5] for case in root.iter("testcase") if case.find("failure") is not None
        } == failing
        assert sum(int(suite.get("failures", "0")) for suite in root.iter("testsuite")) == 1
        assert sum(int(suite.get("tests", "0")) for suite in root.iter("testsuite")) == len(CHECKS) - 7
    elif form == "markdown":
        assert "| TK-01 a fresh token is accepted | MUST |" in result.stdout
    else:
        (ran,) = json.loads(result.stdout)["runs"]
        assert {each["ruleId"] for each in ran["results"]} == failing
        assert {each["level"] for each in ran["results"]} == {"error"}
        assert {rule["id"] for rule in ran["tool"]["driver"]["rules"]} >= failing


def test_only_and_skip_choose(dev: dict[str, Any]) -> None:
    def ids(*options: str) -> list[str]:
        report = json.loads(said(dev["mcp_url"], "--format", "json", *options).stdout)
        return [each["id"] for each in report["checks"]]

    assert ids("--only", "CH-06") == ["CH-06"]
    assert ids("--only", "he,ch-01") == ["CH-01", "HE-01", "HE-02", "HE-03"]
    assert ids("--only", "HE", "--skip", "HE-02") == ["HE-01", "HE-03"]
    assert "CH-01" not in ids("--skip", "CH")


def test_one_check_asks_for_no_more_than_it_needs(dev: dict[str, Any]) -> None:
    report = json.loads(said(dev["mcp_url"], "--only", "CH-06", "--format", "json").stdout)
    assert report["requests"] < 12


@pytest.mark.parametrize("each", CHECKS, ids=lambda each: each.id)
def test_every_check_explains_itself(each: Any) -> None:
    result = said("--explain", each.id.lower())
    assert result.exit_code == 0
    for text in (each.id, each.title, str(each.requirement), each.why, each.fix):
        assert text
        assert text in result.output
    assert (
        each.title[0].islower()
        or not each.title[0].isalpha()
        or each.title.split()[0] in {"PKCE", "GET", "DELETE", "Cursor's", "Accept:"}
    )
    assert each.why.endswith((".", "!"))
    assert each.fix.endswith((".", "?", ",", "]", "]}]", '"'))


def test_the_list_has_all() -> None:
    lines = said("--list").output.splitlines()
    assert [line.split()[0] for line in lines] == [check.id for check in CHECKS]
    assert {line.split()[1] for line in lines} == set(Level)


def test_help_documents_the_exit_codes() -> None:
    text = said("--help").output
    for line in ("0  every MUST holds", "1  a MUST fails", "2  the server cannot be reached", "3  wrong usage"):
        assert line in text


def test_ids_are_of_their_area_in_order() -> None:
    for area in AREAS:
        assert [each.id for each in area] == [f"{area.prefix}-{number:02}" for number in range(1, len(list(area)) + 1)]


def test_a_client_says_what_it_will_do(dev: dict[str, Any]) -> None:
    result = said(dev["mcp_url"], "--client", "cursor", "--register")
    assert "cursor://anysphere.cursor-mcp/oauth/callback" in result.output
    assert "would connect" in result.output
    assert "Claude" not in result.output
    report = json.loads(said(dev["mcp_url"], "--client", "chatgpt", "--format", "json").stdout)
    (client,) = report["clients"]
    assert client["registration"] == "cimd"
    assert client["redirect_uris"] == ["https://chatgpt.com/connector/oauth/{callback_id}"]


def test_no_secret_is_in_any_output(dev: dict[str, Any]) -> None:
    """All that was asked for, minted, registered and exchanged in a run of the greatest depth."""
    secrets: set[str] = set()

    def remember(asked: Any, answered: Any) -> None:
        secrets.update(str(value) for name, value in answered.json.items() if "token" in name and name != "token_type")
        if asked.path.endswith("/oauth2/token"):
            secrets.update(
                asked.form[name] for name in ("code", "code_verifier", "refresh_token") if name in asked.form
            )
        # The worst of servers: it repeats what it was told wherever it can.
        if asked.token and "www-authenticate" in answered.headers:
            answered.challenge(error_description=asked.token, scope=asked.token, error=asked.token)

    texts = []
    for form in ["text", *FORMATS]:
        given: dict[str, Any] = {"transport": StandIn(dev, Fault(after=remember))}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "Options", partial(Options, **given))
            texts.append(said(dev["mcp_url"], "--full", "--format", form).output)
    assert len(secrets) > 100
    for text in texts:
        assert "fails" in text or "fail" in text
        assert not [secret for secret in secrets if len(secret) >= 8 and secret in text]
        assert not re.search(r"eyJ[\w-]{20,}", text)


def test_the_servers_own_command_is_the_same(dev: dict[str, Any]) -> None:
    with process(package(), "check", dev["mcp_url"], "--only", "HE") as child:
        output, _ = child.communicate()
    assert "3 checks: 3 hold, 0 MUST fail." in output
    assert child.returncode == 0
    for way in ([package(), "check"], ["stytch_mcp_kit.check"]):
        with process(*way, "--explain", "CH-06") as child:
            output, _ = child.communicate()
        assert output.startswith("CH-06  the challenge says which scope to ask for")
    with process(package(), "check") as child:
        child.communicate()
    assert child.returncode == 3
    with process(package(), "check", "--help") as child:
        output, _ = child.communicate()
    assert f"{package().replace('_', '-')} check" in output or "check [OPTIONS] [URL]" in output


def test_it_imports_nothing_of_the_server() -> None:
    """It is for any server, and its own distribution has to be enough."""
    script = "import sys, stytch_mcp_kit.check.command; print(' '.join(name.split('.')[0] for name in sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "kit")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    imported = set(done.stdout.split())
    assert not imported & {"stytch_mcp", package(), "mcp", "mcp_types", "stytch", "pydantic"}
