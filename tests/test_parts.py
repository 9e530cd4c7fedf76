"""The parts that are the same in every server, tested once, inside a bake: the runtime, the kit and its checklist.

Their tests lie in tests/runtime, kit, check, migrate, faults and fuzz and are written as if they lay
in a server's own tests.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bake import ROOT
from conftest import Bake, Run
from coverage_of_a_server import configured
from parts import PARTS

# What decides who may come in; the rest: `make coverage`.
ENTIRELY = "src/stytch_mcp/protect/*,src/stytch_mcp/signin/*"


@pytest.fixture
def with_part(bake: Bake, request: pytest.FixtureRequest) -> Path:
    """A server whose tests have the part's beside them."""
    folder = bake(**PARTS[request.param])
    shutil.copytree(ROOT / "tests" / request.param, folder / "tests" / request.param)
    return folder


def passed(part: str, server: Path, run: Run, python: str) -> str:
    """What the tests print. Those of the runtime, with the gate's, run what lets people in to the last branch."""
    if part != "runtime":
        return run(python, "-m", "pytest", "-q", f"tests/{part}", cwd=server)
    config = str(configured(server))

    def coverage(*command: str) -> str:
        return run(python, "-m", "coverage", *command, cwd=server, COVERAGE_RCFILE=config)

    printed = coverage("run", "-m", "pytest", "-q", "tests/runtime", "tests/test_gate.py")
    coverage("combine", "--quiet")
    coverage("report", f"--include={ENTIRELY}", "--show-missing", "--skip-covered", "--fail-under=100")
    return printed


@pytest.mark.long
@pytest.mark.parametrize("with_part", PARTS, indirect=True, ids=list(PARTS))
def test_a_part_passes_its_tests(
    with_part: Path,
    run: Run,
    python: str,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    part = request.node.callspec.id
    printed = passed(part, with_part, run, python)
    for name, value in re.findall(r"(?m)^figure: (.*?): (.*)$", printed):
        record_property(name, value)
    run(python, "-m", "ruff", "check", "--no-cache", ".", cwd=with_part)
    run(python, "-m", "ruff", "format", "--no-cache", "--check", ".", cwd=with_part)
    run(python, "-m", "mypy", cwd=with_part)
