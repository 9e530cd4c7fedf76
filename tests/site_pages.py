"""What the tests of the site share: its sources, its build, and how a page is read."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bake import ROOT
from bs4 import BeautifulSoup
from mkdocs.config import load_config

import hooks

DOCS = ROOT / "docs"
GENERATED = "Made by `make generate`"
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def build(destination: Path) -> str:
    """Build the site strictly into `destination`; what MkDocs said."""
    process = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(destination)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stderr


def sources() -> list[Path]:
    """Every page as it is written."""
    return sorted(path for path in DOCS.rglob("*.md") if "vendor" not in path.parts)


def is_generated(page: Path) -> bool:
    """Whether a page is made by a generator."""
    return GENERATED in page.read_text(encoding="utf-8")


@cache
def in_full(page: Path) -> str:
    """A page with its snippets in place, as a reader has it before it becomes HTML."""
    return hooks.resolved(page.read_text(encoding="utf-8"), load_config(str(ROOT / "mkdocs.yml")))


@cache
def soup(page: Path) -> BeautifulSoup:
    """A built page."""
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def built_pages(site: Path) -> list[Path]:
    """Every page of the built site, but for the one that says that there is no such page."""
    return sorted(page for page in site.rglob("*.html") if page.name != "404.html")


def links(page: Path) -> Iterator[str]:
    """Every address that a page links to or loads."""
    for element in soup(page).find_all(True):
        for name in ("href", "src"):
            value = element.get(name)
            if isinstance(value, str):
                yield value
