"""`dev`: everything starts, says so, and ends together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from stytch_mcp_kit import dev
from stytch_mcp_kit.ports import reserve

pytestmark = pytest.mark.e2e

KIT = Path(dev.__file__).parents[1]
Start = Callable[..., "subprocess.Popen[str]"]

MAIN = """
import os, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

print("words of the child", flush=True)
if "DIES" in os.environ:
    sys.exit(3)

async def settings(request):
    return JSONResponse({**os.environ, "ENV_FILE": sys.argv[-1]})

app = Starlette(routes=[Route("/ready", settings)])
uvicorn.run(app, host=os.environ["HOST"], port=int(os.environ["PORT"]), log_level="warning")
"""
UPSTREAM = """
from starlette.applications import Starlette

def create_app():
    return Starlette()
"""
RUN = """
import sys
from types import SimpleNamespace as Some
from stytch_mcp_kit.dev import run
import click

@click.command()
@click.argument("port", type=int)
@click.option("--json", "as_json", is_flag=True)
@click.option("--auto-approve", is_flag=True)
def main(port, as_json, auto_approve):
    server = Some(name="some-mcp", scopes=(Some(name="some:read", description="Read"),))
    run(server, "some_mcp", port, auto_approve, as_json)

main()
"""


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """A project with a server of no account, and `dev` for it."""
    files = {
        "src/some_mcp/__init__.py": "",
        "src/some_mcp/__main__.py": MAIN,
        "src/stytch_mcp/__init__.py": "",
        "run.py": RUN,
    }
    for name, text in {**files, "local/app.py": UPSTREAM}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(tmp_path / "src"), str(KIT), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(
            [sys.executable, str(tmp_path / "run.py"), *arguments],
            env={**os.environ, "PYTHONPATH": path, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return dict(json.loads(line))


def test_the_owners_settings_for_working_offline_are_read(start: Start, tmp_path: Path) -> None:
    (tmp_path / "local" / "dev.env").write_text("SOME_API_KEY=known-to-the-stand-in\n")
    process = start("0", "--json")
    with httpx.Client(trust_env=False) as http:
        settings = http.get(ready(process)["mcp_url"].replace("/mcp", "/ready")).json()
    assert settings["ENV_FILE"] == str(tmp_path / "local" / "dev.env")
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_one_line_when_ready_and_a_clean_end(start: Start, how: signal.Signals) -> None:
    process = start("0", "--json", "--auto-approve", SCOPE_MODE="simple", PORT="1")
    urls = ready(process)
    assert set(urls) == {"mcp_url", "issuer", "test_controls", "upstream"}
    with httpx.Client(trust_env=False) as http:
        settings = http.get(urls["mcp_url"].replace("/mcp", "/ready")).json()
        metadata = http.get(f"{urls['issuer']}/.well-known/oauth-authorization-server").json()
        assert http.get(f"{urls['test_controls']}/settings").status_code == 200
        assert http.get(urls["upstream"]).status_code == 404
    assert metadata["issuer"] == settings["STYTCH_DOMAIN"] == urls["issuer"]
    assert metadata["authorization_endpoint"] == f"{urls['test_controls']}/authorize"
    assert "some:read" in metadata["scopes_supported"]
    assert urls["mcp_url"] == f"{settings['PUBLIC_URL']}/mcp"
    assert settings["UPSTREAM_URL"] == urls["upstream"]
    assert settings["SCOPE_MODE"] == "simple", "what the caller sets stays"
    assert settings["ALLOWED_EMAIL_DOMAINS"] == "example.com"
    assert settings["PORT"] != "1"
    assert settings["ENV_FILE"] == os.devnull
    process.send_signal(how)
    output, log = process.communicate()
    assert process.returncode == 0, log
    assert output == ""
    assert "words of the child" in log
    assert "Traceback" not in log
    for url in (urls["mcp_url"], urls["issuer"], urls["upstream"]):
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)


def test_the_panel_names_everything_a_person_needs(start: Start) -> None:
    process = start("0")
    assert process.stdout is not None
    panel = ""
    while "Ctrl-C" not in panel:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        panel += line
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0
    for words in ("some-mcp is protected and ready", "local Stytch (issuer)", "ada@example.com, code 000000"):
        assert words in panel
    assert "claude mcp add --transport http some http://127.0.0.1:" in panel


def test_the_command_is_printed_as_it_can_be_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`make dev` runs in a shell that does not have the server's environment on its PATH."""
    programs = tmp_path / "some" / ".venv" / "bin"
    programs.mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.chdir(tmp_path / "some")
    assert dev.typed("some-mcp") == "some-mcp"  # not installed: `python -m some_mcp`
    (programs / "some-mcp").touch(0o755)
    assert dev.typed("some-mcp") == str(Path(".venv", "bin", "some-mcp"))
    monkeypatch.chdir(programs.parent)
    assert dev.typed("some-mcp") == str(Path("bin", "some-mcp"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert dev.typed("some-mcp") == str(programs / "some-mcp")
    monkeypatch.setenv("PATH", str(programs))
    assert dev.typed("some-mcp") == "some-mcp"


def test_without_auto_approve_the_page_is_the_servers(start: Start) -> None:
    process = start("0", "--json")
    urls = ready(process)
    metadata = httpx.get(f"{urls['issuer']}/.well-known/oauth-authorization-server", trust_env=False).json()
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert metadata["authorization_endpoint"] == urls["mcp_url"].replace("/mcp", "/oauth/authorize")


def test_a_part_that_stops_by_itself_ends_everything(start: Start) -> None:
    process = start("0", "--json", DIES="1")
    output, log = process.communicate()
    assert (process.returncode, output) == (1, "")
    assert "some-mcp stopped by itself with status 3" in log
    assert "Traceback" not in log


def test_a_taken_port_is_named_before_anything_starts(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        process = start(str(taken - 1))
        output, log = process.communicate()
    assert (process.returncode, output) == (1, "")
    assert f"port {taken} (local Stytch) is taken" in log
    assert "--port" in log
    assert "words of the child" not in log


def test_a_port_that_is_none_is_named(start: Start) -> None:
    with pytest.raises(click.ClickException, match=r"port 65536 \(second\) cannot be used"):
        reserve(65535, ["first", "second"])


def test_reserved_ports_differ_and_are_given_back() -> None:
    ports = reserve(0, ["first", "second", "third"])
    numbers = {reservation.port for reservation in ports.values()}
    assert len(numbers) == 3
    for reservation in ports.values():
        reservation.close()
    for number in numbers:
        socket.create_server(("127.0.0.1", number)).close()


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(click.ClickException, match="no_such_package"):
        dev.project_root("no_such_package")


def test_workos_among_the_issuers_starts_local_authkit_with_the_users_who_moved(start: Start) -> None:
    process = start("0", "--json", "--auto-approve", AUTH_ISSUERS="workos, stytch")
    urls = ready(process)
    with httpx.Client(trust_env=False) as http:
        settings = http.get(urls["mcp_url"].replace("/mcp", "/ready")).json()
        metadata = http.get(f"{urls['authkit']}/.well-known/oauth-authorization-server").json()
        key = {"Authorization": f"Bearer {settings['WORKOS_API_KEY']}"}
        (ada,) = http.get(
            f"{urls['authkit']}/user_management/users", params={"email": "ada@example.com"}, headers=key
        ).json()["data"]
        credentials = (settings["STYTCH_PROJECT_ID"], settings["STYTCH_SECRET"])
        same = http.get(f"{urls['issuer']}/v1/users/{ada['external_id']}", auth=credentials).json()
        assert same["emails"][0]["email"] == "ada@example.com"
    assert settings["WORKOS_DOMAIN"] == metadata["issuer"] == urls["authkit"]
    assert settings["WORKOS_DEFAULT_SCOPES"] == "some:read"
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate()
    assert process.returncode == 0, log
    with pytest.raises(httpx.ConnectError):
        httpx.get(urls["authkit"], trust_env=False)


def test_a_part_that_is_left_out_keeps_its_place() -> None:
    with pytest.raises(click.ClickException, match=r"^port 65536 \(third\) cannot be used"):
        reserve(65534, ["first", None, "third"])
