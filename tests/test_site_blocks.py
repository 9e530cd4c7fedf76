"""The blocks that a page marks as runnable, in order, in a fresh folder, against local Stytch."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from bake import ROOT
from conftest import needed
from repository import repository as address_of_the_repository
from repository import short
from site_blocks import Reader, blocks, clone, free_ports, github, same, steps
from site_pages import DOCS, in_full, sources

STORIES = {
    "home": ["index.md"],
    "another api": ["how-to/another-api.md"],
    "tutorial": ["tutorial/first-server.md", "tutorial/add-a-tool.md", "tutorial/connect-clients.md"],
}
INSPECTOR = ROOT / "build" / "inspector" / "node_modules" / ".bin"


def inspector_version() -> str:
    """The minor version that the tests use."""
    asked = json.loads((ROOT / "tests" / "inspector" / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return str(asked["@modelcontextprotocol/inspector"]).removeprefix("~").rpartition(".")[0]


def test_a_package_that_a_page_runs_has_its_version() -> None:
    typed = [name for page in sources() for name in re.findall(r"\$ npx (.*?inspector\S*)", in_full(page))]
    assert set(typed) == {f"--yes @modelcontextprotocol/inspector@{inspector_version()}"}


def test_every_page_with_runnable_blocks_is_followed() -> None:
    marked = {str(page.relative_to(DOCS)) for page in sources() if list(blocks(page.read_text(encoding="utf-8")))}
    assert marked == {page for story in STORIES.values() for page in story}


def test_what_a_reader_types_names_the_repository() -> None:
    typed = {
        page: [command for block in blocks(in_full(DOCS / page)) for command, _ in steps(block.text)]
        for page in ("index.md", "tutorial/first-server.md", "how-to/another-api.md")
    }
    assert address_of_the_repository() in typed["index.md"][0]
    for page in ("tutorial/first-server.md", "how-to/another-api.md"):
        assert f"cookiecutter {short(address_of_the_repository())} --no-input" in typed[page][0]


@pytest.mark.parametrize(
    ("shown", "printed", "as_shown"),
    [
        (["a", "b"], "a\nb\n", True),
        (["a", "b"], "a\nc\n", False),
        (["a", "...", "d"], "a\nb\nc\nd\n", True),
        (["a", "..."], "a\n", True),
        (["...", "d"], "d\n", True),
        (["a ... d"], "a b c d", True),
        (["a ... d"], "a b c e", False),
        (["a"], "a\nb", False),
        ([], "a", False),
        ([], "\n", True),
        (["a.c"], "abc", False),
    ],
)
def test_what_is_printed_is_compared(shown: list[str], printed: str, as_shown: bool) -> None:
    assert same(shown, printed) is as_shown


def test_blocks_and_steps_are_found() -> None:
    page = "```{ .console .runnable }\n$ one \\\n  more\nshown\n$ two\n```\n\n```{ .console .by-hand }\n$ no\n```\n"
    (block,) = blocks(page)
    assert list(steps(block.text)) == [("one \\\n  more", ["shown"]), ("two", [])]
    (file,) = blocks('    ```{ .python .runnable title="a/b.py" }\n    x = 1\n    ```\n')
    assert (file.title, file.text) == ("a/b.py", "x = 1\n")


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a reader would clone it."""
    return clone(tmp_path_factory.mktemp("repository") / "cookiecutter-stytch-mcp")


@pytest.fixture
def environment(tmp_path: Path, repository: Path) -> dict[str, str]:
    """A reader's: an empty home, the commands that the pages name, and the repository where they say it is."""
    home, commands = tmp_path / "home", tmp_path / "commands"
    home.mkdir()
    commands.mkdir()
    (commands / "cookiecutter").symlink_to(Path(sys.executable).with_name("cookiecutter"))
    github(home, repository)
    npx = commands / "npx"
    asked = f"--yes @modelcontextprotocol/inspector@{inspector_version()}"
    run = f'PATH={INSPECTOR} exec {INSPECTOR}/node {INSPECTOR}/mcp-inspector "$@"'
    npx.write_text(f'#!/bin/sh\n[ "$1 $2" = "{asked}" ] || {{ echo "npx $1 $2"; exit 9; }}\nshift 2\n{run}\n')
    npx.chmod(0o755)
    keep = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "LANG", "LC_", "SSL_"))}
    path = [part for part in os.environ["PATH"].split(os.pathsep) if not part.startswith(str(ROOT))]
    return keep | {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(commands), *path]),
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip")),
        "NO_COLOR": "1",
        "COLUMNS": "120",
        "MCP_INSPECTOR_SECRET_STORE": "file",
    }


@pytest.mark.long
@pytest.mark.parametrize("story", STORIES, ids=str)
def test_a_reader_who_follows_the_pages_sees_what_they_show(
    story: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    needed(
        INSPECTOR / "mcp-inspector",
        "MCP Inspector",
        "apt-get update",
        "apt-get install --yes --no-install-recommends npm",
        "make build/inspector/installed",
    )
    folder = tmp_path / "work"
    folder.mkdir()
    with Reader(folder, environment, free_ports()) as reader:
        for page in STORIES[story]:
            assert reader.follow(in_full(DOCS / page)) > 0
