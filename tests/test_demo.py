"""`make demo`: at least ten hops, all as they should be."""

import re
from pathlib import Path

from bake import ROOT
from conftest import Bake, Run


def test_the_demo_shows_every_hop_as_it_should_be(bake: Bake, run: Run, python: str) -> None:
    folder = bake()
    # In place of an installation, so that it shares this environment.
    paths = f"{folder / 'src'}:{folder / 'kit'}"
    said = run(python, Path(ROOT, "tests", "demo.py"), folder, cwd=folder, PYTHONPATH=paths)
    rows = [int(row) for row in re.findall(r"^ *(\d+)  \S", said, re.MULTILINE)]
    assert len(rows) >= 10
    assert rows == list(range(1, len(rows) + 1))
    assert f"All {len(rows)} as they should be" in said
