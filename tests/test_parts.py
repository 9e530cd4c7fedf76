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

# The answers that bring a part along.
PARTS: dict[str, dict[str, bool]] = {
    "runtime": {},
    "kit": {},
    "check": {},
    "faults": {},
    "fuzz": {},
    "migrate": {"workos_migration": True},
}


@pytest.fixture
def with_part(bake: Bake, request: pytest.FixtureRequest) -> Path:
    """A server whose tests have the part's beside them."""
    folder = bake(**PARTS[request.param])
    shutil.copytree(ROOT / "tests" / request.param, folder / "tests" / request.param)
    return folder


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
    printed = run(python, "-m", "pytest", "-q", f"tests/{part}", cwd=with_part)
    for name, value in re.findall(r"(?m)^figure: (.*?): (.*)$", printed):
        record_property(name, value)
    run(python, "-m", "ruff", "check", "--no-cache", ".", cwd=with_part)
    run(python, "-m", "ruff", "format", "--no-cache", "--check", ".", cwd=with_part)
    run(python, "-m", "mypy", cwd=with_part)
