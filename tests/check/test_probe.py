"""`--probe-stytch`, rehearsed against local Stytch: nine answers, nothing left behind, no secret in them."""

from __future__ import annotations

from datetime import date
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from stytch_mcp_kit.check.command import check
from stytch_mcp_kit.check.probe import QUESTIONS, CannotProbe, Project, claims_of, probe
from stytch_mcp_kit.local.config import M2M_CLIENT_ID, M2M_CLIENT_SECRET, PROJECT_ID, SECRET

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

PROJECT = Project(PROJECT_ID, SECRET, (M2M_CLIENT_ID, M2M_CLIENT_SECRET), code_seconds=700)
ENVIRONMENT = {"STYTCH_PROJECT_ID": PROJECT_ID, "STYTCH_SECRET": SECRET}


async def answers(dev: dict[str, Any], project: Project = PROJECT, **settings: Any) -> dict[str, str]:
    """The answer to each question, with these switches of local Stytch."""
    async with httpx.AsyncClient(base_url=dev["test_controls"], trust_env=False) as http:
        before = (await http.get("/settings")).json()

        async def sleep(seconds: float) -> None:
            await http.post("/clock", json={"offset_seconds": seconds})

        await http.post("/settings", json=settings)
        try:
            text = await probe(dev["mcp_url"], project, sleep=sleep, today=date(2026, 11, 23))
        finally:
            await http.post("/settings", json={name: before[name] for name in settings})
            await http.post("/clock", json={"offset_seconds": 0})
    assert text.startswith("## What a Stytch test project answered on 2026-11-23\n")
    hidden = (
        PROJECT_ID,
        SECRET,
        M2M_CLIENT_ID,
        M2M_CLIENT_SECRET,
        "eyJ",
        dev["issuer"],
        dev["mcp_url"],
        "connected-app-",
    )
    assert not [each for each in hidden if each in text]
    parts = text.split("\n\n**(")[1:]
    return {part[0]: part.partition(")**")[2] or part for part in parts}


async def test_all_nine_are_answered(dev: dict[str, Any]) -> None:
    found = await answers(dev)
    assert list(found) == sorted(QUESTIONS)
    assert not [answer for answer in found.values() if "not asked" in answer]


async def test_the_audience_decides_the_setting(dev: dict[str, Any]) -> None:
    ignored = await answers(dev, aud_resources="ignore")
    assert "STYTCH_AUDIENCE=project is the one that works" in ignored["a"]
    appended = await answers(dev, aud_resources="append")
    assert "STYTCH_AUDIENCE=resource works" in appended["a"]
    assert '["<project id>", "<MCP URL>"]' in appended["a"]


async def test_switches_show_up_in_the_answers(dev: dict[str, Any]) -> None:
    usual = await answers(dev)
    other = await answers(
        dev, dcr_status=201, token_errors="oauth", localhost_any_port=True, dcr_custom_schemes=False, code_seconds=9999
    )
    assert "Status 200" in usual["b"]
    assert "Status 201" in other["b"]
    assert "idp_auth_code_not_found" in usual["d"]
    assert "invalid_grant" in other["d"]
    assert "A code after 700 s: 400 `idp_auth_code_expired`" in usual["e"]
    assert "A code after 700 s: 200" in other["e"]
    assert "localhost, another port: 400" in usual["f"]
    assert "localhost, another port: 200" in other["f"]
    assert "cursor:// alone: registration 200" in usual["f"]
    assert "cursor:// alone: registration 400" in other["f"]
    assert "it does not" in usual["i"]
    assert "oauth_invalid_scope_requested" in usual["h"]
    assert '"registration_endpoint"' in usual["c"]
    assert "`sub` is the client id" in usual["g"]


async def test_nothing_is_left_behind(dev: dict[str, Any]) -> None:
    credentials = (PROJECT_ID, SECRET)

    async def state() -> tuple[int, int]:
        async with httpx.AsyncClient(base_url=dev["issuer"], trust_env=False, auth=credentials) as http:
            users = (await http.post("/v1/users/search", json={})).json()
            clients = (await http.post("/v1/connected_apps/clients/search", json={})).json()
        return len(users["results"]), len(clients["connected_apps"])

    before = await state()
    await answers(dev)
    assert await state() == before
    with pytest.raises(CannotProbe, match="switch on DCR"):
        await answers(dev, dcr_enabled=False)
    assert await state() == before, "also when it ends early"

    async def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await probe(dev["mcp_url"], PROJECT, sleep=interrupted)
    assert await state() == before, "also when somebody gives up"


async def test_what_the_project_refuses_is_an_answer_too(dev: dict[str, Any]) -> None:
    found = await answers(dev, Project(PROJECT_ID, SECRET, (M2M_CLIENT_ID, "secret-of-another")))
    assert "No token: 40" in found["g"]
    assert claims_of("no-token-at-all") == {}


async def test_wrong_credentials_are_named(dev: dict[str, Any]) -> None:
    with pytest.raises(CannotProbe, match=r"unauthorized_credentials.*check the id and the secret"):
        await answers(dev, Project(PROJECT_ID, "secret-test-of-another"))


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "STYTCH_PROJECT_ID and STYTCH_SECRET"),
        ({"STYTCH_PROJECT_ID": PROJECT_ID}, "needs STYTCH_SECRET"),
        ({**ENVIRONMENT, "STYTCH_PROJECT_ID": "project-live-1"}, "only a project-test-... project will do"),
        ({**ENVIRONMENT, "PROBE_CODE_SECONDS": "ten"}, "not a number"),
    ],
)
def test_what_is_missing_is_named(environment: dict[str, str], words: str) -> None:
    with pytest.raises(CannotProbe, match=words):
        Project.from_environment(environment)


def test_the_command_prints_what_to_paste(dev: dict[str, Any]) -> None:
    result = CliRunner().invoke(check, [dev["mcp_url"], "--probe-stytch"], env=ENVIRONMENT)
    assert result.exit_code == 0, result.output
    assert "not asked: set STYTCH_M2M_CLIENT_ID" in result.output
    assert "not asked, set PROBE_CODE_SECONDS" in result.output
    help_text = CliRunner().invoke(check, ["--probe-help"]).output
    assert "a live project is refused" in help_text


def test_a_server_that_leads_nowhere_is_named() -> None:
    result = CliRunner().invoke(check, ["http://127.0.0.1:9/mcp", "--probe-stytch"], env=ENVIRONMENT)
    assert result.exit_code == 3
    assert "the server does not lead to an authorization server" in result.output
