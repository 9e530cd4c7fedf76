"""Runs the application under uvicorn, and ends it without cutting a request that is under way."""

from __future__ import annotations

import gc
import socket

import uvicorn
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette

from stytch_mcp.settings import Settings

GRACE_SECONDS = 30


class Server(uvicorn.Server):
    """On shutdown, streams that only wait for events end at once; everything else may finish first."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        settle()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        if isinstance(app, Starlette) and hasattr(app.state, "stop_listening"):
            app.state.stop_listening()
        await super().shutdown(sockets)


def settle() -> None:
    """What has come to stay is no garbage: walking through all of it again and again held up requests."""
    gc.collect()
    gc.freeze()


def run(app: Starlette, settings: Settings) -> None:
    """Serves until SIGINT or SIGTERM. Exits the process with uvicorn's code when it cannot start."""
    # The only event streams here are answers to requests in flight, and sse-starlette would cut them off.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
    server = Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    server.run()
    if not server.started:
        raise SystemExit(3)
