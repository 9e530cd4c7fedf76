"""One `tools/call`, as the official client sends it in both eras of the protocol."""

from __future__ import annotations

import json
from typing import Any, Final

LEGACY: Final = "2025-11-25"
MODERN: Final = "2026-07-28"
META: Final = "io.modelcontextprotocol"


def message(era: str, tool: str) -> dict[str, Any]:
    """The JSON-RPC request."""
    params: dict[str, Any] = {"name": tool, "arguments": {}}
    if era == MODERN:
        params["_meta"] = {
            f"{META}/protocolVersion": era,
            f"{META}/clientInfo": {"name": "bench", "version": "1"},
            f"{META}/clientCapabilities": {},
        }
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def body(era: str, tool: str) -> bytes:
    """The same as bytes."""
    return json.dumps(message(era, tool)).encode()


def headers(era: str, tool: str, token: str) -> dict[str, str]:
    """What goes with it."""
    names = {"Mcp-Method": "tools/call", "Mcp-Name": tool} if era == MODERN else {}
    return {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": era,
        "Authorization": f"Bearer {token}",
        **names,
    }
