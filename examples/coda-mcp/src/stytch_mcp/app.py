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

from stytch_mcp.health import Health
from stytch_mcp.protect import issuers
from stytch_mcp.protect.bearer import BearerTokens
from stytch_mcp.protect.gate import MCP_PATH, Authenticate, Gate
from stytch_mcp.protect.issuers import Issuer, Principal
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.metadata import (
    AUTHORIZATION_SERVER,
    MAX_AGE_SECONDS,
    PROTECTED_RESOURCE,
    IssuerMetadata,
    protected_resource,
    to_bytes,
)
from stytch_mcp.protect.policy import AccessPolicy
from stytch_mcp.protect.reasons import OAUTH_IS_OFF, Refused
from stytch_mcp.protect.remote import Clock, Unavailable
from stytch_mcp.protect.revocation import Revocation
from stytch_mcp.protect.scopes import Scope, ScopePolicy, ScopeTable
from stytch_mcp.protect.subjects import Subjects, WorkosSubjects
from stytch_mcp.protect.verifier import Verifier
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
    authenticate, assertion = _ways_in(settings, accepted, keys, http, now=now, clock=clock)
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


def accepted_issuers(settings: Settings) -> list[Issuer]:
    """Whose tokens are accepted; the first is advertised first."""
    return [_PRESETS[name](settings) for name in settings.accepted_issuers]


def _stytch(settings: Settings) -> Issuer:
    assert settings.stytch_domain is not None
    assert settings.stytch_project_id is not None
    audience = {"project": settings.stytch_project_id, "resource": settings.mcp_url}
    return issuers.stytch(settings.stytch_domain, audience.get(settings.stytch_audience, settings.stytch_audience))


def _oidc(settings: Settings) -> Issuer:
    assert settings.oidc_issuer is not None
    return issuers.oidc(settings.oidc_issuer, settings.oidc_audience or settings.mcp_url)


def _workos(settings: Settings) -> Issuer:
    assert settings.workos_domain is not None
    audience = settings.workos_audience or settings.mcp_url
    return issuers.workos(settings.workos_domain, audience, settings.workos_default_scopes)


def _cloudflare_access(settings: Settings) -> Issuer:
    assert settings.cf_access_team_domain is not None
    assert settings.cf_access_aud is not None
    return issuers.cloudflare_access(
        settings.cf_access_team_domain,
        settings.cf_access_aud,
        settings.cf_access_scopes,
        settings.cf_access_service_tokens,
    )


_PRESETS: dict[str, Callable[[Settings], Issuer]] = {
    "stytch": _stytch,
    "workos": _workos,
    "oidc": _oidc,
    "cloudflare_access": _cloudflare_access,
}


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


def _ways_in(
    settings: Settings,
    accepted: list[Issuer],
    keys: dict[str, Keys],
    http: httpx.AsyncClient,
    *,
    now: Clock,
    clock: Clock,
) -> tuple[Authenticate, Authenticate | None]:
    """Who judges the Authorization header, and who the assertion of Cloudflare Access, if that counts."""
    bearer = BearerTokens(settings.bearer_tokens, now)
    verifier = Verifier([(issuer, keys[issuer.name]) for issuer in accepted], now=now, clock=clock)
    policy = AccessPolicy(
        settings.rules, _stytch_subjects(settings, http, clock), _workos_subjects(settings, http, clock)
    )
    revocation = _revocation(settings, http, now, clock)

    async def authenticate(token: str) -> Principal:
        principal = bearer.find(token)
        if principal is None:
            principal = await verifier.verify(token)
            await policy.admit(principal)
            if revocation is not None:
                await revocation.check(principal)
        return principal

    async def only_static(token: str) -> Principal:
        principal = bearer.find(token)
        if principal is None:
            raise Refused(OAUTH_IS_OFF, "AUTH_MODE is cloudflare-access")
        return principal

    async def assertion(token: str) -> Principal:
        principal = await verifier.verify(token)
        await policy.admit(principal)
        return principal

    return (only_static, assertion) if settings.behind_access else (authenticate, None)


def _workos_subjects(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> WorkosSubjects | None:
    if "workos" not in settings.accepted_issuers or settings.workos_api_key is None:
        return None
    assert settings.workos_domain is not None
    api_key = settings.workos_api_key.get_secret_value()
    return WorkosSubjects(http, domain=settings.workos_domain, api_key=api_key, clock=clock)


def _stytch_subjects(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> Subjects | None:
    if "stytch" not in settings.accepted_issuers or settings.stytch_secret is None:
        return None
    assert settings.stytch_domain is not None
    assert settings.stytch_project_id is not None
    return Subjects(
        http,
        domain=settings.stytch_domain,
        project_id=settings.stytch_project_id,
        secret=settings.stytch_secret.get_secret_value(),
        clock=clock,
    )


def _revocation(settings: Settings, http: httpx.AsyncClient, now: Clock, clock: Clock) -> Revocation | None:
    if settings.stytch_revocation_seconds is None or "stytch" not in settings.accepted_issuers:
        return None
    assert settings.stytch_domain is not None
    assert settings.stytch_project_id is not None
    assert settings.stytch_secret is not None
    return Revocation(
        http,
        domain=settings.stytch_domain,
        project_id=settings.stytch_project_id,
        secret=settings.stytch_secret.get_secret_value(),
        seconds=settings.stytch_revocation_seconds,
        now=now,
        clock=clock,
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
