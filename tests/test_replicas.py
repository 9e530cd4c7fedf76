"""Three replicas behind Traefik, one killed and two restarted meanwhile. The long form: `make bench ARGS=replicas`."""

import json
from pathlib import Path

import pytest
from bake import ROOT
from conftest import Run
from traefik import LINUX

pytestmark = LINUX


@pytest.mark.long
def test_nothing_is_lost_that_the_proxy_may_retry(default: Path, run: Run, python: str) -> None:
    said = json.loads(run(python, ROOT / "tests" / "drill.py", default, "600", "6", cwd=default))
    assert (said["replicas"], said["calls"]) == (3, 600)
    assert said["lost although the proxy could have sent them elsewhere"] == []
    assert (said["notes added twice"], said["notes lost"]) == (0, 0)
    assert said["notes added"] + len(said["lost"]) >= 120
    assert (said["log-ins"], said["log-ins broken"]) == (6, [])
    assert sum(said["exit codes after SIGTERM"].values()) == 2
    assert said["exit codes after SIGTERM"].keys() <= {"0", "-15"}
    assert said["tracebacks"] == 0
