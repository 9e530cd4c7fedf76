"""From earlier versions of the template to this one with cruft, in servers that their owner has worked on.

In `make test` from the oldest commit and from the last one before this version, with the quick tests of the server that
comes out. `make updates` (UPDATES=all) starts from the first and the last commit of every version, locks and installs
again and runs all tests: for that it needs a package index.
"""

import os
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from bake import NAME, ROOT, project_files, user_config
from conftest import Run
from example import PROJECT, TOOLS, is_owned
from template_history import PROJECT as PROJECT_OF_THE_TEMPLATE
from template_history import PROMPTS, NoHistoryError, Version, earlier_versions

CRUFT = Path(sys.executable).with_name("cruft")
EVERY_START = os.environ.get("UPDATES") == "all"
DEPENDENCY = 'tools = ["packaging>=25,<27"]'
NOTHING_OF_MINE = "tools = []"
GREETING_TOOL = '''"""A tool of the owner's, with a dependency and a setting of theirs."""

from __future__ import annotations

from mcp.server.mcpserver import MCPServer
from packaging.version import Version

from stytch_mcp import needs

from ..upstream import Upstream
from .scopes import READ


def register(server: MCPServer, upstream: Upstream) -> None:
    """Adds `greet`."""

    @server.tool(title="Greet", meta=needs(READ))
    async def greet(version: str) -> str:
        """Say hello to a version."""
        return f"{upstream.greeting} {Version(version).public}"
'''
GREETING_TEST = '''"""The owner's tool, called by a real client."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sdk_client import logged_in

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]


async def test_it_greets(dev: dict[str, Any]) -> None:
    async with logged_in(dev["mcp_url"]) as client:
        said = await client.call_tool("greet", {"version": "v1.0"})
    assert "Ahoy 1.0" in str(said.content)
'''
WRITTEN = {
    "src/notes_mcp/tools/greeting.py": GREETING_TOOL,
    "tests/own/test_greeting.py": GREETING_TEST,
    "README.md": "# Greetings\n\nWritten anew.\n",
    ".env": "STYTCH_DOMAIN=https://login.example.com\n",
    "local/dev.env": "GREETING=Ahoy\n",
    "compose.override.yaml": "services:\n  server:\n    mem_limit: 256m\n",
}
CHANGED = [
    ("src/notes_mcp/tools/__init__.py", "import about, notes", "import about, greeting, notes"),
    (
        "src/notes_mcp/tools/__init__.py",
        "    notes.register(server, upstream)\n",
        "    notes.register(server, upstream)\n    greeting.register(server, upstream)\n",
    ),
    (
        "src/notes_mcp/upstream.py",
        "    upstream_url: Annotated",
        '    greeting: str = Field("Hello", description="What greet says first.")\n    upstream_url: Annotated',
    ),
    (
        "src/notes_mcp/upstream.py",
        '        headers = {"User-Agent": NAME}\n',
        '        self.greeting = settings.greeting\n        headers = {"User-Agent": NAME}\n',
    ),
    (".env.example", "SCOPE_MODE=simple", "SCOPE_MODE=simple\nGREETING=Hello"),
    ("local/app.py", "Bread, olives", "Bread, figs, olives"),
]


def starts() -> list[ParameterSet]:
    """Where to update from: a commit, and whether cruft itself makes the server there or plain cookiecutter."""
    try:
        found = earlier_versions(ROOT)
    except NoHistoryError as reason:
        return [pytest.param("", False, marks=pytest.mark.skip(reason=str(reason)), id="no-history")]
    first = [pytest.param(version.introduced, True, id=f"first-{version.name}") for version in found]
    last = [pytest.param(version.last, False, id=f"last-{version.name}-linked") for version in found]
    return [*first, *last] if EVERY_START else [first[0], last[-1]]


