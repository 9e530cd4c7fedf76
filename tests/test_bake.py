"""What comes out of a bake: its size, its bytes, and that every combination of answers works."""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bake import bake_defaults, file_count
from conftest import Bake, Run

MOST_FILES = 145
MOST_RUNTIME_LINES = 4850
CACHES = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".venv", "build", "dist"}

CHOICES: dict[str, list[Any]] = {
    "upstream_auth": ["none", "bearer"],
    "license": ["MIT", "Apache-2.0", "Proprietary"],
    "kubernetes": [False, True],
    "workos_migration": [False, True],
}
COMBINATIONS = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its path there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_choices_are_those_of_the_prompts(template: Path) -> None:
    prompts = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    offered = {name: value for name, value in prompts.items() if name[0] != "_" and isinstance(value, list | bool)}
    assert {name: [False, True] if isinstance(value, bool) else value for name, value in offered.items()} == CHOICES


def test_a_bake_is_small(default: Path, record_property: Callable[[str, object], None]) -> None:
    files = file_count(default)
    modules = sorted((default / "src" / "stytch_mcp").rglob("*.py"))
    written = [line for module in modules for line in module.read_text(encoding="utf-8").splitlines()]
    lines = sum(bool(line.strip()) for line in written)
    record_property("default bake", f"{files} files of at most {MOST_FILES}")
    record_property(
        "src/stytch_mcp", f"{lines} lines of Python of at most {MOST_RUNTIME_LINES} ({len(written)} with blank ones)"
    )
    assert files <= MOST_FILES
    assert lines <= MOST_RUNTIME_LINES


def test_migrate_is_there_when_it_was_asked_for(bake: Bake, run: Run, python: str) -> None:
    for asked in (True, False):
        folder = bake(workos_migration=asked)
        paths = f"{folder / 'src'}:{folder / 'kit'}"
        migrate = folder / "kit" / "stytch_mcp_kit" / "migrate"
        assert migrate.is_dir() is asked
        (migrate / "__pycache__").mkdir(parents=True, exist_ok=True)  # as Python leaves it where files are taken away
        assert (
            "export-users" in run(python, "-m", "notes_mcp", "migrate", cwd=folder, code=2, PYTHONPATH=paths)
        ) is asked
        assert ("migrate report" in (folder / "README.md").read_text(encoding="utf-8")) is asked


@pytest.mark.parametrize("answers", [{}, {"upstream_auth": "bearer", "license": "Apache-2.0", "kubernetes": True}])
def test_two_bakes_have_the_same_bytes(answers: dict[str, Any], bake: Bake) -> None:
    assert contents(bake(**answers)) == contents(bake(**answers))


def test_the_demo_and_the_command_bake_the_same(default: Path, tmp_path: Path) -> None:
    assert contents(bake_defaults(tmp_path)) == contents(default)


@pytest.mark.parametrize("answers", COMBINATIONS, ids=lambda answers: "-".join(map(str, answers.values())))
def test_nothing_of_the_template_is_left(answers: dict[str, Any], bake: Bake) -> None:
    baked = contents(bake(**answers))
    for name, content in baked.items():
        text = content.decode()
        assert "cookiecutter." not in text + name, name
        if not name.startswith(".github/"):  # whose own expressions look alike
            assert not [mark for mark in ("{{", "{%", "{#") if mark in name], name
            page = name.startswith("src/stytch_mcp/signin/templates/")  # of Jinja, for the server
            assert page or "{%" not in text, name
            assert page or name.endswith(".py") or "{{" not in text, name
        assert text == "" or (text.endswith("\n") and not text.endswith("\n\n")), name
    assert not [name for name in baked if CACHES & set(Path(name).parts)]


@pytest.mark.parametrize("answers", COMBINATIONS, ids=lambda answers: "-".join(map(str, answers.values())))
def test_every_combination_is_clean_and_works(
    answers: dict[str, Any], bake: Bake, run: Run, python: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = bake(**answers)
    run(python, "-m", "ruff", "check", "--no-cache", ".", cwd=folder)
    run(python, "-m", "ruff", "format", "--no-cache", "--check", ".", cwd=folder)
    # One cache for all of a worker's bakes: their paths are relative, so what is the same is checked once.
    run(python, "-m", "mypy", "--cache-dir", tmp_path_factory.getbasetemp() / "mypy", cwd=folder)
    if is_first(behaviour(folder), tmp_path_factory):
        run(python, "-m", "pytest", "-q", "-m", "not e2e", cwd=folder)


def behaviour(folder: Path) -> str:
    """A digest of all that a server's own tests can see: its files without the words of the license."""
    digest = hashlib.sha256()
    for name, content in sorted(contents(folder).items()):
        if name != "LICENSE":
            digest.update(name.encode() + b"\0" + re.sub(rb"(?m)^license.*\n|, `LICENSE`", b"", content) + b"\0")
    return digest.hexdigest()


def is_first(digest: str, tmp_path_factory: pytest.TempPathFactory) -> bool:
    """Whether no worker of this run has taken it up yet; the first one reports for all that are the same."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    try:
        (shared / f"tested-{digest}").mkdir()
    except FileExistsError:
        return False
    return True


def test_what_differs_in_behaviour_is_tested_apart(bake: Bake) -> None:
    same = [behaviour(bake(license=name)) for name in CHOICES["license"]]
    assert len(set(same)) == 1
    assert behaviour(bake(upstream_auth="bearer")) not in same


def test_a_title_in_any_words_is_clean(bake: Bake, run: Run, python: str) -> None:
    folder = bake(title='Ada\u2019s "\u041d\u043e\u0442\u044b" \U0001f4dd', description="long " * 60 + "'\"\\")
    run(python, "-m", "ruff", "check", "--no-cache", ".", cwd=folder)
    run(python, "-m", "ruff", "format", "--no-cache", "--check", ".", cwd=folder)
