"""A client that is not ours: MCP Inspector's CLI against a bake, from no token to a tool call, on both eras."""

import json
import os
import re
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from bake import ROOT
from conftest import needed

LOCK = json.loads((ROOT / "tests" / "inspector" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
BIN = ROOT / "build" / "inspector" / "node_modules" / ".bin"
ERAS = ["legacy", "auto", "modern"]
TOOLS = {"whoami", "search", "fetch", "add_note"}
BEARER = "mcp_token-of-the-inspector-tests"
AUTH_REQUIRED = 3
# Bounds a hang, nothing else.
HANGING_SECONDS = 300


@dataclass
class Said:
    """How a run of Inspector ended."""

    code: int
    out: str
    err: str
    opened: list[str]

    @property
    def result(self) -> Any:
        """The result of the MCP request."""
        assert self.code == 0, self.err
        return json.loads(self.out)["result"]

    @property
    def problem(self) -> Any:
        """The last line on stderr: what went wrong, for machines."""
        return json.loads(self.err.splitlines()[-1])["error"]


Inspect = Callable[..., Said]


@contextmanager
def ending(command: list[str | Path], **how: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone afterwards, whatever happens."""
    with subprocess.Popen([str(part) for part in command], text=True, encoding="utf-8", **how) as process:
        watchdog = threading.Timer(HANGING_SECONDS, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()
            watchdog.cancel()


@pytest.fixture(scope="session")
def inspector() -> Path:
    """Inspector as it was installed."""
    return needed(
        BIN / "mcp-inspector",
        "MCP Inspector",
        "apt-get update",
        "apt-get install --yes --no-install-recommends npm",
        "make build/inspector/installed",
    )


@pytest.fixture(scope="module")
def dev(default: Path, python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The default server as `make dev` starts it, where nobody has to click; `log` is what it wrote."""
    log = tmp_path_factory.mktemp("dev") / "log"
    token = f"inspector|{sha256(BEARER.encode()).hexdigest()}|notes:read"
    variables = {"PYTHONPATH": f"{default / 'src'}:{default / 'kit'}", "BEARER_TOKENS": token}
    command: list[str | Path] = [python, "-m", "notes_mcp", "dev", "--port", "0", "--auto-approve", "--json"]
    with (
        log.open("w") as errors,
        ending(
            command,
            cwd=default,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | variables,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        yield {**json.loads(line), "log": log}


@pytest.fixture
def inspect(inspector: Path, dev: dict[str, Any], tmp_path: Path) -> Inspect:
    """Run Inspector's CLI. It keeps what it learns in a home of the test's; `browse`: log in when it asks for it."""
    # No other PATH: it must not find a browser to open.
    variables = {"HOME": str(tmp_path), "PATH": str(BIN), "NO_COLOR": "1", "MCP_INSPECTOR_SECRET_STORE": "file"}

    def inspected(era: str, method: str, *options: str, browse: bool = False) -> Said:
        command = [BIN / "node", inspector, "--cli", dev["mcp_url"], "--transport", "http", "--protocol-era", era]
        command += ["--callback-url", "http://127.0.0.1:0/oauth/callback", "--format", "json"]
        command += ["--method", method, *options]
        out = tmp_path / "out"
        errors, opened = "", []
        with (
            out.open("w") as output,
            ending(
                command,
                cwd=tmp_path,
                env=variables | {"MCP_AUTO_OPEN_ENABLED": str(browse).lower()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
            ) as process,
        ):
            assert process.stderr is not None
            for line in process.stderr:
                errors += line
                if asked := re.match(r"Please navigate to: (\S+)", line):
                    opened.append(asked[1])
                    open_as_browser(asked[1])
            code = process.wait()
        return Said(code, out.read_text(), errors, opened)

    return inspected


def open_as_browser(url: str) -> None:
    """Follow the redirects to the page that Inspector shows at the end."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as page:
        assert "OAuth complete" in page.read().decode()


def test_every_package_is_locked_by_its_hash_and_not_by_an_address() -> None:
    for name, package in LOCK.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name


def test_node_and_inspector_are_the_locked_ones(inspect: Inspect) -> None:
    assert inspect("legacy", "tools/list", "--version").out.strip() == version("@modelcontextprotocol/inspector")
    said = subprocess.run([BIN / "node", "--version"], capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"v{version('node')}"
    assert said.startswith("v22.")


def version(package: str) -> str:
    return str(LOCK[f"node_modules/{package}"]["version"])


@pytest.mark.parametrize("era", ERAS)
def test_without_a_token_it_knows_that_it_has_to_log_in(era: str, inspect: Inspect) -> None:
    said = inspect(era, "tools/list", "--stored-auth-only")
    assert (said.code, said.out, said.problem["code"]) == (AUTH_REQUIRED, "", "auth_required")


@pytest.mark.parametrize("era", ERAS)
def test_it_logs_in_and_calls(era: str, inspect: Inspect, dev: dict[str, Any]) -> None:
    listed = inspect(era, "tools/list", browse=True)
    assert {tool["name"] for tool in listed.result["tools"]} >= TOOLS
    (asked,) = listed.opened
    assert asked.startswith(f"{dev['issuer']}/")
    assert "scope=notes%3Aread+offline_access" in asked
    called = inspect(era, "tools/call", "--tool-name", "whoami", "--stored-auth-only")
    who = called.result["structuredContent"]
    assert who["issuer"] == dev["issuer"]
    assert who["subject"].startswith("user-test-")
    assert who["client_id"].startswith("connected-app-test-")
    assert f"client_id={who['client_id']}&" in asked
    assert who["scopes"] == ["notes:read", "offline_access"]


@pytest.mark.parametrize("era", ERAS)
def test_it_is_told_when_a_tool_needs_more(era: str, inspect: Inspect, dev: dict[str, Any]) -> None:
    """It does not step up from there: holding a refresh token it only refreshes, which cannot widen the scope."""
    assert inspect(era, "tools/list", browse=True).code == 0
    add = ["--tool-name", "add_note", "--tool-arg", "title=From Inspector", "text=Not allowed to."]
    said = inspect(era, "tools/call", *add, "--stored-auth-only")
    assert (said.code, said.out, said.problem["code"]) == (AUTH_REQUIRED, "", "auth_required")
    assert '"status": 403' in dev["log"].read_text().splitlines()[-1]


@pytest.mark.parametrize("era", ERAS)
def test_a_static_token_comes_in_by_a_header(era: str, inspect: Inspect) -> None:
    header = ["--header", f"Authorization: Bearer {BEARER}"]
    tools = {tool["name"] for tool in inspect(era, "tools/list", *header).result["tools"]}
    assert tools == TOOLS - {"add_note"}, "what it can never do is not shown"
    called = inspect(era, "tools/call", "--tool-name", "whoami", *header)
    assert called.result["structuredContent"]["client_id"] == "inspector"
    wrong = inspect(era, "tools/list", "--stored-auth-only", "--header", "Authorization: Bearer wrong")
    assert (wrong.code, wrong.problem["code"]) == (AUTH_REQUIRED, "auth_required")


def test_its_check_of_portable_schemas_finds_nothing(inspect: Inspect) -> None:
    said = inspect("legacy", "tools/list", "--strict", "--header", f"Authorization: Bearer {BEARER}")
    assert (said.code, said.err) == (0, "")


def test_nothing_secret_is_in_the_log(inspect: Inspect, dev: dict[str, Any]) -> None:
    inspect("modern", "tools/list", "--header", f"Authorization: Bearer {BEARER}")
    inspect("modern", "tools/list", "--stored-auth-only")
    log = dev["log"].read_text()
    assert '"reason": "no_token"' in log
    assert BEARER not in log
    assert "Traceback" not in log
