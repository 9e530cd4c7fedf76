"""The one place where the parts are put together."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import structlog
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stytch_mcp.admission import accepted_issuers, ways_in
from stytch_mcp.health import Health
from stytch_mcp.protect.gate import MCP_PATH, Gate
from stytch_mcp.protect.issuers import Issuer
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.metadata import (
    AUTHORIZATION_SERVER,
    MAX_AGE_SECONDS,
    PROTECTED_RESOURCE,
    IssuerMetadata,
    protected_resource,
    to_bytes,
)
from stytch_mcp.protect.remote import Clock, Unavailable
from stytch_mcp.protect.scopes import Scope, ScopePolicy, ScopeTable
from stytch_mcp.protocol import Endpoint
from stytch_mcp.settings import Settings
from stytch_mcp.signin import PATHS, sign_in

if TYPE_CHECKING:
    from stytch_mcp.metrics import Metrics

NOT_OAUTH = "AUTH_MODE is cloudflare-access: nobody can log in with OAuth until it is oauth again"

log = structlog.get_logger("stytch_mcp.app")


@dataclass(frozen=True)
class ServerDefinition:
    """What a server's owner defines.

    `build(settings)` is entered when the process starts and left when it ends: clients of the upstream API are opened
    there once and shared by all requests. `scopes` in the order in which they are shown; the first is the basic one.
    """

    name: str
    title: str
    scopes: tuple[Scope, ...]
    settings: type[Settings]
    build: Callable[[Any], AbstractAsyncContextManager[MCPServer[Any]]]


def create_app(
    settings: Settings,
    server: ServerDefinition,
    *,
    client: httpx.AsyncClient | None = None,
    now: Clock = time.time,
    clock: Clock = time.monotonic,
) -> Starlette:
    """The ASGI application.

    `client` asks issuers and Stytch; `now` is seconds since the epoch, `clock` monotonic. All three can be replaced.
    """
    http = client or httpx.AsyncClient(headers={"User-Agent": server.name})
    accepted = accepted_issuers(settings)
    metadata = {issuer.name: IssuerMetadata(issuer, http, clock) for issuer in accepted}
    keys = {issuer.name: Keys(issuer, metadata[issuer.name], http, clock) for issuer in accepted}
    scopes = _scopes(settings, server, accepted[0])
    health = Health(
        [(issuer, keys[issuer.name], metadata[issuer.name]) for issuer in accepted],
        not_oauth=NOT_OAUTH if settings.behind_access else None,
        clock=clock,
    )
    page = sign_in(settings, server.title, server.scopes, now=now, clock=clock)
    metrics = _metrics(settings)
    authenticate, assertion = ways_in(settings, accepted, keys, http, now=now, clock=clock)
    if metrics is not None:
        authenticate = metrics.counting(authenticate)
        assertion = metrics.counting(assertion) if assertion is not None else None
    endpoint = Endpoint(resource=settings.mcp_url, scopes=scopes, max_body_bytes=settings.max_body_bytes, now=now)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.enter_context(_tracing(settings, server))
            await stack.enter_async_context(http)
            if page is not None:
                stack.push_async_callback(page.close)
            with metrics.watching() if metrics else nullcontext():
                mcp_server = await stack.enter_async_context(server.build(settings))
            await stack.enter_async_context(endpoint.run(mcp_server))
            app.state.stop_listening = endpoint.stop_listening
            watch = asyncio.get_running_loop().create_task(health.watch())
            stack.callback(watch.cancel)
            for warning in settings.warnings():
                log.warning("settings", detail=warning)
            yield

    app = Starlette(
        routes=[
            Route("/health", health.health),
            Route("/ready", health.readiness),
            *_metadata_routes(settings, server, accepted, metadata[accepted[0].name], scopes),
            *([Route(PATHS, page)] if page is not None else ()),
        ],
        middleware=[
            Middleware(
                Gate,
                mcp=endpoint,
                public_url=settings.url,
                authenticate=authenticate,
                assertion=assertion,
                scopes=scopes,
                max_body_bytes=settings.max_body_bytes,
                allowed_origins=frozenset(settings.allowed_origins),
                refusals=metrics.refusals if metrics else Counter(),
            )
        ],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.start_draining = health.start_draining
    app.state.metrics = metrics
    return app


def _metrics(settings: Settings) -> Metrics | None:
    if settings.metrics_port is None:
        return None
    from stytch_mcp.metrics import Metrics  # noqa: PLC0415 - an extra

    return Metrics()


def _tracing(settings: Settings, server: ServerDefinition) -> AbstractContextManager[None]:
    if settings.otel_exporter_otlp_endpoint is None:
        return nullcontext()
    from stytch_mcp.tracing import exporting  # noqa: PLC0415 - an extra

    return exporting(settings.otel_exporter_otlp_endpoint, server.name)


def _scopes(settings: Settings, server: ServerDefinition, first: Issuer) -> ScopePolicy:
    custom = settings.scope_mode == "custom"
    default = (server.scopes[0].name,) if custom else ()
    return ScopePolicy(
        ScopeTable(server.scopes),
        required=settings.required_scopes or default,
        basic=("openid",),
        per_tool=custom,
        askable=first.grants_scopes,
    )


def _metadata_routes(
    settings: Settings,
    server: ServerDefinition,
    accepted: list[Issuer],
    first: IssuerMetadata,
    scopes: ScopePolicy,
) -> list[Route]:
    if settings.behind_access:
        return []
    cache = {"Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"}
    document = to_bytes(
        protected_resource(resource=settings.mcp_url, issuers=accepted, scopes=scopes.basic, name=server.title)
    )

    async def resource(_: Request) -> Response:
        return Response(document, headers=cache, media_type="application/json")

    async def authorization_server(_: Request) -> Response:
        try:
            metadata = await first.get()
        except Unavailable as error:
            answer = {"error": "temporarily_unavailable", "error_description": "The authorization server is down."}
            return JSONResponse(answer, 503, {"Retry-After": str(error.retry_after)})
        return Response(metadata.body, headers=cache, media_type="application/json")

    routes = [Route(PROTECTED_RESOURCE + MCP_PATH, resource), Route(PROTECTED_RESOURCE, resource)]
    if settings.serve_as_metadata:
        routes.append(Route(AUTHORIZATION_SERVER, authorization_server))
    return routes
