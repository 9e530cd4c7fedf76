"""Measures which lines and branches of the template's runtime and kit its tests run: `make coverage`.

    python tests/coverage_of_a_server.py FOLDER [ARGUMENTS OF PYTEST]   bakes into FOLDER, prints a table, names misses

The tests are those of a server and those of the parts (tests/test_parts.py). Servers that they start are measured too.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from bake import ROOT, bake_defaults
from parts import PARTS

# `patch` measures child processes (workers of pytest end with _exit), `sigterm` those that are stopped.
CONFIG = """\
[run]
branch = true
parallel = true
patch = subprocess, _exit
sigterm = true
disable_warnings = no-data-collected
source = {folder}/src/stytch_mcp
    {folder}/kit/stytch_mcp_kit
data_file = {folder}/build/coverage
[report]
exclude_also =
    if TYPE_CHECKING:
    if __name__ == .__main__.:
"""
# Per cent of lines and branches of each module: by the start of its path, the first that fits; all of them is a goal
# only for what decides who may come in.
GOALS = {"src/stytch_mcp/protect/": 100.0, "src/stytch_mcp/signin/": 100.0, "": 95.0}


def configured(server: Path) -> Path:
    """The configuration of coverage for a server, written into its `build/`, where the data will be as well."""
    config = server / "build" / "coveragerc"
    config.parent.mkdir(exist_ok=True)
    config.write_text(CONFIG.format(folder=server), encoding="utf-8")
    return config


def measure(folder: Path, *arguments: str) -> tuple[bool, dict[str, Any]]:
    """Whether the tests pass in a new bake in `folder`, and coverage's report of its modules, by path below the server.

    `arguments` go to pytest.
    """
    shutil.rmtree(folder, ignore_errors=True)
    server = bake_defaults(folder, workos_migration="yes")
    for part in PARTS:
        shutil.copytree(ROOT / "tests" / part, server / "tests" / part)
    settings = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "COVERAGE_RCFILE": str(configured(server))}
    report = server / "build" / "report.json"

    def coverage(*command: str, check: bool = True) -> bool:
        run = [sys.executable, "-m", "coverage", *command]
        return subprocess.run(run, cwd=server, env=settings, check=check).returncode == 0

    passed = coverage("run", "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", *arguments, check=False)
    coverage("combine", "--quiet")
    coverage("json", "--quiet", "-o", str(report))
    files: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))["files"]
    return passed, files


def area(path: str) -> str:
    """The folder of a module, to the depth at which the table tells them apart."""
    return "/".join(Path(path).parent.parts[:3])


def percent(summaries: list[dict[str, Any]]) -> float:
    """Lines and branches that ran, of all there are."""
    there = sum(each["num_statements"] + each["num_branches"] for each in summaries)
    return 100 * sum(each["covered_lines"] + each["covered_branches"] for each in summaries) / there if there else 100.0


def table(files: dict[str, Any]) -> list[str]:
    """A row an area, as Markdown."""
    areas = defaultdict(list)
    for path, file in files.items():
        areas[area(path)].append(file["summary"])
    rows = ["| modules in | lines | branches | run | least of a module |", "|---|---|---|---|---|"]
    for name, summaries in [*sorted(areas.items()), ("all", [file["summary"] for file in files.values()])]:
        lines, branches = (sum(each[what] for each in summaries) for what in ("num_statements", "num_branches"))
        least = min(percent([each]) for each in summaries)
        rows.append(f"| {name} | {lines:,} | {branches:,} | {percent(summaries):.1f} % | {least:.1f} % |")
    return rows


def misses(files: dict[str, Any]) -> list[str]:
    """What is below its goal, with the lines and branches that no test ran."""
    found = []
    for path, file in sorted(files.items()):
        goal = next(goal for start, goal in GOALS.items() if path.startswith(start))
        if percent([file["summary"]]) < goal:
            branches = [f"{start}->{end}" for start, end in file["missing_branches"]]
            missing = ", ".join([*map(str, file["missing_lines"]), *branches])
            found.append(f"{path}: {percent([file['summary']]):.1f} %, goal {goal:g} %: {missing}")
    return found


if __name__ == "__main__":
    passed, measured = measure(Path(sys.argv[1]).resolve(), *sys.argv[2:])
    print("\n".join(table(measured)))
    below = misses(measured)
    print("\n".join(["Below its goal:", *below] if below else []))
    sys.exit(bool(below) or not passed)