@pytest.fixture
def run_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Run:
    """Runs git and cruft without the configuration of the machine."""
    config = tmp_path / "gitconfig"
    config.write_text(
        "[safe]\n\tdirectory = *\n[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(user_config(tmp_path)))
    return run


@pytest.fixture
def template_repository(tmp_path: Path, run_git: Run) -> Path:
    """A clone with all of the history, and the working tree as its newest commit."""
    folder = tmp_path / "cookiecutter-stytch-mcp"
    run_git("git", "clone", "--quiet", ROOT, folder, cwd=tmp_path)
    run_git("git", "rm", "-r", "--quiet", ".", cwd=folder)
    for file in project_files():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    run_git("git", "add", "--all", cwd=folder)
    run_git("git", "commit", "--quiet", "--allow-empty", "--message", "Now", cwd=folder)
    return folder


def commit_all(folder: Path, run: Run) -> None:
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "As it is", cwd=folder)


def files(folder: Path) -> dict[Path, bytes]:
    """Everything but what git and cruft keep for themselves."""
    found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {file: content for file, content in found.items() if file.parts[0] not in {".git", ".cruft.json"}}


def owners(folder: Path, patterns: list[str]) -> dict[Path, bytes]:
    """The owner's files."""
    return {file: content for file, content in files(folder).items() if is_owned(file, patterns)}


def templates(folder: Path, patterns: list[str]) -> dict[Path, bytes]:
    """The template's files, without the owner's dependencies."""
    found = {file: content for file, content in files(folder).items() if not is_owned(file, patterns)}
    return found | {PROJECT: TOOLS.sub(NOTHING_OF_MINE.encode(), found[PROJECT])}


def skipped_by_updates(folder: Path) -> list[str]:
    """The patterns of the owner's files."""
    project = tomllib.loads((folder / PROJECT).read_text(encoding="utf-8"))
    return list(project["tool"]["cruft"]["skip"])


def replace(file: Path, before: str, after: str) -> None:
    """Change the one place where `before` stands."""
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, (file, before)
    file.write_text(text.replace(before, after), encoding="utf-8")


def work(folder: Path) -> None:
    """What the owner does in their own files."""
    for name, content in WRITTEN.items():
        (folder / name).write_text(content, encoding="utf-8")
    for name, before, after in CHANGED:
        replace(folder / name, before, after)


def update(folder: Path, template: Path, run: Run) -> None:
    """`cruft update`, after which nothing is in conflict and the template's files are those of a fresh bake."""
    patterns = skipped_by_updates(folder)
    mine = owners(folder, patterns)
    said = run(CRUFT, "update", "--skip-apply-ask", cwd=folder)
    assert "is as clean as possible" in said
    assert run("git", "ls-files", "--unmerged", cwd=folder) == "", run("git", "diff", cwd=folder)
    assert not [file for file in files(folder) if file.suffix in {".rej", ".orig"}]
    assert owners(folder, patterns) == mine
    run(
        sys.executable,
        "-m",
        "cookiecutter",
        "--no-input",
        "--output-dir",
        folder.parent / "fresh",
        template,
        cwd=folder,
    )
    assert templates(folder, patterns) == templates(folder.parent / "fresh" / NAME, patterns)


def create(template: Path, commit: str, folder: Path, run: Run) -> None:
    """`cruft create`."""
    run(CRUFT, "create", template, "--checkout", commit, "--no-input", cwd=folder.parent)
    run("git", "init", "--quiet", cwd=folder)
    commit_all(folder, run)


def scaffold_and_link(template: Path, commit: str, folder: Path, run: Run) -> None:
    """Plain cookiecutter, and then `cruft link`."""
    address = f"git+{template.as_uri()}"
    run(sys.executable, "-m", "cookiecutter", "--no-input", "--checkout", commit, address, cwd=folder.parent)
    run("git", "init", "--quiet", cwd=folder)
    commit_all(folder, run)
    # Ten answers and the commit, the defaults each time.
    run(CRUFT, "link", template, "--checkout", commit, cwd=folder, stdin="\n" * 11)


def test_who_is_not_linked_yet_is_told_how(tmp_path: Path, template_repository: Path, run_git: Run) -> None:
    pointer = 'To follow updates, once: cruft link, see README, "Updates".'
    folder = tmp_path / NAME
    command = (sys.executable, "-m", "cookiecutter", "--no-input", template_repository)
    assert pointer in run_git(*command, cwd=tmp_path).splitlines()
    updates = (folder / "README.md").read_text(encoding="utf-8").partition("\n## Updates\n")[2].partition("\n## ")[0]
    assert "    cruft link " in updates
    shutil.rmtree(folder)
    said = run_git(CRUFT, "create", template_repository, "--no-input", cwd=tmp_path)
    assert "Created notes-mcp. Next:" in said
    assert "cruft" not in said


