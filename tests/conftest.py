"""Fixtures of the root's tests: bakes, and commands that are run in them; what was left out fails the run."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from bake import copy_template

Run = Callable[..., str]
Bake = Callable[..., Path]


class BakeResult(Protocol):
    """What pytest-cookies returns."""

    exit_code: int
    exception: BaseException | None
    project_path: Path | None


class Cookies(Protocol):
    """What pytest-cookies' fixtures give."""

    def bake(self, extra_context: dict[str, Any] | None = None, template: str | None = None) -> BakeResult: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that no worker ends alone with one."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def needed(tool: Path, name: str, *commands: str) -> Path:
    """`tool`, or the test is skipped, with the commands that get it."""
    if not tool.exists():
        pytest.skip(f"{name} is missing. To get it: {' && '.join(commands)}")
    return tool


def skipped(config: pytest.Config) -> list[str]:
    """Why tests were skipped, each reason once; nothing in a worker, which does not report."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return sorted({report.longrepr[2].removeprefix("Skipped: ") for report in reports})


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run that left something out has not proved everything: it fails, unless PARTIAL=1 allows that."""
    if session.exitstatus == pytest.ExitCode.OK and skipped(session.config) and os.environ.get("PARTIAL") != "1":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests measured, and the commands to get what is missing, as they are to be typed."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, value in report.user_properties:
                    terminalreporter.write_line(f"{name}: {value}")
    for reason in skipped(terminalreporter.config):
        terminalreporter.write_line(f"Skipped: {reason}", yellow=True)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as git would give it to a user."""
    return copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def bake(cookies: Cookies, template: Path) -> Bake:
    """Bake a server, given the answers that are not the defaults."""

    def baked(**answers: Any) -> Path:
        result = cookies.bake(extra_context=answers, template=str(template))
        assert result.exception is None, result.exception
        assert result.project_path is not None
        return result.project_path

    return baked


@pytest.fixture(scope="session")
def default(cookies_session: Cookies, template: Path) -> Path:
    """The server with every default, not to be written to."""
    result = cookies_session.bake(template=str(template))
    assert result.exception is None, result.exception
    assert result.project_path is not None
    return result.project_path


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a command in a folder, expect exit code 0 (or `code`), return all that it printed."""

    def ran(*command: str | Path, cwd: Path, code: int = 0, stdin: str = "", **variables: str) -> str:
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MAKE", "MFLAGS"))}
        process = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=mine | {"PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COLUMNS": "200"} | variables,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert process.returncode == code, f"{command} exited with {process.returncode}\n{process.stdout}"
        return process.stdout

    return ran


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter whose environment has all that a server's own has."""
    return sys.executable
