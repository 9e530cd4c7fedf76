"""Run in a bake, after `mutmut run`: figures for each module, a diff for each survivor, exit code 1 below the goal."""

import fnmatch
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

GOAL = 0.90
PYTEST_FAILED = (1, 3)
# What mutmut writes down for a mutant that ran out of its time: signals, and its own number.
TIMED_OUT = (-24, 24, 36, 152, 255)


def verdict(code: int | None) -> str:
    """What an exit code of a mutant's tests says; None: they were not run."""
    if code is None:
        return "not run"
    if code in PYTEST_FAILED:
        return "killed"
    return "timed out" if code in TIMED_OUT else "survived"


def main(patterns: list[str]) -> int:
    """Print the report of the mutants whose names match a pattern."""
    good = True
    for meta in sorted(Path("mutants", "src").rglob("*.py.meta")):
        codes = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        chosen = {name: code for name, code in codes.items() if any(fnmatch.fnmatch(name, each) for each in patterns)}
        if not chosen:
            continue
        counted = Counter(map(verdict, chosen.values()))
        share = (counted["killed"] + counted["timed out"]) / len(chosen)
        good = good and share >= GOAL
        for name, code in chosen.items():
            if verdict(code) == "survived":
                shown = subprocess.run(["mutmut", "show", name], check=True, capture_output=True, text=True)
                print(shown.stdout)
        print(f"{meta.stem}: {len(chosen)} mutants, {share:.1%} killed;", dict(counted), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["*"]))
