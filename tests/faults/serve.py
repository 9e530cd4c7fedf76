"""The server of tests/probe.py, with the bounds that a test chooses: python -m tests.faults.serve serve.

BOUND_SECONDS in the environment is how long a request may take to arrive, and an answer to be taken. It runs as if an
owner's dependency had brought a package for WebSockets, which uvicorn would use unasked.
"""

from __future__ import annotations

import os

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets import auto

from stytch_mcp import cli, connection

if __name__ == "__main__":
    auto.AutoWebSocketsProtocol = H11Protocol
    connection.ARRIVING_SECONDS = connection.UNREAD_SECONDS = float(os.environ["BOUND_SECONDS"])
    cli.main("probe", "tests.probe")
