"""The commands, as their own help prints them."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
from markdown_text import code, page, table

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 88
TITLE_LEVEL = 2
OF_THE_SERVER = {"serve", "token", "health", "mau"}
SETTINGS = "Settings (environment variables):"


def pages() -> dict[str, str]:
    """reference/commands.md"""
    from stytch_mcp.cli import ServerModule, cli
    from stytch_mcp_kit.check.command import check

    server = ServerModule("notes-mcp", "notes_mcp.server")
    installed = ", ".join(f"`{name}`" for name in sorted(cli.commands.keys() & OF_THE_SERVER))
    parts = [
        "The command of a server has the server's own name: here `notes-mcp`. In a checkout it is "
        f"`.venv/bin/notes-mcp`. {installed} belong to the server and are installed with it; the others come with the "
        "kit and work from a checkout only.",
    ]
    for path, text in _help(cli, "notes-mcp", None, server, {"check": check}):
        parts += [f"{'#' * min(4, TITLE_LEVEL + path.count(' '))} {path}", f"```text\n{text}\n```"]
    parts += [
        "## mcp-check",
        "The same as `notes-mcp check`, from `kit/` alone: it judges any MCP server.",
    ]
    for title, folder in {"a server": ROOT / "{{cookiecutter.mcp_name}}", "the template": ROOT}.items():
        rows = [[code(f"make {name}"), what] for name, what in targets(folder)]
        parts += [f"## make, in the folder of {title}", table(["Command", "What it does"], rows)]
    return {"docs/reference/commands.md": page("Commands", "Every command with its help.", ["operation"], *parts)}


def targets(folder: Path) -> list[tuple[str, str]]:
    """What `make help` lists there."""
    makefile = (folder / "Makefile").read_text(encoding="utf-8")
    return re.findall(r"^([a-z]+):.*## (.+)$", makefile, re.MULTILINE)


def _help(
    command: click.Command,
    path: str,
    parent: click.Context | None,
    server: object,
    passed_on: dict[str, click.Command],
) -> Iterator[tuple[str, str]]:
    name = path.rpartition(" ")[2]
    context = click.Context(
        command, info_name=name, parent=parent, obj=server, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield path, _without_settings(command.get_help(context))
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            # What a command hands all of its arguments to has the help.
            child = passed_on.get(each) or command.get_command(context, each)
            assert child is not None
            yield from _help(child, f"{path} {each}", context, server, passed_on)


def _without_settings(text: str) -> str:
    """The list of settings has a page of its own."""
    head, found, _ = text.partition(SETTINGS)
    return f"{head}{SETTINGS}\n  ... see the page Settings" if found else head.rstrip()
