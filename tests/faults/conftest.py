"""What the tests of faults measure is printed when they are done, a line each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Figure = Callable[[str, object], None]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Keeps a figure by its name."""
    return record_property


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"figure: {name}: {value}")
