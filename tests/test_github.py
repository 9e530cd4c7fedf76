"""A second server: the files of docs/how-to/another-api.md in a bake of their own."""

import shutil
from pathlib import Path

import pytest
from bake import ROOT, project_files
from conftest import Bake, Run
from site_blocks import blocks
from site_pages import DOCS, in_full

GITHUB = Path("tests", "github")
REGISTRATION = Path("src", "github_mcp", "tools", "__init__.py")


@pytest.mark.long
def test_its_tools_are_called_by_a_client_that_logged_in(bake: Bake, run: Run, python: str, tmp_path: Path) -> None:
    folder = bake(mcp_name="github-mcp", title="GitHub", upstream_url="https://api.github.com", upstream_auth="bearer")
    (folder / "src" / "github_mcp" / "tools" / "notes.py").unlink()
    for file in project_files(str(GITHUB)):
        shutil.copy(ROOT / file, folder / file.relative_to(GITHUB))
    registration = folder / REGISTRATION
    text = registration.read_text(encoding="utf-8")
    registration.write_text(
        text.replace("about, notes, search", "about, issues, search").replace("notes.r", "issues.r")
    )
    run(python, "-m", "ruff", "check", "--no-cache", ".", cwd=folder)
    run(python, "-m", "ruff", "format", "--no-cache", "--check", ".", cwd=folder)
    run(python, "-m", "mypy", "--cache-dir", tmp_path / "mypy", cwd=folder)
    run(python, "-m", "pytest", "-q", "tests/own", cwd=folder)


def test_the_page_shows_these_files() -> None:
    page = DOCS / "how-to" / "another-api.md"
    shown = {block.title: block.text.strip() for block in blocks(in_full(page)) if block.title}
    files = {str(file.relative_to(GITHUB)): file for file in project_files(str(GITHUB))}
    assert shown == {name: (ROOT / file).read_text(encoding="utf-8").strip() for name, file in files.items()}
