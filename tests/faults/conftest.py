"""What the tests of faults measure is printed when they are done, a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.faults.sockets import Server, served

Figure = Callable[[str, object], None]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Keeps a figure by its name."""
    return record_property


@pytest.fixture(scope="session")
def patient() -> Iterator[Server]:
    """A server that waits for an hour."""
    with served() as server:
        assert server.call() == 200
        yield server


@pytest.fixture(scope="session")
def strict() -> Iterator[Server]:
    """A server that waits for a moment, with the sign-in page."""
    with served(2.0, STYTCH_SECRET="secret-of-nobody") as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"figure: {name}: {value}")
