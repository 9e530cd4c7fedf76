"""examples/coda-mcp: the template baked with examples/coda-mcp.json, plus its owner's files.

As a command (`make example`): bakes it again and keeps what is the owner's.
"""

import contextlib
import fnmatch
import json
import os
import re
import shutil
import tempfile
import tomllib
from pathlib import Path

from bake import ROOT, bake_defaults, project_files

EXAMPLE = Path("examples", "coda-mcp")
ANSWERS = Path("examples", "coda-mcp.json")
COMMAND = "make example"
# What the example's tools need, the template's runtime needs too, so its locks are the template's.
LOCKS = "requirements*.lock"
PROJECT = Path("pyproject.toml")
TOOLS = re.compile(rb"(?m)^tools = \[.*?\]$")


def bake_example(scratch: Path) -> Path:
    """Bake with the example's answers below `scratch` and return the folder."""
    answers = json.loads((ROOT / ANSWERS).read_text(encoding="utf-8"))
    return bake_defaults(scratch / "baked", **{name: str(answer) for name, answer in answers.items()})


def owned(folder: Path) -> list[str]:
    """Patterns of the owner's files in a bake."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    return [pattern for pattern in project["tool"]["cruft"]["skip"] if pattern != LOCKS]


def is_owned(file: Path, patterns: list[str]) -> bool:
    """Whether a file, relative to its server's folder, is the owner's."""
    return any(fnmatch.fnmatch(str(part), pattern) for part in (file, *file.parents) for pattern in patterns)


def templates_part(baked: Path) -> dict[Path, bytes]:
    """What the template says of the example: content by path relative to its folder, with the owner's dependencies."""
    patterns = owned(baked)
    files = {path.relative_to(baked): path for path in baked.rglob("*") if path.is_file()}
    part = {file: path.read_bytes() for file, path in files.items() if not is_owned(file, patterns)}
    mine = TOOLS.search((ROOT / EXAMPLE / PROJECT).read_bytes()) if (ROOT / EXAMPLE).exists() else None
    if mine is not None:
        part[PROJECT] = TOOLS.sub(lambda _: mine[0], part[PROJECT], count=1)
    return part


def examples_part(patterns: list[str]) -> dict[Path, bytes]:
    """What the repository has of it, without what is the owner's."""
    files = [file.relative_to(EXAMPLE) for file in project_files(str(EXAMPLE))]
    return {file: (ROOT / EXAMPLE / file).read_bytes() for file in files if not is_owned(file, patterns)}


def main() -> None:
    """Write what the template says, delete what it says no more; the owner's files only where there are none yet."""
    target = ROOT / EXAMPLE
    with tempfile.TemporaryDirectory() as scratch:
        baked = bake_example(Path(scratch))
        if not target.exists():
            shutil.copytree(baked, target)
        fresh = templates_part(baked)
        for file in examples_part(owned(baked)).keys() - fresh.keys():
            (target / file).unlink()
            with contextlib.suppress(OSError):  # not empty
                os.removedirs((target / file).parent)
            print(f"deleted {EXAMPLE / file}")
        for file, content in sorted(fresh.items()):
            path = target / file
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                print(f"written {EXAMPLE / file}")


if __name__ == "__main__":
    main()
