"""What `make mutate` may let survive is still a mutant of its module; the run itself is too long for here."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from bake import ROOT, TEMPLATE

SURVIVORS: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (ROOT / "tests" / "mutation" / "survivors.yaml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", SURVIVORS)
def test_what_a_survivor_changes_is_in_the_module(module: str) -> None:
    code = (ROOT / TEMPLATE / "src" / "stytch_mcp" / "protect" / f"{module}.py").read_text(encoding="utf-8")
    assert not [each["code"] for each in SURVIVORS[module] if each["code"] not in " ".join(code.split())]


@pytest.mark.parametrize("module", SURVIVORS)
def test_a_survivor_is_explained(module: str) -> None:
    for each in SURVIVORS[module]:
        assert each.keys() == {"code", "mutants", "why"}
        assert each["why"]
        assert each["mutants"]
        assert each["code"] not in each["mutants"]
