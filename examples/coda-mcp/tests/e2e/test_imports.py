"""What the serving process imports: the Stytch SDK is for the sign-in page alone, and costs memory and time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.sdk_client import Memory, Mode, call_as, connect, http_client
from tests.servers import ROOT, package, process

pytestmark = [pytest.mark.anyio, pytest.mark.e2e]

MODES: list[Mode] = ["auto", "legacy"]

# Python runs it before anything else. Every process writes down what it imports, in a file of its own.
NOTE_IMPORTS = """
import os, sys

def note(event, arguments):
    if event == "import":
        os.write(notes, arguments[0].encode() + b"\\n")

notes = os.open(os.path.join(os.path.dirname(__file__), f"{os.getpid()}.imports"), os.O_CREAT | os.O_WRONLY)
os.write(notes, " ".join(sys.orig_argv[1:]).encode() + b"\\n")
sys.addaudithook(note)
"""


@pytest.fixture
def noted(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The MCP URL of an unmodified server whose imports are noted in a folder."""
    (tmp_path / "sitecustomize.py").write_text(NOTE_IMPORTS, encoding="utf-8")
    path = os.pathsep.join(map(str, [tmp_path, ROOT / "src", ROOT / "kit", ROOT]))
    arguments = (package(), "dev", "--port", "0", "--json", "--auto-approve")
    with process(*arguments, PYTHONPATH=path) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line, child.communicate()[1]
        yield json.loads(line)["mcp_url"], tmp_path


async def test_serving_does_not_import_the_stytch_sdk(noted: tuple[str, Path]) -> None:
    mcp_url, folder = noted
    for mode in MODES:
        memory = Memory()
        async with http_client(mcp_url, memory) as http, connect(mcp_url, http, mode) as client:
            await call_as(client, memory)
    async with httpx.AsyncClient() as plain:
        assert (await plain.get(mcp_url.replace("/mcp", "/health"))).status_code == 200
        assert (await plain.post(mcp_url)).status_code == 401
    (imported,) = [modules for command, modules in imports(folder) if " serve " in command]
    assert {"stytch_mcp.app", "mcp.server.mcpserver", "httpx"} <= imported
    assert not {name for name in imported if name.partition(".")[0] == "stytch"}


def imports(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """Per process: its command, and the modules it has imported or tried to."""
    for notes in folder.glob("*.imports"):
        command, *modules = notes.read_text(encoding="utf-8").splitlines()
        yield command, set(modules)
