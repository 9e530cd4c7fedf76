"""`make demo`: ten hops, all as they should be."""

import re
from pathlib import Path

from bake import ROOT
from conftest import Bake, Run


def test_the_demo_shows_ten_hops(bake: Bake, run: Run, python: str) -> None:
    folder = bake()
    # In place of an installation, so that it shares this environment.
    paths = f"{folder / 'src'}:{folder / 'kit'}"
    said = run(python, Path(ROOT, "tests", "demo.py"), folder, cwd=folder, PYTHONPATH=paths)
    assert re.findall(r"^ *(\d+)  \S", said, re.MULTILINE) == [str(number) for number in range(1, 11)]
