"""Everything that is answered before MCP sees a request: pure ASGI, in one order for all methods and revisions.

Health -> Host -> Origin -> CORS preflight -> token and policy -> body limit -> scopes. No byte of a body is read
before the token is accepted.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import structlog
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stytch_mcp.protect import reasons
from stytch_mcp.protect.issuers import Principal
from stytch_mcp.protect.metadata import PROTECTED_RESOURCE
from stytch_mcp.protect.origins import PublicUrl
from stytch_mcp.protect.reasons import Refused
from stytch_mcp.protect.scopes import ScopePolicy

MCP_PATH = "/mcp"
HEALTH_PATHS = ("/health", "/ready")
# Pages for people, which judge by themselves where their forms come from; no other origin may read them.
PAGES = "/oauth/"
ACCESS_ASSERTION = b"cf-access-jwt-assertion"
METHODS = "GET, POST, DELETE, OPTIONS"
PREFLIGHT_SECONDS = 600
UNAUTHORIZED = 401
REQUEST_HEADERS = (
    "Authorization, Content-Type, Accept, Last-Event-ID, MCP-Protocol-Version, MCP-Session-Id, Mcp-Method, Mcp-Name"
)
RESPONSE_HEADERS = "WWW-Authenticate, MCP-Session-Id, Retry-After, X-Request-Id"

PRINCIPAL = "stytch_mcp.principal"
MESSAGE = "stytch_mcp.message"

Authenticate = Callable[[str], Awaitable[Principal]]

PREFLIGHT = {
    "Access-Control-Allow-Methods": METHODS,
    "Access-Control-Allow-Headers": REQUEST_HEADERS,
    "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
}

log = structlog.get_logger("stytch_mcp.gate")


class Disconnected(Exception):
    """The client went away before its request was complete."""


@dataclass
class Gate:
    """ASGI middleware, and the only way to the endpoint `mcp`: no route leads there.

    `authenticate` turns a bearer string into an admitted principal or raises Refused. An accepted request carries its
    `Principal` as `scope[PRINCIPAL]` and the parsed JSON-RPC message, if there is one, as `scope[MESSAGE]`. `refusals`
    counts by reason code. `assertion` judges what Cloudflare Access vouches for; it is None in OAuth mode, where that
    header counts for nothing and clients are told where to log in.
    """

    app: ASGIApp
    mcp: ASGIApp
    public_url: PublicUrl
    authenticate: Authenticate
    scopes: ScopePolicy
    max_body_bytes: int
    allowed_origins: frozenset[str] = frozenset()
    assertion: Authenticate | None = None
    refusals: Counter[str] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in HEALTH_PATHS:
            await self.app(scope, receive, send)
            return
        origins = header(scope, b"origin")
        try:
            self._check_host(header(scope, b"host"))
            send = self._with_cors(scope, origins, send)
            self._check_origin(scope, origins)
            if scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method"):
                await Response(status_code=204, headers=PREFLIGHT)(scope, receive, send)
                return
            app = self.mcp if is_mcp(scope) else self.app
            if app is self.mcp:
                if self.assertion is None:
                    principal = await self.authenticate(bearer_token(scope))
                else:
                    principal = await self._behind_access(scope, self.assertion)
                scope[PRINCIPAL] = principal
                if scope["method"] == "POST":
                    receive = await self._check_message(scope, receive, principal)
        except Refused as refused:
            await self._refuse(scope, refused)(scope, receive, send)
            return
        except Disconnected:
            return
        await app(scope, receive, send)

    async def _behind_access(self, scope: Scope, judge: Authenticate) -> Principal:
        """What Cloudflare Access vouches for goes before any Authorization header; that counts without it alone."""
        assertions = header(scope, ACCESS_ASSERTION)
        if not assertions and not header(scope, b"authorization"):
            raise Refused(reasons.NO_ASSERTION)
        if not assertions:
            return await self.authenticate(bearer_token(scope))
        refuse_token_in_query(scope)
        if len(assertions) > 1:
            raise Refused(reasons.REPEATED_HEADER, f"{len(assertions)} assertions of Cloudflare Access")
        return await judge(assertions[0].strip())

    def _check_host(self, hosts: list[str]) -> None:
        if not self.public_url.is_host(hosts):
            raise Refused(reasons.WRONG_HOST, f"Host is {', '.join(hosts)[:100]!r}")

    def _check_origin(self, scope: Scope, origins: list[str]) -> None:
        """MCP, Streamable HTTP, "Security": an Origin that is present and not allowed is refused.

        The documents under /.well-known are for everyone, so browsers may read them from anywhere.
        """
        judged = origins and not is_public(scope) and not is_page(scope)
        if judged and (len(origins) > 1 or not self._is_allowed(origins[0])):
            raise Refused(reasons.WRONG_ORIGIN, f"Origin is {', '.join(origins)[:100]!r}")

    def _is_allowed(self, origin: str) -> bool:
        return origin == self.public_url.origin or origin in self.allowed_origins

    def _with_cors(self, scope: Scope, origins: list[str], send: Send) -> Send:
        if is_public(scope):
            allowed = "*"
        elif origins and self._is_allowed(origins[0]) and not is_page(scope):
            allowed = origins[0]
        else:
            return send

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["Access-Control-Allow-Origin"] = allowed
                answer["Access-Control-Expose-Headers"] = RESPONSE_HEADERS
                answer.add_vary_header("Origin")
            await send(message)

        return send_with_cors

    async def _check_message(self, scope: Scope, receive: Receive, principal: Principal) -> Receive:
        body = await read_body(scope, receive, self.max_body_bytes)
        scope[MESSAGE] = message = parse_message(body)
        needed = self.scopes.of_message(message.get("method"), message.get("params"))
        if not self.scopes.allows(principal.scopes, needed):
            raise Refused(
                reasons.INSUFFICIENT_SCOPE,
                # What it has is not written down: an issuer may put anything there, and as much as it likes.
                f"needs {' '.join(needed)!r}, lacks {' '.join(self.scopes.lacking(principal.scopes, needed))!r}",
                issuer=principal.issuer,
                client_id=principal.client_id,
                scopes=needed,
            )
        return replay(body, receive)

    def _refuse(self, scope: Scope, refused: Refused) -> Response:
        reason = refused.reason
        request_id = secrets.token_hex(8)
        self.refusals[reason.code] += 1
        log.info(
            "refused",
            reason=reason.code,
            detail=refused.detail,
            issuer=refused.issuer,
            client_id=refused.client_id,
            method=scope["method"],
            # Of any other path nothing is written down: somebody may have put a token there.
            path=MCP_PATH if is_mcp(scope) else "(other)",
            request_id=request_id,
            status=reason.status,
        )
        answer = {"error": reason.error or reason.code, "error_description": reason.description}
        response = JSONResponse(answer, reason.status, {"Cache-Control": "no-store", "X-Request-Id": request_id})
        if reason.status == UNAUTHORIZED or reason.error == "insufficient_scope":
            response.headers["WWW-Authenticate"] = self._challenge(refused)
        if refused.retry_after is not None:
            response.headers["Retry-After"] = str(refused.retry_after)
        return response

    def _challenge(self, refused: Refused) -> str:
        """RFC 6750 section 3 with RFC 9728 section 5.1; no `error` when there was no token at all.

        Behind Cloudflare Access there is no metadata, and nobody who could be asked for scopes.
        """
        parameters = {}
        if self.assertion is None:
            parameters["resource_metadata"] = f"{self.public_url.origin}{PROTECTED_RESOURCE}{MCP_PATH}"
            parameters["scope"] = " ".join(refused.scopes or self.scopes.basic)
        if refused.reason.error is not None:
            parameters["error"] = refused.reason.error
            parameters["error_description"] = refused.reason.description
        return " ".join(["Bearer", ", ".join(f'{name}="{value}"' for name, value in parameters.items())]).strip()


def is_mcp(scope: Scope) -> bool:
    """Whether a request is for the MCP endpoint; a closing slash makes no difference."""
    path: str = scope["path"]
    return path.rstrip("/") == MCP_PATH


def is_public(scope: Scope) -> bool:
    """Whether a request is for a document that anyone may read."""
    path: str = scope["path"]
    return path.startswith("/.well-known/")


def is_page(scope: Scope) -> bool:
    """Whether a request is for a page of the sign-in."""
    path: str = scope["path"]
    return path.startswith(PAGES)


def header(scope: Scope, name: bytes) -> list[str]:
    """Every value of a header, in the order in which they came; `name` in lower case, as ASGI has it."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def bearer_token(scope: Scope) -> str:
    """The token of the one `Authorization: Bearer` header (RFC 6750 section 2.1). Raises Refused."""
    refuse_token_in_query(scope)
    values = header(scope, b"authorization")
    if not values:
        raise Refused(reasons.NO_TOKEN)
    if len(values) > 1:
        raise Refused(reasons.REPEATED_HEADER, f"{len(values)} Authorization headers")
    scheme, _, token = values[0].strip().partition(" ")
    if scheme.lower() != "bearer":
        # The scheme itself is not written down: without one, the token stands in its place.
        raise Refused(reasons.NO_TOKEN, "the scheme is not Bearer")
    return token.strip()


def refuse_token_in_query(scope: Scope) -> None:
    """A token in the URL (RFC 6750 section 2.3) ends up in logs. Raises Refused."""
    query = scope["query_string"]
    if query and any(name == "access_token" for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)):
        raise Refused(reasons.TOKEN_IN_QUERY)


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises Refused (413) as soon as it is known to be over the limit."""
    for announced in header(scope, b"content-length"):
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
            raise Refused(reasons.BODY_TOO_LARGE, f"content-length {announced[:20]}")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > limit:
            raise Refused(reasons.BODY_TOO_LARGE, f"more than {limit} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def parse_message(body: bytes) -> dict[str, Any]:
    """The JSON-RPC message, or nothing: what is not one request is for the SDK to answer.

    Raises Refused (400) for what this parser does not read: another parser behind it must not be more tolerant.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(reasons.NOT_JSON) from None
    return message if isinstance(message, dict) else {}


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that was already read, then whatever comes next."""
    pending = True

    async def receive_again() -> Message:
        nonlocal pending
        if pending:
            pending = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receive_again
