"""The server of tests/probe.py, with the bounds that a test chooses: python -m tests.faults.serve serve.

BOUND_SECONDS in the environment is how long a request may take to arrive, and an answer to be taken.
"""

from __future__ import annotations

import os

from stytch_mcp import cli, connection

if __name__ == "__main__":
    connection.ARRIVING_SECONDS = connection.UNREAD_SECONDS = float(os.environ["BOUND_SECONDS"])
    cli.main("probe", "tests.probe")
