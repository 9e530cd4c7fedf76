"""What clients see of the tools: names, titles, descriptions, schemas, hints, scopes, toolsets.

As a command it writes that down again, or prints it: python -m tests.own.surface [--print]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio

from coda_mcp.server import assemble
from coda_mcp.upstream import Upstream
from coda_mcp.upstream.settings import TOOLSETS
from stytch_mcp.protect.scopes import needed
from tests.own.rig import settings

FILE = Path(__file__).with_name("tools.json")
COMMAND = "python -m tests.own.surface"


async def surface() -> list[dict[str, Any]]:
    """All tools as the server lists them, in its order."""
    found: list[dict[str, Any]] = []
    for toolset in TOOLSETS:
        async with Upstream(settings("https://coda.io", coda_toolsets=toolset)) as upstream:
            listed = await assemble(upstream).list_tools()
        known = {tool["name"] for tool in found}
        for tool in listed:
            if tool.name not in known:
                written = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
                written["scopes"] = list(needed(written.pop("_meta")))
                found.append({"name": written.pop("name"), "toolset": toolset, **written})
    return found


def written(tools: list[dict[str, Any]]) -> str:
    """As it stands in the file."""
    return json.dumps(tools, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    now = written(anyio.run(surface))
    if "--print" in sys.argv:
        sys.stdout.write(now)
    else:
        FILE.write_text(now, encoding="utf-8")
