"""`mcp-check URL`, and `<server> check URL`."""

import os
import sys
import webbrowser
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from stytch_mcp_kit.check import clients, reports
from stytch_mcp_kit.check.areas import AREAS, CHECKS
from stytch_mcp_kit.check.probe import CannotProbe, Project, probe
from stytch_mcp_kit.check.runner import NoLocalIssuer, Options, Report, Result, Status, run

USAGE: Final = 3
TOKEN_VARIABLE: Final = "MCP_CHECK_TOKEN"
WIDTH: Final = 120
EPILOG: Final = """\b
Exit codes:
  0  every MUST holds
  1  a MUST fails
  2  the server cannot be reached
  3  wrong usage"""


class UsageProblem(click.UsageError):
    """Wrong usage, with the exit code that this command documents for it."""

    exit_code = USAGE


class CheckCommand(click.Command):
    """All wrong usage exits with 3: 2 says that the server cannot be reached."""

    def make_context(self, *arguments: Any, **named: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **named)
        except click.UsageError as error:
            raise UsageProblem(error.format_message(), error.ctx) from None


def ids_or_areas(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    """Ids (CH-04) and prefixes (CH), also several with commas."""
    given = {part.strip().upper() for value in values for part in value.split(",") if part.strip()}
    known = {check.id for check in CHECKS} | {area.prefix for area in AREAS}
    unknown = sorted(given - known)
    if unknown:
        raise UsageProblem(f"{', '.join(unknown)}: no such check. All of them: --list", context)
    return frozenset(given)


@click.command(cls=CheckCommand, epilog=EPILOG)
@click.argument("url", required=False)
@click.option("--register", is_flag=True, help="Also register a client (DCR). It is deleted where the server lets us.")
@click.option(
    "--token",
    metavar="TOKEN",
    help=f"Also use this access token. - reads it from standard input; {TOKEN_VARIABLE} is another way.",
)
@click.option("--login", "log_in", is_flag=True, help="Also log in, in the browser, with a callback on loopback.")
@click.option("--full", is_flag=True, help="Everything, forged tokens included: only against `dev`.")
@click.option("--client-id", metavar="ID", help="Log in as this client, for servers without dynamic registration.")
@click.option(
    "--client",
    "names",
    multiple=True,
    type=click.Choice(list(clients.load().profiles)),
    help="Say what this client will do here; several times for several. Default: all.",
)
@click.option("--only", multiple=True, callback=ids_or_areas, metavar="ID", help="Only these checks or areas.")
@click.option("--skip", multiple=True, callback=ids_or_areas, metavar="ID", help="Not these checks or areas.")
@click.option("--format", "form", type=click.Choice(["text", *reports.FORMATS]), default="text", show_default=True)
@click.option("--timeout", type=click.FloatRange(0.1, 300), default=10.0, show_default=True, help="Seconds a request.")
@click.option(
    "--deadline", type=click.FloatRange(1, 3600), default=240.0, show_default=True, help="Seconds for all requests."
)
@click.option("--ca", type=click.Path(exists=True, dir_okay=False), help="Certificates (PEM) to trust instead.")
@click.option("--explain", metavar="ID", help="What a check wants, why, and who says so.")
@click.option("--list", "listing", is_flag=True, help="All checks, a line each.")
@click.option(
    "--probe-stytch",
    is_flag=True,
    help="Find out on a Stytch test project what its documentation leaves open (see --probe-help).",
)
@click.option("--probe-help", is_flag=True, help="What --probe-stytch needs and what it writes.")
def check(
    url: str | None,
    register: bool,
    token: str | None,
    log_in: bool,
    full: bool,
    client_id: str | None,
    names: tuple[str, ...],
    only: frozenset[str],
    skip: frozenset[str],
    form: str,
    timeout: float,
    deadline: float,
    ca: str | None,
    explain: str | None,
    listing: bool,
    probe_stytch: bool,
    probe_help: bool,
) -> None:
    """Walk to an MCP server as a client does, and tell the first hop that breaks, why, and what to change.

    Without options it only looks: it writes nothing, registers nothing, and is safe on production. Works with any
    vendor's server, on loopback and in public.
    """
    if probe_help:
        click.echo(Project.HELP)
        return
    if listing:
        for each in CHECKS:
            click.echo(f"{each.id}  {each.level:<6}  {each.needs:<8}  {each.title}")
        return
    if explain is not None:
        click.echo(explained(explain))
        return
    url = checked_url(url)
    if probe_stytch:
        probe_project(url, timeout, deadline)
        return
    options = Options(
        url=url,
        register=register,
        token=read_token(token),
        log_in=log_in,
        full=full,
        client_id=client_id,
        only=only,
        skip=skip,
        seconds=timeout,
        deadline_seconds=deadline,
        ca_file=ca,
        browse=browse if log_in else None,
    )
    report = run_with_progress(options, names)
    if form == "text":
        console = Console()
        width = max(console.width, 60) if console.is_terminal else WIDTH
        click.echo(reports.text(report, width, console.is_terminal and not console.no_color), nl=False)
    else:
        click.echo(reports.FORMATS[form](report), nl=False)
    raise SystemExit(report.exit_code)


def explained(name: str) -> str:
    found = next((each for each in CHECKS if each.id == name.strip().upper()), None)
    if found is None:
        raise UsageProblem(f"{name}: no such check. All of them: --list")
    return reports.explained(found)


def checked_url(url: str | None) -> str:
    """The URL, or an error that says how one looks."""
    if url is None:
        raise UsageProblem("Missing argument 'URL', for example https://notes.example.com/mcp")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UsageProblem(f"{url!r} is not a URL.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageProblem(f"{url!r} is not a URL. Give the scheme and the path: https://notes.example.com/mcp")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise UsageProblem("The URL has spaces or control characters.")
    return url


def read_token(given: str | None) -> str | None:
    if given == "-":
        given = sys.stdin.readline().strip()
        if not given:
            raise UsageProblem("no token on standard input")
    token = given or os.environ.get(TOKEN_VARIABLE) or None
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageProblem("the token has characters that no header can carry")
    return token


async def browse(url: str) -> None:
    """Opens the browser, and says where it should have gone."""
    click.echo(f"Log in here, if no browser opens:\n\n  {url}\n", err=True)
    await anyio.to_thread.run_sync(webbrowser.open, url)


def run_with_progress(options: Options, names: tuple[str, ...]) -> Report:
    console = Console(stderr=True)
    expected = sum(options.wants(each) for each in CHECKS)
    columns = (TextColumn("{task.description:<17}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("connecting", total=expected)

        def done(result: Result) -> None:
            progress.update(task, advance=1, description=result.check.area)
            if result.status is Status.FAILS and console.is_terminal:
                progress.console.print(f"! {result.check.id}  {result.check.title}", markup=False, highlight=False)

        try:
            return anyio.run(run, options, clients.load(), names, done)
        except NoLocalIssuer as reason:
            raise UsageProblem(
                f"--full needs the test controls of a local Stytch: {reason}. Start the server with `dev`;"
                " elsewhere --login goes deepest."
            ) from None


def probe_project(url: str, timeout: float, deadline: float) -> None:
    try:
        project = Project.from_environment(os.environ)
        click.echo(anyio.run(probe, url, project, timeout, deadline), nl=False)
    except CannotProbe as reason:
        raise UsageProblem(str(reason)) from None


def main() -> None:
    """The console script."""
    check(prog_name="mcp-check")
