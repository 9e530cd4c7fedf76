"""What memory one server takes while 50 clients are at it, against the limit that compose.yaml sets."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import calls
from figures import ROUNDS, Figure, figure
from footprint import COMMANDS
from load import load
from processes import Server, issuing, process, settings, wait_for

CLIENTS: Final = 50
CALLS: Final = 5000
MIB: Final = 1024.0
LISTEN: Final = "subscriptions/listen"


def figures() -> Iterator[Figure]:
    """A server anew in each round: its resident memory after the start, and the most it ever took from then on."""
    started, calling, listening, asking = [], [], [], []
    with issuing() as issuer:
        (token,) = issuer.get("/bench/tokens/1")
        for _ in range(ROUNDS):
            with process(*COMMANDS["served"], **settings(issuer)) as server:
                wait_for(server.port)
                server.call(calls.MODERN, token)
                started.append(most(server))
                for era in (calls.LEGACY, calls.MODERN):
                    with load(server, era, token, connections=CLIENTS) as clients:
                        clients.burst(CALLS)
                calling.append(most(server))
                with ExitStack() as streams:
                    for _ in range(CLIENTS):
                        streams.enter_context(listener(server, token))
                    with load(server, calls.MODERN, token, connections=CLIENTS) as clients:
                        clients.burst(CALLS)
                    listening.append(most(server))
                asking.append(health(server))
    limit = memory_limit()
    note = f"{2 * CALLS} calls"
    yield figure("RSS after the first call", started, " MiB")
    yield figure(f"most RSS, {CLIENTS} clients calling", calling, " MiB", at_most=limit, note=note)
    both = f"{CLIENTS} more have a stream open"
    yield figure(f"most RSS, {CLIENTS} clients calling, {both}", listening, " MiB", at_most=limit)
    yield figure("`health` beside it", asking, " MiB", note="every 30 s, for a moment")
    sums = [server + beside for server, beside in zip(listening, asking, strict=True)]
    yield figure("both together", sums, " MiB", at_most=limit, note="the limit of compose.yaml")


def most(server: Server) -> float:
    """The most resident memory so far, in MiB."""
    written = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.findall(r"^VmHWM:\s+(\d+) kB$", written, re.MULTILINE)[0]) / MIB


def listener(server: Server, token: str) -> socket.socket:
    """A client that waits for events: a stream that stays open, returned when its headers are there."""
    message = calls.message(calls.MODERN, "")
    message |= {"method": LISTEN, "params": {**message["params"], "notifications": {"toolsListChanged": True}}}
    body = json.dumps(message).encode()
    headers = calls.headers(calls.MODERN, "", token) | {"Mcp-Method": LISTEN, "Content-Length": str(len(body))}
    del headers["Mcp-Name"]
    lines = [f"{name}: {value}" for name, value in headers.items()]
    stream = socket.create_connection(("127.0.0.1", server.port))
    head = "\r\n".join(["POST /mcp HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *lines, "", ""])
    stream.sendall(head.encode() + body)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += stream.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert b"text/event-stream" in answer
    return stream


def health(server: Server) -> float:
    """The most resident memory of the command that the container runs to see whether all is well, in MiB."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    command = [sys.executable, "-c", code, sys.executable, "-m", "notes_mcp", "health", "--env-file", os.devnull]
    said = subprocess.run(
        command, env=os.environ | {"PORT": str(server.port)}, check=True, capture_output=True, text=True
    )
    return int(said.stdout.splitlines()[-1]) / MIB


def memory_limit() -> float:
    """What compose.yaml allows, in MiB."""
    baked = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0]).parent
    (limit,) = re.findall(r"^    mem_limit: (\d+)m$", (baked / "compose.yaml").read_text(), re.MULTILINE)
    return float(limit)
