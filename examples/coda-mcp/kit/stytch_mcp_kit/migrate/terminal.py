"""What the commands have in common: settings, a progress bar, files, tables, and errors in one sentence."""

import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio
import click
import stamina
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stytch_mcp.cli import ServerModule
from stytch_mcp.settings import Settings
from stytch_mcp_kit.migrate.export import resume_file
from stytch_mcp_kit.migrate.people import ExportError, NotMoved, Person, read
from stytch_mcp_kit.migrate.services import ServiceError

T = TypeVar("T")


def needed(server: ServerModule, env_file: Path, *names: str) -> Settings:
    """The server's settings, with what this command needs beyond them."""
    settings = server.settings(env_file)
    absent = [name for name in names if getattr(settings, name) is None]
    if absent:
        lines = [f"  {name.upper()}   {type(settings).model_fields[name].description}" for name in absent]
        raise click.ClickException("\n".join(["these settings are needed and not set:", *lines]))
    return settings


def wait_for(work: Callable[[], Awaitable[T]], again: str) -> T:
    """Runs it; what a service says against it becomes one sentence."""
    stamina.instrumentation.set_on_retry_hooks([])  # or each attempt would be a line between the others
    try:
        return anyio.run(work)
    except ServiceError as error:
        raise click.ClickException(f"{error} {again}") from None


@contextlib.contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Any]:
    """A bar on the terminal, nothing elsewhere; called with done and total, or without to go one on."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)

        def move(done: int | None = None, total: int | None = None) -> None:
            if done is None:
                bar.advance(task)
            else:
                bar.update(task, completed=done, total=max(done, total or 0))

        yield move


def read_people(file: Path) -> list[Person]:
    """Everybody in an export. One that is not complete would leave people behind."""
    if resume_file(file).exists():
        raise click.ClickException(f"{file} is not complete: run export-users {file} again.")
    try:
        return read(file)
    except (ExportError, UnicodeDecodeError) as error:
        raise click.ClickException(str(error)) from None


def write_not_moved(path: Path, stay: Iterable[NotMoved]) -> None:
    """One line of JSON each, readable for the owner alone."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            for each in stay:
                who = {"user_id": each.person.user_id, "addresses": [*each.person.addresses, *each.person.unverified]}
                file.write(json.dumps({**who, "reason": each.reason}, ensure_ascii=False) + "\n")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from None


def show_table(*columns: str, rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
