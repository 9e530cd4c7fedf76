"""The blocks that are marked as rehearsed, against stand-ins, and a reason for each block that no test runs.

The stand-ins: `make dev` for the server at its public address, with people who let every client in; a browser that
follows what it is given; Docker with a log of its own.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bake import ROOT, TEMPLATE, copy_template
from conftest import Cookies
from site_blocks import BLOCK, TITLE, Reader, blocks, clone, free_ports, github, steps
from site_pages import DOCS, in_full, sources

PUBLIC = "https://notes-mcp.example.com"
READY = ["notes-mcp is protected and ready ..."]
REHEARSED = [page for page in sources() if list(blocks(in_full(page), "rehearsed"))]
UPDATE = DOCS / "how-to" / "update.md"
# What somebody has filled in who follows the fourth lesson, with the slip that it shows.
FILLED_IN = {
    "PUBLIC_URL": PUBLIC,
    "STYTCH_PROJECT_ID": "project-test-00000000-0000-4000-8000-000000000001",
    "STYTCH_SECRET": "secret-test-00000000",
    "STYTCH_DOMAIN": "https://word-word-1.customers.stytch.dev/",
    "SIGNIN_SECRET": "0" * 64,
    "ALLOWED_EMAILS": "you@example.com",
}
# Why no test runs a block, by how its first line begins.
DOCKER, KUBERNETES, ANOTHER = "needs a Docker engine", "needs a cluster", "needs a program or an account of a vendor"
REASONS = {
    "TAG=": DOCKER,
    "docker compose up": DOCKER,
    "COMPOSE_FILE=": f"{DOCKER}; variables for it, read by tests/test_compose.py",
    "docker compose logs --no-log-prefix server > audit.log": f"{DOCKER}; tests/migrate/test_report.py runs the report",
    "cloudflared tunnel login": ANOTHER,
    "kubectl ": KUBERNETES,
    "claude mcp add": ANOTHER,
    "npx --yes @modelcontextprotocol/inspector": "opens a page that a person uses",
    "{": f"{ANOTHER}; a file of its configuration",
    "export STYTCH_PROJECT_ID=": ANOTHER,
    ".venv/bin/notes-mcp migrate ": "tests/migrate/test_rehearsal.py runs these commands",
    "uvx --from": "installs from a repository that has no owner yet",
    "make lock": "takes minutes and a package index; tests of the project run both in other places",
}


def script(path: Path, *lines: str) -> None:
    """A program for a shell to find."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    path.chmod(0o755)


def audit_log(people: int) -> str:
    """A log in which the line that the page shows comes from so many people."""
    page = (DOCS / "how-to" / "monitor-mau.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^```json\n(.*)\n```$", page, re.MULTILINE)
    entry = json.loads(line)
    return "".join(json.dumps(entry | {"subject": f"user-live-{number}"}) + "\n" for number in range(people))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, cookies_session: Cookies) -> Path:
    """A server with what is installed where the pages look for it."""
    template = copy_template(tmp_path_factory.mktemp("template"))
    folder = cookies_session.bake(extra_context={"workos_migration": True}, template=str(template)).project_path
    assert folder is not None
    for name, where in {"notes_mcp": folder, "coda_mcp": ROOT / "examples" / "coda-mcp"}.items():
        script(
            folder / ".venv" / "bin" / name.replace("_", "-"),
            f'PYTHONPATH={where}/src:{where}/kit exec {sys.executable} -m {name} "$@"',
        )
    (folder / "token.txt").write_text("a-token-from-the-time-before-oauth\n", encoding="utf-8")
    return folder


@pytest.fixture
def reader(tmp_path: Path, server: Path) -> Iterator[Reader]:
    """Somebody in the folder of the server, which runs."""
    commands = tmp_path / "commands"
    (server / ".env").unlink(missing_ok=True)
    # At a terminal curl shows no progress.
    (tmp_path / ".curlrc").write_text("silent\n")
    (tmp_path / "log").write_text(audit_log(8123), encoding="utf-8")
    script(commands / "docker", f'test "$1 $2" = "compose logs" && exec cat {tmp_path / "log"}')
    script(commands / "browser", 'exec curl --silent --location --output /dev/null "$1"')
    environment = {
        **{name: value for name, value in os.environ.items() if name.startswith(("LANG", "LC_", "SSL_"))},
        "HOME": str(tmp_path),
        "PATH": os.pathsep.join([str(commands), os.environ["PATH"]]),
        "BROWSER": f"{commands / 'browser'} %s",
        "NO_COLOR": "1",
        "COLUMNS": "120",
    }
    with Reader(server, environment, free_ports(), mark="rehearsed", public=PUBLIC) as reader:
        yield reader


@pytest.mark.long
@pytest.mark.parametrize("page", [page for page in REHEARSED if page != UPDATE], ids=lambda page: page.stem)
def test_a_rehearsal_shows_what_the_page_shows(page: Path, reader: Reader) -> None:
    text = in_full(page)
    if "curl" in text or "notes-mcp check" in text:
        reader.start(f".venv/bin/notes-mcp dev --auto-approve --port {reader.port}", READY)
    if "notes-mcp serve" in text:
        for name, value in FILLED_IN.items():
            reader.give(name, value)
    assert reader.follow(text) > 0


