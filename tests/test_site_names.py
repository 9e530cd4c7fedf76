"""Datasette's rule, both ways: what the project has is in the site, and what the site names the project has."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bake import ROOT, TEMPLATE
from conftest import Run
from site_figures import own_tools, tools_in
from site_pages import DOCS, sources

ASK = """if True:
    import json

    import click

    from notes_mcp.server import SERVER
    from stytch_mcp.cli import ServerModule, cli
    from stytch_mcp.protect import reasons
    from stytch_mcp_kit.check.areas import CHECKS
    from stytch_mcp_kit.check.command import TOKEN_VARIABLE, check
    import coda_mcp.server

    def commands(command, context, path):
        found = {path: [name for each in command.params for name in [*each.opts, *each.secondary_opts]] + ["--help"]}
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = check if name == "check" else command.get_command(context, name)
                inner = click.Context(child, parent=context, obj=context.obj)
                found |= commands(child, inner, f"{path} {name}".strip())
        return found

    def arguments(command, context):
        found = {each.make_metavar(context).strip("[].") for each in command.params}
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = check if name == "check" else command.get_command(context, name)
                found |= set(arguments(child, click.Context(child, parent=context, obj=context.obj)))
        return sorted(found)

    servers = [SERVER, coda_mcp.server.SERVER]
    context = click.Context(cli, obj=ServerModule("notes-mcp", "notes_mcp.server"))
    print(json.dumps({
        "settings": [name.upper() for server in servers for name in server.settings.model_fields],
        "commands": commands(cli, context, ""),
        "variables": [TOKEN_VARIABLE],
        "arguments": arguments(cli, context),
        "reasons": [each.code for each in reasons.ALL],
        "checks": [each.id for each in CHECKS],
        "scopes": [each.name for server in servers for each in server.scopes],
    }))
"""
# Variables of others that pages name, and what they belong to.
OTHERS = {
    "COMPOSE_FILE": "Docker Compose",
    "CLIENT_ID": "Cursor's mcp.json",
    "SCOPE_PREFIX": "a server's constants.py",
}
LIKE_A_SETTING = re.compile(
    r"(?<![\w./-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b(?!\()|(?<![\w./-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_\*"
)
LIKE_A_COMMAND = re.compile(r"(?<!-n )(?<![=\w-])(?:notes|coda|github)-mcp(?![\w./:-])((?: [a-z][a-z-]+)*)([^\n`|]*)")
LIKE_A_CODA_TOOL = re.compile(r"(?<![\w./-])coda_(?!mcp\b|openapi\b)\w+")
CALL = re.compile(r"\b[Cc]all(?:s|ed|ing)? (?:the tool )?`(\w+)`")
LIKE_A_CHECK = re.compile(r"\b[A-Z]{2}-\d\d\b")
# How sentences in what a command prints go on behind the name of the server.
SENTENCE = {"and", "cannot", "from", "is"}
CODE = re.compile(r"```.*?^ *```|``[^`\n]+``|`[^`\n]+`", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def names(cookies_session: Any, template: Path, run: Run, python: str) -> dict[str, Any]:
    """What a server with everything and the Coda server really have."""
    answers = {"workos_migration": True, "kubernetes": True, "upstream_auth": "bearer"}
    folder = cookies_session.bake(extra_context=answers, template=str(template)).project_path
    where = f"{folder / 'src'}:{folder / 'kit'}:{ROOT / 'examples' / 'coda-mcp' / 'src'}"
    found: dict[str, Any] = json.loads(run(python, "-c", ASK, cwd=folder, PYTHONPATH=where))
    return found


@cache
def everything() -> str:
    """The text of all pages."""
    return "\n".join(page.read_text(encoding="utf-8") for page in sources())


def prompts() -> list[str]:
    """What cookiecutter asks."""
    context = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    return [name for name in context if not name.startswith("_")]


def coda_tools() -> list[str]:
    """The names of the Coda server's tools, from its committed surface."""
    file = ROOT / "examples" / "coda-mcp" / "tests" / "own" / "tools.json"
    return [tool["name"] for tool in json.loads(file.read_text(encoding="utf-8"))]


