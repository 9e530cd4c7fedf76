"""Scopes and which tool needs which, from servers that are really put together."""

import importlib
from pathlib import Path
from typing import Any

import anyio
from markdown_text import code, page, table, text

ROOT = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, Any] = {
    "public_url": "http://127.0.0.1:8000",
    "stytch_project_id": "project-test-00000000-0000-4000-8000-000000000000",
    "stytch_domain": "http://127.0.0.1:8001",
    "upstream_token": "t",
    "coda_api_token": "t",
    "coda_toolsets": "all",
}


def pages() -> dict[str, str]:
    """reference/scopes.md"""
    content = [
        "A scope is what a person allows an application to do. With `SCOPE_MODE=simple` none of these is asked for: whoever may "
        "come in may use every tool. With `SCOPE_MODE=custom` they must exist in Stytch under the same names: "
        "[Scopes and RBAC](../how-to/scopes.md). A scope includes those in the column *includes*, so a token with "
        "`notes:write` may also read.",
        "## The generated server",
        *anyio.run(_server, "notes_mcp", True),
    ]
    if (ROOT / "examples" / "coda-mcp").exists():
        content += ["## The Coda server", *anyio.run(_server, "coda_mcp", False)]
        content.append("Which of its tools needs which scope: [Coda tools](coda-tools.md).")
    return {"docs/reference/scopes.md": page("Scopes", "Every scope, and which tool needs it.", ["scopes"], *content)}


async def _server(package: str, with_tools: bool) -> list[str]:
    definition = importlib.import_module(f"{package}.server").SERVER
    rows = [
        (code(scope.name), text(scope.description), " ".join(code(each.name) for each in scope.implies))
        for scope in definition.scopes
    ]
    parts = [table(["Scope", "In the words of the consent page", "Includes"], rows)]
    if with_tools:
        from stytch_mcp.protect.scopes import needed

        async with definition.build(definition.settings(_env_file=None, **SETTINGS)) as server:
            tools = await server.list_tools()
        parts.append(
            table(
                ["Tool", "What it does", "Needs"],
                [(code(tool.name), text(tool.title), " ".join(map(code, needed(tool.meta)))) for tool in tools],
            )
        )
    return parts