@pytest.mark.long
@pytest.mark.parametrize(("commit", "by_cruft"), starts())
def test_an_update_leaves_the_owners_work_alone(
    commit: str,
    by_cruft: bool,
    tmp_path: Path,
    template_repository: Path,
    run_git: Run,
    python: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    run, folder = run_git, tmp_path / NAME
    (create if by_cruft else scaffold_and_link)(template_repository, commit, folder, run)
    work(folder)
    replace(folder / PROJECT, NOTHING_OF_MINE, DEPENDENCY)
    commit_all(folder, run)
    assert "out of date" in run(CRUFT, "check", cwd=folder, code=1)

    # CHANGELOG, 0.2.0: what a server without the extras has to do beforehand.
    without_extras = "metrics = " not in (folder / PROJECT).read_text(encoding="utf-8")
    if without_extras:
        replace(folder / PROJECT, DEPENDENCY, NOTHING_OF_MINE)
        commit_all(folder, run)
    update(folder, template_repository, run)
    if without_extras:
        replace(folder / PROJECT, NOTHING_OF_MINE, DEPENDENCY)
    assert DEPENDENCY in (folder / PROJECT).read_text(encoding="utf-8")
    assert "up to date" in run(CRUFT, "check", cwd=folder)

    # And afterwards: its version is in its package.
    package = folder / "src" / "notes_mcp" / "__init__.py"
    if "__version__" not in package.read_text(encoding="utf-8"):
        with package.open("a", encoding="utf-8") as end:
            end.write('\n__version__ = "0.1.0"\n')

    assert run(python, "-m", "hatchling", "version", cwd=folder).strip() == "0.1.0"
    if EVERY_START:
        for target in ("lock", "install", "lint", "test"):
            run("make", target, cwd=folder, PYTHON=python, ARGS="")
        assert "\npackaging==" in (folder / "requirements.lock").read_text(encoding="utf-8")
        return
    run(python, "-m", "ruff", "check", "--no-cache", ".", cwd=folder)
    # The cache of tests/test_bake.py: what is the same in every server is checked once.
    run(python, "-m", "mypy", "--cache-dir", tmp_path_factory.getbasetemp() / "mypy", cwd=folder)
    run(python, "-m", "pytest", "-q", "tests/own", cwd=folder)
    run(python, "-m", "pytest", "-q", "-m", "not e2e", cwd=folder)


def test_a_history_is_walked_for_its_versions(tmp_path: Path, run_git: Run) -> None:
    folder = tmp_path / "template"
    (folder / PROJECT_OF_THE_TEMPLATE).parent.mkdir(parents=True)
    run_git("git", "init", "--quiet", cwd=folder)
    commits = []
    for version, project in (("1", ""), ("1", "a"), ("1", "b"), ("2", "b"), ("3", "b")):
        (folder / PROMPTS).write_text(f'{{"_version": "{version}"}}', encoding="utf-8")
        if project:
            (folder / PROJECT_OF_THE_TEMPLATE).write_text(project, encoding="utf-8")
        commit_all(folder, run_git)
        commits.append(run_git("git", "rev-parse", "HEAD", cwd=folder).strip())
    found = earlier_versions(folder)
    assert found == [Version("1", commits[1], commits[2]), Version("2", commits[3], commits[3])]


def test_without_a_history_it_is_said_what_is_missing(tmp_path: Path, run_git: Run) -> None:
    run_git("git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", "shallow", cwd=tmp_path)
    with pytest.raises(NoHistoryError, match="git fetch --unshallow"):
        earlier_versions(tmp_path / "shallow")
    alone = tmp_path / "alone"
    (alone / PROJECT_OF_THE_TEMPLATE).parent.mkdir(parents=True)
    (alone / PROJECT_OF_THE_TEMPLATE).write_text("a", encoding="utf-8")
    (alone / PROMPTS).write_text('{"_version": "1"}', encoding="utf-8")
    run_git("git", "init", "--quiet", cwd=alone)
    commit_all(alone, run_git)
    with pytest.raises(NoHistoryError, match="before 1"):
        earlier_versions(alone)
