"""The log cannot be written: a disk is full."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import Figure
from tests.faults.sockets import Server, until
from tests.servers import ROOT, free_port, wait_for

pytestmark = pytest.mark.e2e

REFUSED = 200
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def refused(server: Server) -> int:
    """The status of a request without a token, which writes a line."""
    with server.connect() as client:
        client.sendall(server.head(token=None, length=2) + b"{}")
        return int(client.recv(65_536).split()[1])


def test_a_full_disk_stops_no_answer_and_is_told_afterwards(patient: Server, figure: Figure) -> None:
    """A limit on the size of files acts like a full disk, and can be taken away again."""
    before = patient.log()
    resource.prlimit(patient.child.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        assert [refused(patient) for _ in range(REFUSED)] == [401] * REFUSED
        assert [patient.call() for _ in range(10)] == [200] * 10
        assert patient.log() == before
    finally:
        resource.prlimit(patient.child.pid, resource.RLIMIT_FSIZE, UNLIMITED)
    assert refused(patient) == 401
    assert patient.call() == 200
    lines = patient.log().removeprefix(before).splitlines()
    said = [json.loads(line) for line in lines]
    told = [line["detail"] for line in said if line.get("event") == "log"]
    figure(f"{REFUSED} lines with a full disk", f"answered all; then {told}, {len(said)} lines, each whole")
    assert told == [
        f"{REFUSED} lines could not be written, or only late",
        "10 lines could not be written, or only late",
    ]
    assert [line["audit"] for line in said if "audit" in line] == ["tool_call"]


def test_a_log_that_is_never_written_stops_nothing(figure: Figure) -> None:
    port = free_port()
    environment = {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "STYTCH_DOMAIN": "http://127.0.0.1:9",
        "STYTCH_PROJECT_ID": "project-test-00000000-0000-4000-8000-000000000000",
    }
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "tests.probe", "serve", "--env-file", os.devnull]
        child = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=full, stderr=full, text=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", child)
        server = Server(f"http://127.0.0.1:{port}/mcp", child)
        assert [refused(server) for _ in range(REFUSED)] == [401] * REFUSED
        until(server.is_alone, "connections stay open")
    finally:
        child.terminate()
        child.wait()
    figure("stdout and stderr to /dev/full", f"{REFUSED} requests answered")
