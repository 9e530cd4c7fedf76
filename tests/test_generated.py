"""Pages that are generated are as the registry would write them today."""

import re

import pytest
from bake import ROOT
from generate import CHECKS, pages  # type: ignore[attr-defined]

PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == PAGES[name], "it differs from the registry: run `make generate`"


def test_every_check_is_in_all_three_lists() -> None:
    for name in ("testing-checklist.md", "reference/checks.md", "reference/requirements.md"):
        for check in CHECKS:
            assert len(re.findall(rf"\b{check.id}\b", PAGES[name])) >= 1, check.id


def test_links_between_the_pages_lead_somewhere() -> None:
    anchors = {heading.lower() for heading in re.findall(r"^### (\S+)$", PAGES["reference/checks.md"], re.MULTILINE)}
    assert len(anchors) == len(CHECKS)
    for text in PAGES.values():
        assert set(re.findall(r"checks\.md#([\w-]+)\)", text)) <= anchors


def test_the_readme_counts_right() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"(\d+) checks", readme) == [str(len(CHECKS))]
