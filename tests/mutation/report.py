"""Run in a bake, after `mutmut run`: figures for each module, and what no test notices.

Exit code 1: a module is below the goal, or a survivor is not explained in survivors.yaml.
"""

from __future__ import annotations

import fnmatch
import io
import json
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import yaml
from rich import box
from rich.console import Console
from rich.table import Table

GOAL: Final = 0.90
EXPLAINED: Final = Path(__file__).with_name("survivors.yaml")
PYTEST_FAILED: Final = (1, 3)
# What mutmut writes down for a mutant that ran out of its time: signals, and its own number.
TIMED_OUT: Final = (-24, 24, 36, 152, 255)
INTRODUCTION: Final = """# Mutants

What `make mutate` wrote down. Each mutant is one of the modules with one small thing changed, and is killed when a test
fails. The run fails with less than {goal:.0%} killed, and with a survivor that `tests/mutation/survivors.yaml` does not
explain.
"""


@dataclass
class Module:
    """A module's mutants by verdict, and its survivors: the line that was, the line of the mutant."""

    name: str
    counted: Counter[str] = field(default_factory=Counter)
    survivors: list[tuple[str, str]] = field(default_factory=list)

    @property
    def killed(self) -> float:
        """The share of mutants that a test notices."""
        return (self.counted["killed"] + self.counted["timed out"]) / self.counted.total()


def verdict(code: int | None) -> str:
    """What an exit code of a mutant's tests says; None: they were not run."""
    if code is None:
        return "not run"
    if code in PYTEST_FAILED:
        return "killed"
    return "timed out" if code in TIMED_OUT else "survived"


def modules(patterns: Sequence[str]) -> Iterator[Module]:
    """What came of the mutants whose names match a pattern."""
    for meta in sorted(Path("mutants", "src").rglob("*.py.meta")):
        codes = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        chosen = {name: code for name, code in codes.items() if any(fnmatch.fnmatch(name, each) for each in patterns)}
        if chosen:
            survivors = [change(name) for name, code in chosen.items() if verdict(code) == "survived"]
            yield Module(meta.name.partition(".")[0], Counter(map(verdict, chosen.values())), survivors)


def change(mutant: str) -> tuple[str, str]:
    """What a mutant changes: the lines that were, the lines of the mutant."""
    shown = subprocess.run(["mutmut", "show", mutant], check=True, capture_output=True, text=True).stdout
    lines = shown.partition("@@\n")[2].splitlines()
    was, mutated = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return was, mutated or "nothing"


def reasons() -> dict[tuple[str, str, str], str]:
    """Why a survivor may survive, by module, what the code says and what the mutant says."""
    found: dict[str, list[dict[str, Any]]] = yaml.safe_load(EXPLAINED.read_text(encoding="utf-8"))
    return {
        (module, each["code"], mutant): each["why"]
        for module, entries in found.items()
        for each in entries
        for mutant in each["mutants"]
    }


def shown(found: Sequence[Module], console: Console, style: box.Box) -> None:
    """A row for each module, then each survivor with its reason."""
    columns = ("mutants", "killed", "timed out", "survived", "share killed")
    table = Table("module", *columns, box=style)
    for each in found:
        counts = (each.counted.total(), *(each.counted[name] for name in columns[1:-1]))
        table.add_row(each.name, *map(str, counts), f"{each.killed:.1%}")
    console.print(table)
    why = reasons()
    for each in found:
        for was, mutated in each.survivors:
            console.print(f"\n- `{each.name}`: `{was}`\n  survives as `{mutated}`:\n  ", markup=False, end="")
            console.print(why.get((each.name, was, mutated), "NOT EXPLAINED"), markup=False)


def main(record: Path, patterns: Sequence[str]) -> int:
    """Print the report; of a whole run, write it to `record` too."""
    found = list(modules(patterns or ["*"]))
    shown(found, Console(width=120, soft_wrap=True), box.SIMPLE)
    if not patterns:
        page = io.StringIO()
        shown(found, Console(file=page, width=120, soft_wrap=True), box.MARKDOWN)
        ran = f"Run on {datetime.now(UTC).date()}: Python {platform.python_version()}, mutmut {version('mutmut')}."
        lines = (line.rstrip() for line in page.getvalue().splitlines())
        record.write_text("\n".join([INTRODUCTION.format(goal=GOAL), ran, *lines]) + "\n", encoding="utf-8")
    why = reasons()
    unexplained = [each.name for each in found for change in each.survivors if (each.name, *change) not in why]
    return int(bool(unexplained) or any(each.killed < GOAL for each in found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
