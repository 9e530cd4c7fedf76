"""Every check in both directions: the server as it is fails none, and with one thing wrong exactly one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest

from stytch_mcp_kit.check import clients
from stytch_mcp_kit.check.areas import CHECKS
from stytch_mcp_kit.check.local_issuer import LocalIssuer
from stytch_mcp_kit.check.registry import NotReached
from stytch_mcp_kit.check.runner import Options, Report, Status, run
from stytch_mcp_kit.check.walk import Walk
from stytch_mcp_kit.check.web import Web
from tests.check.faults import FAULTS
from tests.check.stand_in import Answered, Asked, Fault, StandIn

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

PUBLIC = "https://notes.example.com/mcp"


@pytest.fixture(scope="session")
def good_token(dev: dict[str, Any]) -> str:
    with httpx.Client(trust_env=False) as http:
        return str(http.post(f"{dev['test_controls']}/mint", json={}).json()["token"])


async def checked(dev: dict[str, Any], good_token: str, fault: Fault) -> Report:
    """One run at full depth; from outside, as hosted clients come, without what only this machine can do."""
    world = dict(fault.world)
    public = world.get("public", False)
    stand_in = StandIn(dev, fault, good_token, public=public, scheme=world.get("scheme", "https"))
    stand_in.memory["addresses"] = world.get("addresses", {})
    url = world.get("url", PUBLIC if public else dev["mcp_url"]) + world.get("fragment", "")

    async def resolve(host: str, port: int) -> list[str]:
        return world.get("addresses", {}).get(host) or await stand_in.resolve(host, port)

    options = Options(
        url,
        full=not public,
        log_in=public,
        transport=stand_in,
        resolve=resolve,
        clock=stand_in.clock,
    )
    return await run(options, clients.load())


def failing(report: Report) -> dict[str, str]:
    return {result.check.id: result.detail for result in report.of(Status.FAILS)}


async def test_without_output_schemas_there_are_none_to_judge(dev: dict[str, Any], good_token: str) -> None:
    def bend(asked: Asked, answered: Answered) -> None:
        if asked.rpc == "tools/list" and "tools" in answered.result:
            found = answered.json
            for tool in found["result"]["tools"]:
                tool.pop("outputSchema", None)
            answered.say(found)

    report = await checked(dev, good_token, Fault(after=bend))
    assert "TL-06" in {result.check.id for result in report.of(Status.NOT_APPLICABLE)}


async def test_what_the_local_issuer_does_not_make_is_said(dev: dict[str, Any]) -> None:
    async with Web() as web:
        await web.settle(dev["mcp_url"])
        issuer = LocalIssuer(Walk(dev["mcp_url"], web), dev["issuer"])
        with pytest.raises(NotReached, match=r"the local issuer makes no such token \(400"):
            await issuer.mint(kind="nonsense")


@pytest.mark.parametrize("public", [False, True])
async def test_without_a_fault_nothing_fails(dev: dict[str, Any], good_token: str, public: bool) -> None:
    report = await checked(dev, good_token, Fault(world={"public": public}))
    assert failing(report) == {}
    assert report.of(Status.NOT_REACHED) == []
    assert report.exit_code == 0
    if not public:
        assert report.of(Status.NOT_ASKED) == []
        assert {result.check.id for result in report.of(Status.NOT_APPLICABLE)} == {
            "TR-02",
            "TR-06",
            "TR-07",
            "PT-25",
            "PT-26",
            "PT-27",
        }


@pytest.mark.parametrize("name", [check.id for check in CHECKS])
async def test_a_fault_fails_its_check_and_no_other(dev: dict[str, Any], good_token: str, name: str) -> None:
    report = await checked(dev, good_token, FAULTS[name])
    assert list(failing(report)) == [name], failing(report)
    result = next(result for result in report.results if result.check.id == name)
    assert result.detail
    assert report.exit_code == (1 if result.check.level == "MUST" else 0)


def test_there_is_a_fault_for_every_check_and_none_besides() -> None:
    ids = [check.id for check in CHECKS]
    assert list(Counter(ids).values()) == [1] * len(ids)
    assert set(FAULTS) == set(ids)
    assert len(ids) >= 60