def test_everything_is_in_the_site(names: dict[str, Any]) -> None:
    commands = [f"notes-mcp {path}".strip() for path in names["commands"]]
    options = {option for each in names["commands"].values() for option in each if option.startswith("--")}
    all_names = [*prompts(), *names["settings"], *commands, *options, *names["reasons"], *names["checks"]]
    all_names += [*names["scopes"], *coda_tools(), *own_tools()]
    all_names += [*variables_of_compose(), *targets_of_make(), "mcp-check"]
    assert len(all_names) > 300
    assert not [name for name in all_names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", everything())]


def variables_of_compose() -> set[str]:
    """What the template's compose files read from `.env`."""
    files = (ROOT / TEMPLATE).glob("compose*.yaml")
    return {name for file in files for name in re.findall(r"\$\{(\w+)", file.read_text(encoding="utf-8"))}


def targets_of_make() -> set[str]:
    """What can be made in a server and in the template."""
    files = [ROOT / "Makefile", ROOT / TEMPLATE / "Makefile"]
    return {
        f"make {name}"
        for file in files
        for name in re.findall(r"^([a-z]+):.*## ", file.read_text("utf-8"), re.MULTILINE)
    }


def test_a_command_is_named_where_a_checkout_has_it() -> None:
    """A reader's shell does not find `notes-mcp` itself, outside the container."""
    command = re.compile(
        r"^\$ (notes-mcp .*)$|`(notes-mcp (?:check|dev|migrate|mau|serve) [^`]*[/.-][^`]*)`", re.MULTILINE
    )
    assert command.search("$ notes-mcp check x")
    assert command.search("Try `notes-mcp mau server.log`.")
    for page in sources():
        if page.parent.name != "reference":
            assert not command.findall(page.read_text(encoding="utf-8")), page.name


@pytest.mark.parametrize(
    ("title", "files"),
    [
        ("With a Traefik that already runs", ["compose.yaml"]),
        ("On an empty machine", ["compose.yaml", "compose.traefik.yaml", "compose.tunnel.yaml"]),
    ],
)
def test_what_compose_cannot_do_without_is_in_the_section_that_uses_it(title: str, files: list[str]) -> None:
    texts = [(ROOT / TEMPLATE / file).read_text(encoding="utf-8") for file in files]
    without = {name for text in texts for name in re.findall(r"\$\{(\w+):\?", text)}
    assert {"PUBLIC_HOST", "TRAEFIK_NETWORK"} <= without
    page = (DOCS / "how-to" / "deploy.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    said = set(re.findall(r"^(?:\| `)?([A-Z_]+)(?:` \||=)", section, re.MULTILINE))
    assert without <= said
    if len(files) > 1:
        assert f"COMPOSE_FILE={':'.join(files)}\n" in section


@pytest.mark.parametrize("page", sources(), ids=lambda page: page.stem)
def test_what_looks_like_a_setting_is_one(page: Path, names: dict[str, Any]) -> None:
    known = {*names["settings"], *names["variables"], *names["arguments"], *variables_of_compose(), *OTHERS}
    for name in LIKE_A_SETTING.findall(page.read_text(encoding="utf-8")):
        fits = any(each.startswith(name[:-1]) for each in known) if name.endswith("*") else name in known
        assert fits, f"{page.name} names {name}"


@pytest.mark.parametrize("page", sources(), ids=lambda page: page.stem)
def test_what_looks_like_a_command_is_one(page: Path, names: dict[str, Any]) -> None:
    text = page.read_text(encoding="utf-8")
    targets = {
        target
        for makefile in (ROOT / "Makefile", ROOT / TEMPLATE / "Makefile")
        for target in re.findall(r"^([a-z]+):", makefile.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for span in CODE.findall(text):
        for words in re.findall(r"(?:^|[\s`])make((?: [a-z]+)+)", span):
            assert set(words.split()) <= targets, f"{page.name}: make{words}"
        for words, rest in LIKE_A_COMMAND.findall(span):
            path = ""
            for word in words.split():
                if f"{path} {word}".strip() not in names["commands"]:
                    break
                path = f"{path} {word}".strip()
            if words.split() and not path:
                assert words.split()[0] in SENTENCE, f"{page.name}: notes-mcp{words}"
                continue
            for option in re.findall(r"(?<!\S)--[a-z-]+", rest):
                assert option in names["commands"][path], f"{page.name}: notes-mcp {path} has no {option}"


@pytest.mark.parametrize("page", sources(), ids=lambda page: page.stem)
def test_a_check_that_is_named_exists(page: Path, names: dict[str, Any]) -> None:
    assert set(LIKE_A_CHECK.findall(page.read_text(encoding="utf-8"))) <= set(names["checks"])


def test_a_tool_that_is_named_exists() -> None:
    lesson = (DOCS / "tutorial" / "add-a-tool.md").read_text(encoding="utf-8")
    known = {*coda_tools(), *own_tools(), *tools_in(lesson)}
    assert set(LIKE_A_CODA_TOOL.findall(everything())) <= known
    called = set(CALL.findall(everything()))
    assert called
    assert called <= known


def test_troubleshooting_says_what_to_do_about_every_reason(names: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "troubleshooting" / "index.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text.partition("## By reason code")[2], re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(names["reasons"])


CHECK_OR_NONE = re.compile(r"(?:\[[A-Z]{2}-\d\d\]\((?:\.\./reference/)?checks\.md#[a-z]{2}-\d\d\).*|none\b.* .+)")


@pytest.mark.parametrize(
    ("page", "first", "least"),
    [
        ("troubleshooting/stytch-errors.md", "`", 24),
        ("reference/reason-codes.md", "`", 24),
        ("troubleshooting/index.md", r"\d+ ", 16),
    ],
)
def test_each_row_links_its_check_or_says_why_none_sees_it(
    page: str, first: str, least: int, names: dict[str, Any]
) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = re.findall(rf"^\| ({first}.*) \|$", text, re.MULTILINE)
    assert len(rows) >= least
    for row in rows:
        last = row.split(" | ")[-1]
        assert CHECK_OR_NONE.fullmatch(last), row
        for title, anchor in re.findall(r"\[(\S+)\]\(\S*checks\.md#(\S+?)\)", last):
            assert title.lower() == anchor
            assert title in names["checks"]


def test_the_tests_of_names_find_what_does_not_exist() -> None:
    assert LIKE_A_SETTING.findall("set `STYTCH_DOMAINS`, ALLOWED_* and mcp_name") == ["STYTCH_DOMAINS", "ALLOWED_*"]
    assert LIKE_A_COMMAND.findall("`notes-mcp token new X --until 2027`")[0][0] == " token new"
    assert LIKE_A_CODA_TOOL.findall("`coda_x`, src/coda_mcp/x, coda_mcp.server and coda_openapi.json") == ["coda_x"]
    assert CALL.findall("Then call `list_notes`; it calls `x`.") == ["list_notes", "x"]
    assert LIKE_A_CHECK.findall("CH-04, RFC-1") == ["CH-04"]
