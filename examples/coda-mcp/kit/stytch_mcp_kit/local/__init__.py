"""A stand-in for Stytch's HTTP surface on this machine: Connected Apps, users, members, sessions, log-in.

The real `stytch` SDK talks to it, real MCP clients register and log in with it, and a resource server
fetches its keys. What Stytch never has is under `/_test/` (see `controls`).
"""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from stytch_mcp_kit.local import (
    authorize,
    clients,
    controls,
    discovery,
    login,
    member_login,
    members,
    oauth,
    registration,
    sessions,
    users,
)
from stytch_mcp_kit.local.config import Config, Seed, Settings
from stytch_mcp_kit.local.faults import Faults, RequestLog
from stytch_mcp_kit.local.state import Project
from stytch_mcp_kit.local.wire import ApiError, refuse, refuse_http

__all__ = ["Config", "Seed", "Settings", "create_app"]

MAX_BODY_BYTES = 256 * 1024
MODULES = (
    discovery,
    registration,
    oauth,
    authorize,
    clients,
    users,
    members,
    login,
    member_login,
    sessions,
    controls,
)


def create_app(config: Config) -> Starlette:
    """A project of its own: nothing is shared between two applications. Its state is `app.state.project`."""
    app = Starlette(
        routes=[route for module in MODULES for route in module.ROUTES],
        middleware=[Middleware(RequestLog), Middleware(Faults), Middleware(PublicCORS)],
        exception_handlers={ApiError: refuse, HTTPException: refuse_http},
        max_body_size=MAX_BODY_BYTES,
    )
    app.state.project = Project(config)
    return app


class PublicCORS:
    """Any web page may read the discovery documents and use the OAuth endpoints, and nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.cors = CORSMiddleware(
            app, allow_origins=["*"], allow_methods=["GET", "POST"], allow_headers=["*"], max_age=600
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_public = "/.well-known/" in path or "/oauth2/" in path or "/jwks/" in path
        await (self.cors if is_public else self.app)(scope, receive, send)
