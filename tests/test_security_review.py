"""The security review: all sections of its documents, and tests that exist."""

import ast
import sys
from functools import cache
from typing import Any

import pytest
import yaml
from bake import ROOT

sys.path.append(str(ROOT / "sitetools"))
from generators.security_review import REVIEW, file_of

DOCUMENTS = yaml.safe_load(REVIEW.read_text(encoding="utf-8"))
ROWS = [row for document in DOCUMENTS for row in document["rows"]]
# How many sections each document has that speak of a threat or a practice, counted in the documents by hand.
SECTIONS = {
    "The OAuth 2.1 Authorization Framework, Security Considerations": 28,
    "RFC 9700, Best Current Practice for OAuth 2.0 Security": 6 + 17,
    "MCP, Security Best Practices": 8,
    "OWASP API Security Top 10": 10,
}


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_section_has_a_row() -> None:
    assert {each["document"]: len({row["section"] for row in each["rows"]}) for each in DOCUMENTS} == SECTIONS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["section"])
def test_a_defence_is_proved_by_tests_that_exist(row: dict[str, Any]) -> None:
    assert row.keys() <= {"section", "threat", "defence", "tests", "gap"}
    assert row["tests"]
    for name in row["tests"]:
        assert name.partition("::")[2] in functions(file_of(name)), f"{name}: no such test"
