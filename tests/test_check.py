"""`check` from outside: generated servers at every depth, in both scope modes; and installed as the docs say."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bake import ROOT
from conftest import Run
from generators.reason_codes import SENT_BY, SENT_BY_NONE

EXAMPLE = ROOT / "examples" / "coda-mcp"
SERVERS = ["default", *([EXAMPLE.name] if EXAMPLE.is_dir() else [])]
# What has no meaning on loopback, or for a server without sessions that answers lists as JSON.
ELSEWHERE = {"TR-02", "TR-06", "TR-07", "PT-25", "PT-26", "PT-27"}
# With SCOPE_MODE=simple no scope of the server's own is asked for, so none can be missing.
SIMPLE = {f"SC-{number:02}" for number in range(1, 8)}
# Bounds a hang, nothing else.
HANGING_SECONDS = 120


def package(folder: Path) -> str:
    (found,) = [path.parent.name for path in (folder / "src").glob("*/server.py")]
    return found


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join(str(folder / part) for part in ("src", "kit", "."))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}


@contextmanager
def dev(folder: Path, **settings: str) -> Iterator[dict[str, Any]]:
    """A server with its local Stytch, as `dev --auto-approve` starts them."""
    command = [sys.executable, "-m", package(folder), "dev", "--port", "0", "--auto-approve", "--json"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**environment(folder), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None
        try:
            line = child.stdout.readline()
            assert line, "dev ended before it was ready"
            yield json.loads(line)
        finally:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(HANGING_SECONDS)


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python, with what a server imports."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=HANGING_SECONDS,
        check=False,
    )


def minted(found: dict[str, Any]) -> str:
    """An access token of the local Stytch."""
    request = urllib.request.Request(  # noqa: S310
        f"{found['test_controls']}/mint", data=b"{}", headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return str(json.load(answer)["token"])


@pytest.fixture
def folder(request: pytest.FixtureRequest, default: Path) -> Path:
    return default if request.param == "default" else EXAMPLE


@pytest.mark.parametrize("mode", ["custom", "simple"])
@pytest.mark.parametrize("folder", SERVERS, indirect=True)
def test_a_generated_server_passes_everything(folder: Path, mode: str) -> None:
    with dev(folder, SCOPE_MODE=mode) as found:
        for options in ([], ["--register"], ["--token", minted(found)], ["--login"], ["--full"]):
            done = ran(folder, "-m", package(folder), "check", found["mcp_url"], "--format", "json", *options)
            assert done.returncode == 0, done.stdout + done.stderr
            checks = {check["id"]: check["status"] for check in json.loads(done.stdout)["checks"]}
            assert not [name for name, status in checks.items() if status in ("fails", "not reached")]
    assert len(checks) >= 60
    expected = ELSEWHERE | (SIMPLE if mode == "simple" else set())
    assert {name for name, status in checks.items() if status != "holds"} == expected


# Runs the checks one after the other, and prints which refusals each of them met.
WATCH = """if True:
    import json, sys

    import anyio
    import httpx

    from stytch_mcp.protect.reasons import ALL
    from stytch_mcp_kit.check import clients, runner
    from stytch_mcp_kit.check.areas import CHECKS

    codes = {(each.status, each.description): each.code for each in ALL}
    met = {}
    now = []

    class Watching(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request):
            answer = await super().handle_async_request(request)
            if answer.status_code < 400:
                return answer
            body = b"".join([piece async for piece in answer.stream])
            await answer.aclose()
            try:
                said = json.loads(body)["error_description"]
            except (ValueError, KeyError, TypeError):
                said = ""
            now.append(codes.get((answer.status_code, said)))
            return httpx.Response(answer.status_code, headers=answer.headers.raw, stream=httpx.ByteStream(body))

    async def in_turn(walk, options, on_result):
        results = []
        for check in CHECKS:
            now.clear()
            results.append(await runner.outcome(walk, check))
            met[check.id] = [code for code in now if code]
        return results

    runner.run_checks = in_turn
    options = runner.Options(sys.argv[1], full=True, transport=Watching())
    report = anyio.run(runner.run, options, clients.load())
    print(json.dumps({"all": [each.code for each in ALL], "met": met, "exit_code": report.exit_code}))
"""


def test_the_checks_of_a_reason_code_meet_it(default: Path) -> None:
    """What reference/reason-codes.md says."""
    with dev(default) as found:
        done = ran(default, "-c", WATCH, found["mcp_url"])
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["exit_code"] == 0
    assert sorted([*SENT_BY, *SENT_BY_NONE]) == sorted(said["all"])
    for reason, checks in SENT_BY.items():
        assert [check for check in checks if reason in said["met"][check]] == checks, reason
    assert not {reason for met in said["met"].values() for reason in met} & set(SENT_BY_NONE)


@pytest.fixture(scope="module")
def clone(default: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds a server where the example is."""
    repository = tmp_path_factory.mktemp("clone")
    shutil.copytree(default, repository / "examples" / "coda-mcp")
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "-m", "A server"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    return repository


def test_one_line_runs_it_from_a_repository(clone: Path, run: Run, tmp_path: Path) -> None:
    """The line of the docs, with a clone on this machine for the URL; the machine's certificates count, as for pip."""
    source = f"git+{clone.as_uri()}#subdirectory=examples/coda-mcp/kit"
    command = (Path(sys.executable).parent / "uvx", "-q", "--from", source, "mcp-check", "--explain", "CH-06")
    said = run(*command, cwd=tmp_path, UV_SYSTEM_CERTS="1")
    assert said.startswith("CH-06  the challenge says which scope to ask for")


def test_an_installed_kit_is_enough(clone: Path, run: Run, default: Path, tmp_path: Path) -> None:
    """Its own declared dependencies, and nothing of a server."""
    venv.create(tmp_path / "venv", with_pip=True)
    bin_ = tmp_path / "venv" / "bin"
    run(bin_ / "python", "-m", "pip", "install", "-q", "./kit", cwd=clone / "examples" / "coda-mcp")
    run(bin_ / "python", "-c", "import importlib.util as u; assert u.find_spec('mcp') is None", cwd=tmp_path)
    with dev(default) as found:
        said = run(bin_ / "mcp-check", found["mcp_url"], "--full", cwd=tmp_path)
    assert "0 MUST fail" in said
