"""Connections that are opened and not used."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from tests.faults.conftest import Figure
from tests.faults.sockets import Server, served, until

pytestmark = pytest.mark.e2e

CONNECTIONS = int(os.environ.get("FAULTS_CONNECTIONS", "1000"))
MOST_KIB = 16
SOME_KIB = 2048


def hold(server: Server, count: int) -> ExitStack:
    """So many connections, all of them accepted."""
    had = server.sockets()
    stack = ExitStack()
    for _ in range(count):
        stack.enter_context(server.connect())
    until(lambda: server.sockets() >= had + count, "not all connections were accepted")
    return stack


def test_idle_connections_cost_little_and_what_they_cost_is_used_again(figure: Figure) -> None:
    with served() as server:
        for _ in range(50):
            assert server.call() == 200
        until(lambda: server.sockets() <= 3, "the connections of the calls stay open")
        sockets, before = server.sockets(), server.memory()
        held, left = [], []
        for _ in range(3):
            with hold(server, CONNECTIONS):
                held.append(server.memory())
                assert server.call() == 200
                assert server.sockets() >= sockets + CONNECTIONS
            until(lambda: server.sockets() == sockets, "connections stay open")
            left.append(server.memory())
        assert server.call() == 200
    each = (held[0] - before) / CONNECTIONS
    figure(f"{CONNECTIONS:,} idle connections", f"{each:.1f} KiB each; RSS {before:,} KiB before, {held[0]:,} with them")
    figure("the same twice more, RSS with them and then without", f"{held[1:]} {left} KiB")
    assert each <= MOST_KIB
    # What the first ones took is used again. How much of it the allocator gives back meanwhile differs.
    assert max(held[1:]) <= held[0] + SOME_KIB
    assert max(left) <= held[0] + SOME_KIB
