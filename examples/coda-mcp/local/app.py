"""A stand-in for Coda's API, in memory, which `dev` starts beside the server. What it knows is in `coda/`.

Like the real one it answers nothing but its own tokens: one of an MCP client that leaked through would be refused.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from local.coda import (
    account,
    analytics,
    automations,
    blobs,
    controls,
    docs,
    domains,
    edits,
    exports,
    folders,
    formulas,
    links,
    page_edits,
    pages,
    publishing,
    rows,
    sharing,
    tables,
    workspaces,
)
from local.coda.config import Config
from local.coda.faults import Faults
from local.coda.log import RequestLog
from local.coda.seed import plant
from local.coda.wire import ApiError, RawPath, refuse, refuse_http, refuse_unexpected
from local.coda.world import World

API = (
    account,
    links,
    docs,
    folders,
    pages,
    page_edits,
    exports,
    tables,
    rows,
    edits,
    formulas,
    automations,
    sharing,
    publishing,
    domains,
    workspaces,
    analytics,
)


def create_app(config: Config | None = None) -> Starlette:
    """A Coda of its own: nothing is shared between two applications. Its state is `app.state.coda`."""
    app = Starlette(
        routes=[route for module in (*API, blobs, controls) for route in module.ROUTES],
        middleware=[Middleware(RawPath), Middleware(RequestLog), Middleware(Faults)],
        exception_handlers={ApiError: refuse, HTTPException: refuse_http, Exception: refuse_unexpected},
    )
    app.state.coda = World(config or Config(), plant)
    return app
