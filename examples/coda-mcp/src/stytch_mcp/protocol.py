"""The MCP endpoint behind the gate: the official SDK, stateless, all its protocol revisions on one URL.

Quick calls answer JSON. A call that asks for progress answers as a stream, and so does one on 2026-07-28 that takes
long: progress arrives, no proxy gives up, and closing the stream cancels the tool.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, INVALID_REQUEST
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stytch_mcp import audit
from stytch_mcp.protect.gate import ACCESS_ASSERTION, MESSAGE, PRINCIPAL
from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.remote import Clock
from stytch_mcp.protect.scopes import SECURITY_SCHEMES, ScopePolicy, needed
from stytch_mcp.protect.verifier import LEEWAY_SECONDS

# Where a credential of the caller may stand, its own or what Cloudflare adds: no tool may see or pass on one.
CREDENTIALS = frozenset({b"authorization", b"cookie", ACCESS_ASSERTION, b"cf-access-client-secret", b"cf-access-token"})
# A stream that ended before its first byte would be a request without an answer: a 500.
SHORTEST_STREAM_SECONDS = 1.0


class Endpoint:
    """ASGI app for `/mcp`. Serves only requests that the gate let through, between entering and leaving `run()`."""

    _json: StreamableHTTPSessionManager
    _stream: StreamableHTTPSessionManager
    _server: MCPServer[Any]

    def __init__(self, *, resource: str, scopes: ScopePolicy, max_body_bytes: int, now: Clock = time.time) -> None:
        self._now = now
        self._resource = resource
        self._scopes = scopes
        self._max_body_bytes = max_body_bytes
        self._dispatch = AuthContextMiddleware(self._serve)
        self._listening: set[anyio.CancelScope] = set()

    @asynccontextmanager
    async def run(self, server: MCPServer[Any]) -> AsyncIterator[None]:
        """Learns which scopes the server's tools need and opens the SDK's transports."""
        self._scopes.protect({tool.name: needed(tool.meta) for tool in await server.list_tools()})
        server.middleware.extend((audit.tool_calls, self._check_and_describe))
        self._server = server
        self._json = _manager(server, json_response=True, max_body_bytes=self._max_body_bytes)
        self._stream = _manager(server, json_response=False, max_body_bytes=self._max_body_bytes)
        async with self._json.run(), self._stream.run():
            yield

    def stop_listening(self) -> None:
        """Ends the streams that only wait for events (`subscriptions/listen`): they would hold up a shutdown."""
        for stream in list(self._listening):
            stream.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal: Principal = scope[PRINCIPAL]
        if scope["method"] != "POST":
            await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)
            return
        scope = {
            **scope,
            "user": AuthenticatedUser(self._access_token(principal)),
            "headers": _without_credentials(scope),
        }
        if scope[MESSAGE].get("method") != "subscriptions/listen":
            await self._dispatch(scope, receive, send)
            return
        # It could stay open for ever; whoever listens on comes again, and is judged again.
        ends = math.inf if principal.expires_at is None else principal.expires_at + LEEWAY_SECONDS - self._now()
        ends = max(ends, SHORTEST_STREAM_SECONDS)
        with anyio.CancelScope(deadline=anyio.current_time() + ends) as stream:
            self._listening.add(stream)
            try:
                await self._dispatch(scope, receive, send)
            finally:
                self._listening.discard(stream)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        manager = self._stream if _wants_stream(scope) else self._json
        await manager.handle_request(scope, receive, send)

    def _access_token(self, principal: Principal) -> AccessToken:
        """What `get_access_token()` gives to tools: everything but the token, which no tool may pass on."""
        return AccessToken(
            token="",
            client_id=principal.client_id,
            scopes=sorted(self._scopes.table.expand(principal.scopes)),
            expires_at=None if principal.expires_at is None else int(principal.expires_at),
            resource=self._resource,
            subject=principal.subject,
            claims={**principal.claims, "iss": principal.issuer},
        )

    async def _check_and_describe(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Judges once more what the SDK read from the body, and says in `tools/list` which scopes each tool needs."""
        assert ctx.request is not None
        if ctx.request_id is None:  # a notification: it calls nothing, and has no answer for an error to go into
            return await call_next(ctx)
        principal: Principal = ctx.request.scope[PRINCIPAL]
        if not self._scopes.allows(principal.scopes, self._scopes.of_message(ctx.method, ctx.params)):
            raise MCPError(INVALID_REQUEST, "insufficient scope")
        if ctx.method == "prompts/get":
            await self._check_prompt(ctx.params or {})
        result = await call_next(ctx)
        if ctx.method == "tools/list" and isinstance(result, dict):
            result["tools"] = [tool for tool in result["tools"] if self._may_show(principal, tool["name"])]
            for tool in result["tools"]:
                schemes = [{"type": "oauth2", "scopes": list(self._advertised(principal, tool["name"]))}]
                tool[SECURITY_SCHEMES] = schemes
                tool["_meta"] = {**tool.get("_meta", {}), SECURITY_SCHEMES: schemes}
        return result

    async def _check_prompt(self, params: Mapping[str, Any]) -> None:
        """MCP, prompts, "Error Handling": -32602, the client's mistake. The SDK logs a traceback as if it were ours."""
        given = params.get("arguments")
        arguments = given if isinstance(given, Mapping) else {}
        prompts = await self._server.list_prompts()
        prompt = next((each for each in prompts if each.name == params.get("name")), None)
        if prompt is None:
            raise MCPError(INVALID_PARAMS, "Unknown prompt")
        if any(each.required and each.name not in arguments for each in prompt.arguments or ()):
            raise MCPError(INVALID_PARAMS, "Missing required arguments")

    def _advertised(self, principal: Principal, tool: str) -> tuple[str, ...]:
        """Only what can be had by asking: some clients ask for all that stands here."""
        return (self._scopes.of_tool(tool) if principal.can_step_up else ()) or self._scopes.basic

    def _may_show(self, principal: Principal, tool: str) -> bool:
        """Tools are hidden only from those who could never get the scopes for them."""
        return principal.can_step_up or self._scopes.allows(principal.scopes, self._scopes.of_tool(tool))


def _manager(server: MCPServer[Any], *, json_response: bool, max_body_bytes: int) -> StreamableHTTPSessionManager:
    server.streamable_http_app(
        json_response=json_response,
        stateless_http=True,
        max_request_body_size=max_body_bytes,
        # The gate has checked Host and Origin against PUBLIC_URL; the SDK only knows loopback.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return server.session_manager


def _wants_stream(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    if "text/event-stream" not in headers.get("accept", ""):
        return False
    version = headers.get("mcp-protocol-version")
    if version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS:
        return True
    return _progress_token(scope[MESSAGE]) is not None


def _progress_token(message: Mapping[str, Any]) -> object:
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, Mapping) else None
    return meta.get("progressToken") if isinstance(meta, Mapping) else None


def _without_credentials(scope: Scope) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in scope["headers"] if name not in CREDENTIALS]
