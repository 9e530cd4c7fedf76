"""`migrate`: what a person types, in this order: export-users, import-users, verify, report."""

import sys
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import TextIO

import anyio
import click

from stytch_mcp.cli import ServerModule, env_file_option
from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.reasons import Refused
from stytch_mcp.protect.subjects import workos_api
from stytch_mcp.settings import Settings
from stytch_mcp_kit.check.command import browse
from stytch_mcp_kit.check.registry import NotApplicable, NotReached
from stytch_mcp_kit.migrate.export import export, resume_file
from stytch_mcp_kit.migrate.imports import Import, Outcome
from stytch_mcp_kit.migrate.people import NotMoved, sort_out
from stytch_mcp_kit.migrate.report import calls, summarize
from stytch_mcp_kit.migrate.services import (
    Service,
    Stytch,
    Workos,
    service,
    stytch_credentials,
    workos_credentials,
)
from stytch_mcp_kit.migrate.terminal import needed, progress_bar, read_people, show_table, wait_for, write_not_moved
from stytch_mcp_kit.migrate.verify import differences, judged, logged_in, template_problem

users_file = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
rate_option = click.option(
    "--rate", type=click.FloatRange(0.1, 1000), default=40.0, show_default=True, help="Requests per second at most."
)


@click.group()
def migrate() -> None:
    """Move the users of Stytch to WorkOS: each keeps the principal they had."""


@migrate.command("export-users")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@env_file_option
@click.option("--rate", type=click.FloatRange(0.1, 1000), default=1.5, show_default=True, help="Requests per second.")
@click.pass_obj
def export_users(server: ServerModule, file: Path, env_file: Path, rate: float) -> None:
    """Write all users of the Stytch project to FILE, one line of JSON each.

    Interrupted, the same command goes on where it stopped. FILE has names and addresses and no secrets; it is made
    readable for you alone.
    """
    settings = needed(server, env_file, "stytch_domain", "stytch_project_id", "stytch_secret")
    assert settings.stytch_domain is not None
    assert settings.stytch_project_id is not None
    assert settings.stytch_secret is not None
    domain, secret = settings.stytch_domain, settings.stytch_secret.get_secret_value()
    credentials = stytch_credentials(settings.stytch_project_id, secret)

    with progress_bar("Exporting", None) as move:

        async def work() -> int:
            async with service("Stytch", domain, credentials, rate) as asked:
                return await export(Stytch(asked), file, move)

        again = f"Run the same command to go on, or delete {file} and {resume_file(file)} to begin anew."
        try:
            count = wait_for(work, again)
        except FileExistsError:
            raise click.ClickException(f"{file} is there and complete. Give another name, or delete it.") from None
        except OSError as error:
            raise click.ClickException(f"{file} cannot be written: {error.strerror}.") from None
    click.echo(f"{count} users in {file}. Next: {server.name} migrate import-users {file} --dry-run")


@migrate.command("import-users")
@users_file
@env_file_option
@rate_option
@click.option("--dry-run", is_flag=True, help="Look, and write nothing to WorkOS.")
@click.option("--adopt", is_flag=True, help="A user of WorkOS with the same verified address is them.")
@click.option("--leave-out", metavar="USER_ID", multiple=True, help="Do not move this user. Can be given repeatedly.")
@click.option(
    "--not-moved",
    "not_moved",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write who was not moved and why.  [default: FILE.not-moved]",
)
@click.pass_obj
def import_users(
    server: ServerModule,
    file: Path,
    env_file: Path,
    rate: float,
    dry_run: bool,
    adopt: bool,
    leave_out: tuple[str, ...],
    not_moved: Path | None,
) -> None:
    """Make the users in FILE users of WorkOS, with their Stytch ID as external_id.

    Whoever is there already is not made again, so an interrupted run is simply repeated. Ends with 1 when somebody
    was not moved.
    """
    settings = needed(server, env_file, "workos_api_key")
    people = read_people(file)
    unknown = set(leave_out) - {somebody.user_id for somebody in people}
    if unknown:
        raise click.ClickException(f"not in {file}: {', '.join(sorted(unknown))}")
    movable, stay = sort_out(people, leave_out)
    behind = not_moved or file.with_name(f"{file.name}.not-moved")
    write_not_moved(behind, stay)

    with progress_bar("Importing", len(movable)) as move:

        async def work() -> Outcome:
            async with workos_service(settings, rate) as asked:
                return await Import(Workos(asked), dry_run, adopt).run(movable, move)

        outcome = wait_for(work, "Run the same command to go on.")

    stay += outcome.not_moved
    write_not_moved(behind, stay)
    rows = [*outcome.done.items(), ("not moved", len(stay))]
    show_table("what", "users", rows=[(what, str(count)) for what, count in rows])
    if outcome.broken is not None:
        raise click.ClickException(f"{outcome.broken} Not all were reached: run the same command to go on.")
    if stay:
        click.echo(f"Who was not moved, and why: {behind}")
        raise SystemExit(1)
    following = f"import-users {file}" if dry_run else f"verify {file}"
    click.echo(f"All {len(movable)} of {len(people)}. Next: {server.name} migrate {following}")


