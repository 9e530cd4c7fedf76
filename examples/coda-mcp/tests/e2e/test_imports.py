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

AUTHORIZATION = {
    "client_id": "connected-app-test-1",
    "redirect_uri": "https://client.example/callback",
    "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
}
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
        async with http_client(mcp_url, memory) as signed_in, connect(mcp_url, signed_in, mode) as client:
            await call_as(client, memory)
    async with httpx.AsyncClient() as http:
        (imported,) = [modules for command, modules in imports(folder) if " serve " in command]
        assert not {"stytch_mcp.signin.site", "cryptography.fernet"} & imported
        assert (await http.get(mcp_url.replace("/mcp", "/health"))).status_code == 200
        assert (await http.post(mcp_url)).status_code == 401
        page = mcp_url.replace("/mcp", "/oauth/authorize")
        assert (await http.get(page, params=AUTHORIZATION, follow_redirects=True)).status_code == 200
        (imported,) = [modules for command, modules in imports(folder) if " serve " in command]
        assert {"stytch_mcp.app", "mcp.server.mcpserver", "httpx", "stytch_mcp.signin.site"} <= imported
        assert not {name for name in imported if name.partition(".")[0] in ("stytch", "aiohttp")}
        # The first log-in is the first use of the SDK.
        shown = await http.get(page, params=AUTHORIZATION, follow_redirects=True)
        csrf = shown.text.partition('name="csrf" value="')[2].partition('"')[0]
        form = {"csrf": csrf, "email": "ada@example.com", "kind": "email-code"}
        assert (await http.post(shown.url, data=form)).status_code == 303
    (imported,) = [modules for command, modules in imports(folder) if " serve " in command]
    assert {name for name in imported if name.startswith("stytch.")}


def imports(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """Per process: its command, and the modules it has imported or tried to."""
    for notes in folder.glob("*.imports"):
        command, *modules = notes.read_text(encoding="utf-8").splitlines()
        yield command, set(modules)
