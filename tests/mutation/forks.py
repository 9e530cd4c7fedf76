"""Tests broken modules, each in a fork of one process that has imported what is not broken.

Reads [[name, path, text, test file], ...] as JSON, prints {name: exit code of pytest}. Run in a bake.
"""

import contextlib
import io
import json
import os
import signal
import sys
from pathlib import Path

import jwt  # noqa: F401
import mcp.server  # noqa: F401
import pydantic_settings  # noqa: F401
import pytest
import starlette.applications  # noqa: F401
import structlog  # noqa: F401

# Bounds a mutant that never ends, nothing else.
HANGING_SECONDS = 300
# pytest would rewrite the asserts of plugins, which are imported already.
OPTIONS = [
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
    "-x",
    "-q",
    "-p",
    "no:xdist",
    "-p",
    "no:cov",
    "-m",
    "not hypothesis",
    "-k",
    "not deep_json",
]


def exit_code(path: Path, text: str, tests: str) -> int:
    """What pytest says of `tests` while the file has this text; negative: the signal that ended it."""
    right = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    child = os.fork()
    if child == 0:
        signal.alarm(HANGING_SECONDS)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            code = pytest.main([*OPTIONS, tests])
        os._exit(code)
    _, status = os.waitpid(child, 0)
    path.write_text(right, encoding="utf-8")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    json.dump(
        {name: exit_code(Path(path), text, tests) for name, path, text, tests in json.load(sys.stdin)}, sys.stdout
    )