@migrate.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@env_file_option
@rate_option
@click.option("--leave-out", metavar="USER_ID", multiple=True, help="As given to import-users.")
@click.option("--login", "log_in", is_flag=True, help="Instead: log in at each issuer, in the browser, and compare.")
@click.option("--tokens", is_flag=True, help="Instead: compare two access tokens of one person, a line each on stdin.")
@click.pass_obj
def verify(
    server: ServerModule,
    file: Path | None,
    env_file: Path,
    rate: float,
    leave_out: tuple[str, ...],
    log_in: bool,
    tokens: bool,
) -> None:
    """Check that every person in FILE is the same principal under both issuers.

    That each of them is at WorkOS once, with their address verified, and that AuthKit's tokens tell who they were.
    Ends with 1 when anybody differs.
    """
    if (file is not None) + log_in + tokens != 1:
        raise click.UsageError("give one of FILE, --login and --tokens")
    if file is None:
        both = needed(server, env_file, "stytch_domain", "workos_domain")
        compare_tokens(both, tokens_of_log_ins(both) if log_in else tokens_given())
        return

    settings = needed(server, env_file, "workos_api_key")
    movable, stay = sort_out(read_people(file), leave_out)

    with progress_bar("Comparing", len(movable)) as move:

        async def work() -> tuple[str | None, list[NotMoved]]:
            async with workos_service(settings, rate) as asked:
                return await template_problem(Workos(asked)), await differences(Workos(asked), movable, move)

        template, found = wait_for(work, "Run the same command again.")

    for each in found:
        click.echo(f"  {each.person.user_id}   {each.reason}")
    if template is not None:
        click.echo(f"  everybody   {template}")
    click.echo(
        f"{len(movable) - len(found)} of {len(movable)} are the same principal under both; {len(stay)} do not move."
    )
    if found or template is not None:
        raise SystemExit(1)


@migrate.command()
@click.argument("files", nargs=-1, type=click.File(encoding="utf-8", errors="replace"), required=True)
@env_file_option
@click.option("--since", type=click.DateTime(), help="From this moment on (UTC), for example 2027-01-31.")
@click.option(
    "--users",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The export: shows addresses beside principals.",
)
@click.option("--ids", is_flag=True, help="Print nothing but the principals who have not moved, one a line.")
@click.pass_obj
def report(
    server: ServerModule,
    files: tuple[TextIO, ...],
    env_file: Path,
    since: datetime | None,
    users: Path | None,
    ids: bool,
) -> None:
    """Read the audit log from FILES (- is standard input): calls by issuer, and who has not moved yet."""
    settings = needed(server, env_file, "stytch_domain", "workos_domain")
    old, new = str(settings.stytch_domain), str(settings.workos_domain)
    begin = since.strftime("%Y-%m-%dT%H:%M:%S") if since else ""
    found = summarize(call for file in files for call in calls(file, begin))
    waiting = found.not_yet(old, new)
    if ids:
        for who in waiting:
            click.echo(who)
        return
    if not found.shares:
        click.echo("No tool calls in there. Are these lines of the audit log?")
        return
    addresses = {each.user_id: ", ".join(each.addresses) for each in read_people(users)} if users else {}
    names = {old: "stytch", new: "workos"}
    rows = [
        (names.get(issuer, issuer), str(share.calls), str(len(share.people)), str(len(share.connections)), share.last)
        for issuer, share in found.shares.items()
    ]
    show_table("issuer", "calls", "people", "connections", "last call", rows=rows)
    both = found.half_way(old, new)
    for title, group in (("Not moved yet", waiting), ("Seen with tokens of both", both)):
        click.echo(f"\n{title}: {len(group)}")
        for who, last in group.items():
            click.echo(f"  {last}  {who}  {addresses.get(who, '')}".rstrip())


def workos_service(settings: Settings, rate: float) -> AbstractAsyncContextManager[Service]:
    """The API of the environment whose AuthKit domain the settings name."""

    assert settings.workos_api_key is not None
    key = workos_credentials(settings.workos_api_key.get_secret_value())
    return service("WorkOS", workos_api(settings.workos_domain or ""), key, rate)


def tokens_of_log_ins(settings: Settings) -> list[str]:
    """A token of each issuer, for whoever logs in in the browser."""

    async def work() -> list[str]:
        tokens = []
        for issuer in (settings.stytch_domain, settings.workos_domain):
            token, notes = await logged_in(settings.mcp_url, str(issuer), browse)
            tokens.append(token)
            for note in notes:
                click.echo(f"  {note}", err=True)
        return tokens

    try:
        return anyio.run(work)
    except (NotReached, NotApplicable) as reason:
        raise click.ClickException(f"{reason}.") from None


def tokens_given() -> list[str]:
    """Two tokens, from a person or from standard input."""

    if sys.stdin.isatty():
        given = [click.prompt(f"Access token of {name}", hide_input=True, err=True) for name in ("Stytch", "WorkOS")]
    else:
        given = sys.stdin.read().split()
    if len(given) != 2:
        raise click.ClickException(f"two tokens are needed on standard input, one line each; there are {len(given)}")
    return given


def compare_tokens(settings: Settings, given: list[str]) -> None:
    """Two tokens of one person, judged as the server would. They are neither shown nor kept."""

    async def work() -> list[Principal | Refused]:
        return await judged(settings, given)

    results = anyio.run(work)
    subjects = set()
    for result in results:
        if isinstance(result, Refused):
            click.echo(f"  refused   {result.reason.code}: {result.reason.description}")
        else:
            subjects.add(result.subject)
            click.echo(f"  {result.subject}   {result.issuer}")
    issuers = {result.issuer for result in results}
    if any(isinstance(result, Refused) for result in results) or len(issuers) < 2 or len(subjects) > 1:
        click.echo("Not the same principal under both.")
        raise SystemExit(1)
    click.echo("The same principal under both.")
