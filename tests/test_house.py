"""How the code is laid out: arrows that point one way, small modules of one subject each, nothing that nobody uses."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bake import ROOT, TEMPLATE, project_files
from conftest import Bake, Run
from example import EXAMPLE

CONTRACTS = ROOT / "tests" / "importlinter.toml"
MOST_LINES = 300
ONE_AREA = "one area of the checklist: a list of short checks, read from top to bottom beside the generated page of it"
ONE_TABLE = "one table of cases for one module, which is easier to compare with it in one piece"
ONE_FLOW = "one flow, told in the order in which it happens, with the helpers that only it needs"
# Why a module is longer than MOST_LINES. Below `{{cookiecutter.mcp_name}}` as in a server.
REASONS = {
    "kit/stytch_mcp_kit/check/areas/challenge.py": ONE_AREA,
    "kit/stytch_mcp_kit/check/areas/issuer.py": ONE_AREA,
    "kit/stytch_mcp_kit/check/areas/login.py": ONE_AREA,
    "kit/stytch_mcp_kit/check/areas/protocol.py": ONE_AREA,
    "kit/stytch_mcp_kit/check/areas/resource.py": ONE_AREA,
    "kit/stytch_mcp_kit/check/areas/tokens.py": ONE_AREA,
    "kit/stytch_mcp_kit/check/areas/tools.py": ONE_AREA,
    "kit/stytch_mcp_kit/check/probe.py": "one client: every request of a check shares its connection and limits",
    "kit/stytch_mcp_kit/check/walk.py": "one cache: what a hop found is asked for by later hops, in one class",
    "kit/stytch_mcp_kit/dev.py": "starting, watching and stopping three servers is one life, told in order",
    "kit/stytch_mcp_kit/local/member_login.py": "the member's half of a log-in, beside login.py, endpoint by endpoint",
    "tests/check/faults.py": "one fault for each check, in the order of the checks",
    "tests/check/test_hostile.py": ONE_TABLE,
    "tests/e2e/test_cimd.py": ONE_FLOW,
    "tests/faults/test_clients.py": ONE_TABLE,
    "tests/fuzz/judges.py": "one judge for each way in, each a few lines on the same observations",
    "tests/fuzz/server.py": "one server, entered as octets, with everything that is observed meanwhile",
    "tests/fuzz/subjects.py": "one list: every subject with its inputs, to be read from top to bottom",
    "tests/kit/test_api.py": ONE_TABLE,
    "tests/kit/test_authkit.py": ONE_FLOW,
    "tests/kit/test_members.py": ONE_TABLE,
    "tests/kit/test_oauth.py": ONE_TABLE,
    "tests/kit/test_protected.py": ONE_FLOW,
    "tests/kit/test_sdk.py": ONE_TABLE,
    "tests/migrate/test_rehearsal.py": ONE_FLOW,
    "tests/migrate/test_users.py": ONE_TABLE,
    "tests/own/test_stand_in_changes.py": ONE_TABLE,
    "tests/own/test_stand_in_pages.py": ONE_TABLE,
    "tests/own/test_stand_in_rows.py": ONE_TABLE,
    "tests/runtime/test_access.py": ONE_TABLE,
    "tests/runtime/test_issuers.py": ONE_TABLE,
    "tests/runtime/test_keys.py": ONE_TABLE,
    "tests/runtime/test_policy.py": ONE_TABLE,
    "tests/runtime/test_settings.py": ONE_TABLE,
    "tests/runtime/test_signin_attacks.py": ONE_TABLE,
    "tests/runtime/test_signin_flow.py": ONE_FLOW,
    "tests/runtime/test_verifier.py": ONE_TABLE,
    "tests/test_gate.py": ONE_TABLE,
    "tests/test_signin.py": ONE_FLOW,
    "tests/test_traefik.py": ONE_FLOW,
    "tests/test_update.py": ONE_FLOW,
}


def modules() -> Iterator[tuple[str, str]]:
    """Every module of the project once: its path, as in a server where it is part of one, and its text."""
    for file in project_files():
        name = file.as_posix().removeprefix(f"{TEMPLATE}/").removeprefix(f"{EXAMPLE.as_posix()}/")
        copied = file.is_relative_to(EXAMPLE) and (ROOT / TEMPLATE / name).exists()
        if file.suffix == ".py" and not copied:
            yield name, (ROOT / file).read_text(encoding="utf-8")


def check_arrows(run: Run, python: str, folder: Path, contracts: Path, code: int = 0) -> str:
    lint = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return run(python, "-c", lint, "--no-cache", "--no-logo", contracts, cwd=folder, code=code, PYTHONPATH="src:kit")


@pytest.fixture
def everything(bake: Bake) -> Path:
    """A server with every module that the template has."""
    return bake(kubernetes=True, workos_migration=True)


def test_the_arrows_of_a_server_point_one_way(everything: Path, run: Run, python: str) -> None:
    assert "5 kept, 0 broken" in check_arrows(run, python, everything, CONTRACTS)


def test_the_arrows_of_the_example_point_one_way(run: Run, python: str, tmp_path: Path) -> None:
    contracts = tmp_path / CONTRACTS.name
    contracts.write_text(CONTRACTS.read_text(encoding="utf-8").replace("notes_mcp", "coda_mcp"), encoding="utf-8")
    assert "5 kept, 0 broken" in check_arrows(run, python, ROOT / EXAMPLE, contracts)


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("src/stytch_mcp/protect/origins.py", "import mcp", "What protects a server"),
        ("src/stytch_mcp/protect/origins.py", "import stytch_mcp.settings", "arrows point down"),
        ("src/stytch_mcp/health.py", "import stytch_mcp.signin", "arrows point down"),
        ("src/stytch_mcp/placeless.py", "", "arrows point down"),
        ("src/stytch_mcp/health.py", "import notes_mcp", "the other way round"),
        ("kit/stytch_mcp_kit/check/web.py", "import stytch_mcp", "looks at any server"),
        ("kit/stytch_mcp_kit/local/keys.py", "import stytch_mcp_kit.local.mint", "No cycle"),
    ],
)
def test_an_arrow_the_other_way_is_found(
    module: str, line: str, contract: str, everything: Path, run: Run, python: str
) -> None:
    with (everything / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    report = " ".join(check_arrows(run, python, everything, CONTRACTS, code=1).split())
    assert any(contract in part[-120:] for part in report.split(" BROKEN")[:-1])


def test_what_protects_a_server_is_no_starlette_application(everything: Path) -> None:
    for path in (everything / "src" / "stytch_mcp" / "protect").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("starlette"):
                assert node.module in {"starlette.datastructures", "starlette.responses", "starlette.types"}, path


def test_a_long_module_has_a_reason() -> None:
    long = {name for name, text in modules() if len(text.splitlines()) > MOST_LINES}
    assert long == set(REASONS)


def test_every_module_says_its_subject_in_one_line() -> None:
    for name, text in modules():
        if text.strip() and not name.endswith("constants.py"):  # with template variables, so no Python yet
            subject = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
            assert subject.endswith((".", "?", ":")), f"{name}: {subject or 'no docstring'}"


def test_nothing_is_there_that_nobody_uses(tmp_path: Path) -> None:
    parts = [TEMPLATE, "tests", "sitetools", "benchmarks", "hooks", EXAMPLE.as_posix()]
    useless = tmp_path / "useless.py"
    useless.write_text("def nobody_calls_this() -> None: ...\n", encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-m", "vulture", *parts, str(useless)]
    found = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    # Fields of what a tool answers are read by clients.
    field = re.compile(r"/(tools/\w+|github_mcp/upstream)\.py:\d+: unused variable")
    unused = [line for line in found.stdout.splitlines() if not field.search(line)]
    assert found.returncode in (0, 3), found.stderr
    assert [line for line in unused if "nobody_calls_this" in line], "vulture looked at nothing"
    assert not [line for line in unused if "nobody_calls_this" not in line]
