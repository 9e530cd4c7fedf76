"""The tests of faults in their long form, with thousands of idle connections; their figures stand in README.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from figures import Figure, figure

CONNECTIONS: Final = 10_000
TESTS: Final = Path(__file__).parents[1] / "tests" / "faults"


def figures() -> Iterator[Figure]:
    """One run in the baked server; needs 10,100 file descriptors (ulimit -n)."""
    baked = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0]).parent
    shutil.copytree(TESTS, baked / "tests" / "faults", dirs_exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pytest", "-q", "tests/faults"]
    environment |= {"FAULTS_CONNECTIONS": str(CONNECTIONS)}
    printed = subprocess.run(command, cwd=baked, env=environment, check=True, capture_output=True, text=True).stdout
    for name, value in re.findall(r"(?m)^figure: (.*?): (.*)$", printed):
        yield figure(name, [1], note=value)
