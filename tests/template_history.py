"""The versions of the template, found by walking git's history; tags are not asked."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bake import TEMPLATE

PROMPTS = "cookiecutter.json"
PROJECT = f"{TEMPLATE}/pyproject.toml"


class NoHistoryError(Exception):
    """There is no earlier version to be found, and why."""


@dataclass(frozen=True)
class Version:
    """A `_version` in cookiecutter.json: its first commit whose servers can be installed, and its last."""

    name: str
    introduced: str
    last: str


def git(repository: Path, *command: str) -> str:
    """What a command of git prints."""
    return subprocess.run(
        ["git", "-c", f"safe.directory={repository}", *command],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def named_version(prompts: str) -> str:
    """The `_version` in the text of a cookiecutter.json."""
    return str(json.loads(prompts)["_version"])


def earlier_versions(repository: Path) -> list[Version]:
    """The versions before that of the working tree, the oldest first. Raises NoHistoryError if there is none."""
    if git(repository, "rev-parse", "--is-shallow-repository") == "true":
        raise NoHistoryError("The template's history is missing (a shallow clone). To get it: git fetch --unshallow")
    newest = named_version((repository / PROMPTS).read_text(encoding="utf-8"))
    changes = git(repository, "rev-list", "--first-parent", "--reverse", "HEAD", "--", PROMPTS, PROJECT).split()
    first: dict[str, str] = {}
    for commit in changes:
        if git(repository, "ls-tree", "--name-only", commit, PROJECT):
            first.setdefault(named_version(git(repository, "show", f"{commit}:{PROMPTS}")), commit)
    head = git(repository, "rev-parse", "HEAD")
    ends = [git(repository, "rev-parse", f"{commit}^") for commit in list(first.values())[1:]] + [head]
    found = [Version(name, commit, end) for (name, commit), end in zip(first.items(), ends, strict=True)]
    earlier = [version for version in found if version.name != newest]
    if not earlier:
        raise NoHistoryError(f"No version of the template before {newest} is in this repository's history.")
    return earlier
