"""docs/reference/coda-tools.md: the tools of the running example, and what other Coda servers have.

As a command (`make example`) it is written again. What the others have, read from their sources, is in
coda_servers.json.
"""

import io
import json
import os
import subprocess
import sys
from typing import Any

import bpe_openai
from bake import ROOT
from example import EXAMPLE
from rich import box
from rich.console import Console
from rich.table import Table

PAGE = ROOT / "docs" / "reference" / "coda-tools.md"
SERVERS = ROOT / "tests" / "coda_servers.json"
COMMAND = "make example"
TOKENIZER = "o200k_base"
# What a model is shown of a tool; hints and scopes are for clients.
SCHEMA = ("name", "title", "description", "inputSchema", "outputSchema")
WIDTH = 1000

Tool = dict[str, Any]
Capability = dict[str, Any]

HEAD = """\
---
title: Coda tools
description: Every tool of the Coda server, beside those of others.
tags:
  - coda
search:
  boost: 2
---

<!-- Made by `make generate`, from tests/coda_tools.py and the running server; `make example` makes it too. -->

# The tools of the Coda server

`examples/coda-mcp` has {count} tools in four toolsets. `core` is always there; `CODA_TOOLSETS` adds `admin`,
`workspace` and `analytics`, or `all`. `CODA_READ_ONLY=true` leaves out every tool that changes something,
`CODA_DOC_IDS` limits all of them to some docs. This page is made from the running server by `{command}`.

The schemas of a toolset (names, titles, descriptions, arguments, results) take, in tokens of `{tokenizer}` as the
package `bpe-openai` counts them: {tokens}.
"""
TOOLS = """
## Tools

Hints: R reads only, D may destroy, I can be repeated without further effect. Every tool reaches out to Coda.
"""
OTHERS = """
## Beside other servers

What each server offers, read from their sources on {date}; the column OFF from directories, so partly UNCONFIRMED. Of
{all} capabilities {ours} are here. The other {missing} are left out because Coda's REST API has no operation for them,
which `coda_guide` tells a model too. Operations for Packs, which one of the servers has, are left out on purpose.
"""
TAIL = """
{legend}
"""


def running() -> list[Tool]:
    """What the example's server says of its tools."""
    said = subprocess.run(
        [sys.executable, "-m", "tests.own.surface", "--print"],
        cwd=ROOT / EXAMPLE,
        env={**os.environ, "PYTHONPATH": "src:kit:.", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    tools: list[Tool] = json.loads(said)
    return tools


def tokens(tools: list[Tool], toolset: str) -> int:
    """What a model pays for a toolset."""
    encoding = bpe_openai.get_encoding(TOKENIZER)
    shown = [{part: tool[part] for part in SCHEMA} for tool in tools if tool["toolset"] == toolset]
    return sum(len(encoding.encode(json.dumps(tool, ensure_ascii=False, separators=(",", ":")))) for tool in shown)


def others() -> dict[str, Any]:
    """The other servers and their capabilities."""
    found: dict[str, Any] = json.loads(SERVERS.read_text(encoding="utf-8"))
    return found


def page(tools: list[Tool]) -> str:
    """The page as it is written."""
    known, names = others(), {tool["name"] for tool in tools}
    capabilities: list[Capability] = known["capabilities"]
    ours = [each for each in capabilities if names.issuperset(each.get("tools", [None]))]
    toolsets = list(dict.fromkeys(tool["toolset"] for tool in tools))
    sizes = ", ".join(f"{name} {tokens(tools, name):,}" for name in toolsets)
    parts = [
        HEAD.format(count=len(tools), command=COMMAND, tokenizer=TOKENIZER, tokens=sizes),
        TOOLS,
        rendered(["tool", "toolset", "scope", "hints", "what it does"], map(_tool, tools)),
        OTHERS.format(
            date=known["read_on"], all=len(capabilities), ours=len(ours), missing=len(capabilities) - len(ours)
        ),
        rendered(
            ["capability", "coda-mcp", *known["servers"]],
            (_capability(each, each in ours, list(known["servers"])) for each in capabilities),
        ),
        TAIL.format(legend="; ".join(f"{key}: {name}" for key, name in known["servers"].items())),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _tool(tool: Tool) -> list[str]:
    hints = tool["annotations"]
    letters = {"R": "readOnlyHint", "D": "destructiveHint", "I": "idempotentHint"}
    short = " ".join(letter for letter, name in letters.items() if hints[name])
    return [f"`{tool['name']}`", tool["toolset"], " ".join(tool["scopes"]), short, tool["description"]]


def _capability(each: Capability, is_ours: bool, servers: list[str]) -> list[str]:
    mine = ", ".join(f"`{name}`" for name in each["tools"]) if is_ours else f"({each.get('not_in_rest', 'missing')})"
    return [each["capability"], mine, *("x" if server in each["peers"] else "" for server in servers)]


def rendered(head: list[str], rows: Any) -> str:
    """A table in Markdown."""
    table = Table(*head, box=box.MARKDOWN, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=WIDTH, markup=False, emoji=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").splitlines())


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(running()), encoding="utf-8")
