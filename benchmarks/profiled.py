"""Runs a server under the profiler between two signals.

    python benchmarks/profiled.py FILE (-m MODULE | SCRIPT) [...]

The first SIGUSR1 begins, the second ends and writes FILE. What happens before and after, start and stop, is left out.
"""

from __future__ import annotations

import cProfile
import runpy
import signal
import sys
import time
from pathlib import Path
from types import FrameType


def main(file: Path, arguments: list[str]) -> None:
    """Becomes the server."""
    profile = cProfile.Profile(time.thread_time)  # what the machine does besides does not count

    def begin(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGUSR1, end)
        profile.enable()

    def end(_number: int, _frame: FrameType | None) -> None:
        profile.disable()
        unfinished = file.with_suffix(".unfinished")
        profile.dump_stats(unfinished)
        unfinished.rename(file)

    signal.signal(signal.SIGUSR1, begin)
    is_module = arguments[0] == "-m"
    sys.argv = arguments[is_module:]
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(sys.argv[0]).parent))
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