@pytest.mark.long
def test_an_update_changes_the_runtime_and_leaves_the_owners_files(tmp_path: Path, server: Path) -> None:
    repository, mine, commands = clone(tmp_path / "repository"), tmp_path / "mine", tmp_path / "commands"
    shutil.copytree(server, mine, ignore=shutil.ignore_patterns(".venv", ".env", "token.txt"))
    github(tmp_path, repository)
    cruft = Path(sys.executable).with_name("cruft")
    # Who presses the return key at each question.
    script(commands / "pipx", "shift 2", f'case $1 in link|update) set -- "$@" -y;; esac; exec {cruft} "$@"')
    names = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.pathsep.join([str(commands), os.environ["PATH"]]),
        "COLUMNS": "120",
        "NO_COLOR": "1",
        **names,
    }

    def git(folder: Path, *words: str) -> None:
        subprocess.run(["git", *words], cwd=folder, env=environment, check=True, capture_output=True)

    def commit(folder: Path) -> None:
        git(folder, "add", "--all")
        git(folder, "commit", "--message", "all")

    git(mine, "init")
    commit(mine)
    link, check, update = blocks(in_full(UPDATE), "rehearsed")
    with Reader(mine, environment, 0, mark="rehearsed") as reader:
        reader.do(link)
        commit(mine)
        for name in ("src/stytch_mcp/health.py", "README.md"):
            with (repository / TEMPLATE / name).open("a", encoding="utf-8") as file:
                file.write("# newer\n")
        commit(repository)
        reader.do(check)
        reader.do(update)
    assert (mine / "src/stytch_mcp/health.py").read_text(encoding="utf-8").endswith("# newer\n")
    assert (mine / "README.md").read_bytes() == (server / "README.md").read_bytes()


def by_hand() -> Iterator[tuple[str, str, str]]:
    """Every block that no test runs: its page, its language, its lines."""
    for page in sources():
        for _, head, text in BLOCK.findall(in_full(page)):
            if ".by-hand" in TITLE.sub("", head):
                yield page.stem, head.split()[0], text


def test_what_no_test_runs_has_a_reason() -> None:
    firsts = [next(steps(text))[0] or text.splitlines()[0] for _, _, text in by_hand()]
    without = [first for first in firsts if not any(first.startswith(start) for start in REASONS)]
    assert not without
    assert not [start for start in REASONS if not any(first.startswith(start) for first in firsts)]


def test_what_no_test_runs_shows_no_output() -> None:
    shown = {(page, command): lines for page, _, text in by_hand() for command, lines in steps(text) if command}
    assert {key: lines for key, lines in shown.items() if lines} == {
        ("migrate-to-workos", ".venv/bin/notes-mcp migrate verify --login"): [
            "  user-live-...   https://...",
            "  user-live-...   https://login.example.com",
            "The same principal under both.",
        ]
    }
    rehearsal = (ROOT / "tests" / "migrate" / "test_rehearsal.py").read_text(encoding="utf-8")
    assert 'migrate("verify", "--login"' in rehearsal
    assert "The same principal under both." in rehearsal


def test_the_commands_of_the_migration_are_those_that_are_rehearsed() -> None:
    rehearsal = (ROOT / "tests" / "migrate" / "test_rehearsal.py").read_text(encoding="utf-8")
    page = (DOCS / "how-to" / "migrate-to-workos.md").read_text(encoding="utf-8")
    commands = set(re.findall(r"^\$ \.venv/bin/notes-mcp migrate ([a-z-]+)", page, re.MULTILINE))
    assert commands == {"export-users", "import-users", "verify", "report"}
    assert not [command for command in commands if f'migrate("{command}"' not in rehearsal]


def test_files_of_clients_are_json() -> None:
    files = [json.loads(text) for _, language, text in by_hand() if language == ".json"]
    assert len(files) == 5
    for file in files:
        (servers,) = (file[name] for name in ("servers", "mcpServers") if name in file)
        assert [entry["url"] for entry in servers.values()] == [f"{PUBLIC}/mcp"]


def test_the_update_leaves_alone_what_the_page_says() -> None:
    text = UPDATE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*) \| (.*) \|$", text.partition("## Once")[0], re.MULTILINE)[2:]
    left, right = ({name.rstrip("/") for row in rows for name in re.findall("`([^`]+)`", row[side])} for side in (0, 1))
    project = (
        (ROOT / "examples" / "coda-mcp" / "pyproject.toml").read_text(encoding="utf-8").replace("coda_mcp", "notes_mcp")
    )
    skip = set(re.findall(r'"([^"]+)"', project.partition("\nskip = [")[2].partition("]")[0]))
    assert left - {"tools", "pyproject.toml"} == skip
    assert not right & skip
