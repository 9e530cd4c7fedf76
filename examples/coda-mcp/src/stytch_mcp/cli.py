"""The command line of a server: serve, token, health, mau; from a checkout also dev and check, and migrate if asked."""

from __future__ import annotations

import importlib
import importlib.util
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

if TYPE_CHECKING:
    from stytch_mcp.app import ServerDefinition
    from stytch_mcp.protect.bearer import BearerToken
    from stytch_mcp.settings import Settings

TOKEN_PREFIX: Final = "mcp_"  # noqa: S105


@dataclass(frozen=True)
class ServerModule:
    """Where the server is defined. It is imported when a command needs it, and not before."""

    name: str
    module: str

    def load(self) -> ServerDefinition:
        definition: ServerDefinition = importlib.import_module(self.module).SERVER
        return definition

    def settings(self, env_file: Path) -> Settings:
        """The settings; prints the report and exits with 2 when they cannot be used."""
        from stytch_mcp.report import SettingsError, load

        try:
            return load(self.load().settings, env_file)
        except SettingsError as error:
            click.echo(error.report(self.name), err=True)
            raise SystemExit(2) from None


def main(name: str, module: str) -> None:
    """Runs the command line of the server that `module` defines as SERVER."""
    cli(prog_name=name, obj=ServerModule(name, module))


