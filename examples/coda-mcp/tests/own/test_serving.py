"""The server as a process: what it writes down, what it keeps open, how much of a page it reads."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from coda_mcp.upstream import Upstream
from local.app import create_app
from local.coda.config import Config
from tests.own.cases import DOC, HOME
from tests.own.rig import CODA_TOKEN, Wire, listening, served, settings, url_of
from tests.own.test_every_tool import error_of
from tests.servers import ROOT, free_port, running, wait_for

pytestmark = pytest.mark.anyio

STATIC_TOKEN = "mcp_token-of-this-test"


def post(url: str, tool: str, **arguments: str) -> httpx.Response:
    params = {"name": tool, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"Authorization": f"Bearer {STATIC_TOKEN}", "Accept": "application/json, text/event-stream"}
    headers["MCP-Protocol-Version"] = "2025-11-25"
    return httpx.post(f"{url}/mcp", json=body, headers=headers, timeout=60, trust_env=False)


@pytest.mark.e2e
def test_no_token_no_link_and_nothing_of_a_doc_is_in_the_log(tmp_path: Path) -> None:
    app = create_app(Config(limits=False))
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    with listening() as socket_, running(app, socket_, "on"), log.open("w") as written:
        environment = {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "kit")]),
            "PUBLIC_URL": url,
            "PORT": str(port),
            "STYTCH_DOMAIN": "http://127.0.0.1:9",
            "STYTCH_PROJECT_ID": "project-test-00000000-0000-4000-8000-000000000000",
            "SCOPE_MODE": "custom",
            "BEARER_TOKENS": f"test|{hashlib.sha256(STATIC_TOKEN.encode()).hexdigest()}|coda:admin",
            "UPSTREAM_URL": url_of(socket_),
            "CODA_API_TOKEN": CODA_TOKEN,
        }
        command = [sys.executable, "-m", "coda_mcp", "serve", "--env-file", os.devnull]
        with subprocess.Popen(command, env={**os.environ, **environment}, stderr=written, cwd=ROOT) as child:
            try:
                wait_for(f"{url}/health", child)  # type: ignore[arg-type]
                assert "Everything that was" in post(url, "coda_read_page", doc_id=DOC, page=HOME).text
                assert "not_found" in post(url, "coda_get_doc", doc_id="secret-doc-id").text
                assert "Field required" in post(url, "coda_get_page", doc_id="secret-doc-id").text
            finally:
                child.terminate()
    said = log.read_text()
    assert said
    for secret in (CODA_TOKEN, STATIC_TOKEN, "X-Amz-Signature", "Everything that was", "secret-doc-id", "Traceback"):
        assert secret not in said, secret


async def test_its_connections_are_closed_with_it() -> None:
    closed: list[Wire] = []

    class Noting(Wire):
        async def aclose(self) -> None:
            closed.append(self)
            await super().aclose()

    wire = Noting()
    async with Upstream(settings("http://127.0.0.1:9"), transport=wire):
        assert not closed
    assert wire in closed


async def test_a_page_larger_than_allowed_is_given_up() -> None:
    with served(coda_export_max_bytes=1_048_576) as rig:
        rig.control("lines", doc=DOC, page=HOME, count=20_000, length=100)
        async with rig.client() as client:
            error = error_of(await client.call_tool("coda_read_page", {"doc_id": DOC, "page": HOME}))
    assert error["error"] == "too_large"


async def test_the_client_does_compare_results_with_the_schema() -> None:
    """The proof that a result beside its schema would be noticed in every test with this client."""
    with served() as rig:
        async with rig.client() as client:
            tools = (await client.list_tools()).tools
            tool = next(tool for tool in tools if tool.name == "coda_whoami")
            assert tool.output_schema is not None
            client.session._tool_output_schemas["coda_whoami"] = {"type": "object", "required": ["nonsense"]}
            client.session._tool_output_validators.clear()
            with pytest.raises(RuntimeError, match="nonsense"):
                await client.call_tool("coda_whoami")
