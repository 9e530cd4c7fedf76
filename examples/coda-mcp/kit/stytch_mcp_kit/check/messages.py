"""JSON-RPC messages as clients of each MCP revision send them, and what is read from the answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from stytch_mcp_kit.check.registry import shown
from stytch_mcp_kit.check.web import Answer, parse

MODERN: Final = "2026-07-28"
LEGACY: Final = ("2025-03-26", "2025-06-18", "2025-11-25")
LATEST: Final = "2025-11-25"
"""The newest revision with `initialize`: what hosted clients are known to speak."""
META: Final = "io.modelcontextprotocol/"
NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


def legacy_body(method: str, params: Mapping[str, Any] | None, version: str, number: int | None) -> bytes:
    """A message; without a number a notification."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if number is not None:
        message["id"] = number
    if params is not None:
        message["params"] = dict(params)
    return json.dumps(message).encode()


def modern_body(method: str, params: Mapping[str, Any] | None, version: str, number: int | None) -> bytes:
    meta = {
        f"{META}protocolVersion": version,
        f"{META}clientCapabilities": {},
        f"{META}clientInfo": {"name": "mcp-check", "version": "0.1"},
    }
    return legacy_body(method, {"_meta": meta, **(params or {})}, version, number)


def modern_headers(version: str, method: str, params: Mapping[str, Any]) -> dict[str, str]:
    """Required on every POST of 2026-07-28."""
    headers = {"mcp-protocol-version": version, "mcp-method": method}
    name = params.get(NAMED.get(method, ""))
    return headers | ({"mcp-name": name} if isinstance(name, str) else {})


@dataclass(frozen=True)
class Reply:
    """An answer of the endpoint with the JSON-RPC message in it, if there is one."""

    answer: Answer
    message: dict[str, Any]

    @classmethod
    def read(cls, answer: Answer) -> "Reply":
        body = answer.body
        if answer.media_type == "text/event-stream":
            body = last_event(answer)
        values, _ = parse(body)
        return cls(answer, values if isinstance(values, dict) else {})

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def result(self) -> dict[str, Any] | None:
        value = self.message.get("result")
        return value if isinstance(value, dict) and self.status == 200 else None

    @property
    def error(self) -> dict[str, Any]:
        value = self.message.get("error")
        return value if isinstance(value, dict) else {}

    @property
    def code(self) -> object:
        return self.error.get("code")

    @property
    def says(self) -> str:
        """The status with the error's code."""
        return f"{self.answer.says}, code {shown(self.code)}" if self.code is not None else self.answer.says


def last_event(answer: Answer) -> bytes:
    """The data of the last event that is an answer."""
    request = httpx2.Request("POST", "http://checked.invalid")
    headers = {"content-type": "text/event-stream"}
    response = httpx2.Response(200, headers=headers, content=answer.body, request=request)
    found = ""
    try:
        for event in httpx2.EventSource(response):
            if '"result"' in event.data or '"error"' in event.data:
                found = event.data
    except (httpx2.HTTPError, UnicodeError, ValueError):
        return b""
    return found.encode()