class CommandWithSettings(click.Command):
    """Its help ends with every setting of the server."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from stytch_mcp.report import in_order

        fields = in_order(ctx.obj.load().settings)
        with formatter.section("Settings (environment variables)"):
            formatter.write_dl([(name.upper(), _help(field)) for name, field in fields.items()])


def _help(field: Any) -> str:
    if field.is_required() or field.default in (None, ()):
        return str(field.description)
    value = field.default
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return f"{field.description} [default: {text}]"


def _must_exist(ctx: click.Context, parameter: click.Parameter, value: Path) -> Path:
    asked_for = ctx.get_parameter_source(str(parameter.name)) is not click.core.ParameterSource.DEFAULT
    if asked_for and not value.exists():
        raise click.BadParameter(f"{value} does not exist", ctx, parameter)
    return value


env_file_option = click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(".env"),
    show_default=True,
    callback=_must_exist,
    help="Settings that the environment does not set.",
)


@click.group(help="An MCP server with OAuth 2.1 in front of it.")
def cli() -> None:
    """The group; each command gets the ServerModule as its context object."""


@cli.command(cls=CommandWithSettings)
@env_file_option
@click.pass_obj
def serve(server: ServerModule, env_file: Path) -> None:
    """Serve MCP over HTTP until SIGINT or SIGTERM."""
    settings = server.settings(env_file)

    from stytch_mcp import logs, serving
    from stytch_mcp.app import create_app

    logs.configure(settings.log_format)
    serving.run(create_app(settings, server.load()), settings)


@cli.command()
@env_file_option
def health(env_file: Path) -> None:
    """Ask the server on this machine whether it is ready."""
    # It runs twice a minute in the server's own memory limit, so neither the server nor httpx is imported.
    import http.client

    from pydantic import ValidationError

    from stytch_mcp.listening import Listening

    try:
        host, port = Listening(_env_file=env_file).local_address  # type: ignore[call-arg]
    except ValidationError:
        raise click.ClickException("HOST or PORT cannot be used; `serve` says why") from None
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise click.ClickException(f"http://{host}:{port}/ready does not answer: {type(error).__name__}") from None
    finally:
        connection.close()
    click.echo(text)
    if answer.status != http.HTTPStatus.OK:
        raise SystemExit(1)


@cli.command()
@click.option("--limit", type=click.IntRange(1), default=10_000, show_default=True, help="How many your plan includes.")
@click.argument("log", metavar="FILE|-", type=click.File(encoding="utf-8", errors="replace"))
def mau(log: TextIO, limit: int) -> None:
    """Count the people of each month in a log of this server."""
    from stytch_mcp.mau import WARN_AT, Activity

    activity = Activity()
    activity.read(log)
    if not activity.months:
        raise click.ClickException(f"no line of the audit log among {activity.other}. LOG_FORMAT does not matter.")

    from rich.console import Console
    from rich.table import Table

    table = Table("month (UTC)", "active", f"of {limit}", box=None, pad_edge=False)
    for month, people in sorted(activity.months.items()):
        table.add_row(month, str(len(people)), f"{len(people) / limit:.1%}")
    Console().print(table)
    for month, people in sorted(activity.months.items()):
        if len(people) >= WARN_AT * limit:
            click.echo(f"Warning: {month} is at {len(people) / limit:.1%} of {limit}.", err=True)


@cli.group()
def token() -> None:
    """Static bearer tokens, for clients that cannot log in."""


def describes_token(command: Callable[..., None]) -> Callable[..., None]:
    """What a token is called, may do, and how long it holds."""
    for decorate in (
        click.option("--until", metavar="DATE", default="", help="Its last day (UTC), for example 2027-12-31."),
        click.option("--scopes", default="", help='What it carries, for example "notes:read notes:write".'),
        click.argument("name"),
    ):
        command = decorate(command)
    return command


@token.command()
@describes_token
def new(name: str, scopes: str, until: str) -> None:
    """Make a token: printed once, with the setting to add."""
    value = TOKEN_PREFIX + secrets.token_urlsafe(32)
    entry = _entry(name, value, scopes, until)
    click.echo(f"The token, shown this once:\n\n  {value}\n")
    _print_setting(entry)


@token.command("hash")
@describes_token
@click.pass_context
def hash_(ctx: click.Context, name: str, scopes: str, until: str) -> None:
    """Take a token that exists from standard input: the client keeps its value."""
    value = click.prompt("Token", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read().strip()
    if not value:
        raise click.ClickException(f"no token on standard input. Try: {ctx.command_path} {name} < token.txt")
    _print_setting(_entry(name, value, scopes, until))


@token.command("list")
@env_file_option
@click.pass_obj
def list_(server: ServerModule, env_file: Path) -> None:
    """Show the tokens that the settings name."""
    tokens = server.settings(env_file).bearer_tokens
    if not tokens:
        click.echo(f"BEARER_TOKENS is empty. Make one: {server.name} token new NAME")
        return

    from rich.console import Console
    from rich.table import Table

    table = Table("name", "scopes", "until", box=None, pad_edge=False)
    for entry in tokens:
        ended = " (ended)" if _has_ended(entry) else ""
        table.add_row(entry.name, " ".join(sorted(entry.scopes)), f"{entry.until or 'no end'}{ended}")
    Console().print(table)


def _entry(name: str, value: str, scopes: str, until: str) -> BearerToken:
    from stytch_mcp.protect.bearer import BearerToken, digest

    try:
        entry = BearerToken.parse("|".join([name, digest(value), scopes, until]))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if _has_ended(entry):
        raise click.ClickException(f"{entry.until} is past: the token would never be accepted")
    return entry


def _has_ended(entry: BearerToken) -> bool:
    return entry.until is not None and entry.until < datetime.now(UTC).date()


def _print_setting(entry: BearerToken) -> None:
    click.echo("Add this to the settings, behind a comma if BEARER_TOKENS has entries already:\n")
    click.echo(f"  BEARER_TOKENS={entry}")


@click.command()
@click.option("--port", default=8000, show_default=True, help="The first of four ports; 0 finds free ones.")
@click.option("--auto-approve", is_flag=True, help="Let clients in without a person in the browser.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when all is ready.")
@click.pass_obj
def dev(server: ServerModule, port: int, auto_approve: bool, as_json: bool) -> None:
    """Serve on this machine, together with a local Stytch. No account, no network."""
    from stytch_mcp_kit.dev import run

    package = server.module.rpartition(".")[0]
    run(server=server.load(), package=package, port=port, auto_approve=auto_approve, as_json=as_json)


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True}, short_help="Check an MCP server."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def check(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """Walk to an MCP server as a client does, and tell what breaks: `check --help`."""
    from stytch_mcp_kit.check.command import check as command

    command(args=list(arguments), prog_name=ctx.command_path)


class Migrate(click.Group):
    """The commands of the kit, imported when somebody asks for one of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return self._commands().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._commands().get_command(ctx, cmd_name)

    @staticmethod
    def _commands() -> click.Group:
        commands: click.Group = importlib.import_module("stytch_mcp_kit.migrate.commands").migrate
        return commands


if importlib.util.find_spec("stytch_mcp_kit") is not None:
    cli.add_command(dev)
    cli.add_command(check)
    _migrate = importlib.util.find_spec("stytch_mcp_kit.migrate")
    if _migrate is not None and _migrate.origin is not None:  # not only a folder that was left
        help_ = "Move the users of Stytch to WorkOS: each keeps the principal they had."
        cli.add_command(Migrate("migrate", help=help_))
