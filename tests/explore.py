"""The example under `dev`, as a person meets it who has just cloned it: log in, look around, write something.

As a command: python tests/explore.py FOLDER, with its src, kit and tests on the path.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio


async def explore(urls: dict[str, Any]) -> None:
    """Prints what is found on the way."""
    from tests.sdk_client import logged_in  # type: ignore[import-not-found] # noqa: PLC0415 - of the server's own

    async with logged_in(urls["mcp_url"]) as client:
        for doc in (await client.call_tool("coda_list_docs")).structured_content["items"]:
            print(doc["name"])
        (doc,) = (await client.call_tool("coda_list_docs", {"query": "bakery"})).structured_content["items"]
        added = await client.call_tool(
            "coda_upsert_rows", {"doc_id": doc["id"], "table": "Pantry", "rows": [{"Ingredient": "Stardust"}]}
        )
        assert added.structured_content["status"] == "applied", added
        members = await client.call_tool("coda_list_workspace_members", {"workspace_id": "ws-OwlHill01"})
        assert not members.is_error, members


def main(folder: Path) -> None:
    """Runs the server on free ports until the client has seen everything."""
    command = [sys.executable, "-m", "coda_mcp", "dev", "--port", "0", "--auto-approve", "--json"]
    with subprocess.Popen(command, cwd=folder, env=dict(os.environ), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            anyio.run(explore, json.loads(process.stdout.readline()))
        finally:
            process.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
