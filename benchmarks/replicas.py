"""Three replicas behind Traefik, one killed and two restarted in turn, while calls and log-ins go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from figures import Figure, figure

CALLS: Final = 10_000
LOG_INS: Final = 50
DRILL: Final = Path(__file__).parents[1] / "tests" / "drill.py"


def figures() -> Iterator[Figure]:
    """One run of tests/drill.py in its long form; see there for what is killed when."""
    baked = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0]).parent
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(DRILL), str(baked), str(CALLS), str(LOG_INS)]
    said = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    yield figure("calls", [said["calls"]], note=f"{said['calls'] / said['seconds']:.0f}/s, {said['replicas']} replicas")
    yield figure("lost with the killed replica", [len(said["lost"])], note="under way there at that moment")
    unexcused = said["lost although the proxy could have sent them elsewhere"]
    yield figure("lost although the proxy could have sent them elsewhere", [len(unexcused)], at_most=0)
    yield figure("notes added", [said["notes added"]])
    yield figure("notes added twice, or lost", [said["notes added twice"] + said["notes lost"]], at_most=0)
    yield figure("log-ins", [said["log-ins"]], at_least=LOG_INS)
    yield figure("log-ins that took a second try", [said["log-ins that took a second try"]])
    yield figure("log-ins broken", [len(said["log-ins broken"])], at_most=0)
