"""What is said of the Coda server's tools is what the running server has, and it is more than the others have."""

import pytest
from bake import ROOT
from coda_tools import COMMAND, PAGE, Capability, Tool, others, page, running, tokens
from example import EXAMPLE

MOST_CORE_TOKENS = 12_000
LEAST_CAPABILITIES = 66


@pytest.fixture(scope="module")
def tools() -> list[Tool]:
    return running()


def test_the_page_is_about_the_running_server(tools: list[Tool]) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(tools), f"run: {COMMAND}"


def test_the_core_toolset_is_cheap_enough_for_a_model(tools: list[Tool]) -> None:
    assert tokens(tools, "core") <= MOST_CORE_TOKENS


def test_nothing_that_another_server_has_and_rest_allows_is_missing(tools: list[Tool]) -> None:
    known, names = others(), {tool["name"] for tool in tools}
    capabilities: list[Capability] = known["capabilities"]
    assert len({each["capability"] for each in capabilities}) == len(capabilities)
    for each in capabilities:
        assert ("tools" in each) is not ("not_in_rest" in each), each
        assert each["peers"] or "tools" in each
        assert set(each["peers"]) <= known["servers"].keys()
        assert names >= set(each.get("tools", [])), each
    assert sum("tools" in each for each in capabilities) >= LEAST_CAPABILITIES


def test_the_readmes_count_right(tools: list[Tool]) -> None:
    for readme in (EXAMPLE / "README.md", "README.md", "CHANGELOG.md"):
        assert f"{len(tools)} tools in four toolsets" in (ROOT / readme).read_text(encoding="utf-8"), readme


def test_every_tool_is_there_for_a_capability(tools: list[Tool]) -> None:
    used = {name for each in others()["capabilities"] for name in each.get("tools", [])}
    assert {tool["name"] for tool in tools} == used
