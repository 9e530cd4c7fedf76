"""Runs the application under uvicorn, and ends it without cutting a request that is under way."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from contextlib import ExitStack

import structlog
import uvicorn
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette

from stytch_mcp.connection import Connection
from stytch_mcp.settings import Settings

GRACE_SECONDS = 30
POLL_SECONDS = 0.05
CLOSE = (b"connection", b"close")

log = structlog.get_logger("stytch_mcp.serving")


class Server(uvicorn.Server):
    """On shutdown, streams that only wait for events end at once; everything else may finish first.

    Before that it goes on for `drain_seconds` with /ready at 503, and closes each connection after its answer: a proxy
    must not send a request into one that is about to end. SIGINT (Ctrl-C) after that ends it at once.
    """

    def __init__(self, config: uvicorn.Config, drain_seconds: float = 0) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        settle()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        if isinstance(app, Starlette) and hasattr(app.state, "start_draining"):
            app.state.start_draining()
        await self._drain()
        if isinstance(app, Starlette) and hasattr(app.state, "stop_listening"):
            app.state.stop_listening()
        await super().shutdown(sockets)

    async def _drain(self) -> None:
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        ends = time.monotonic() + self._drain_seconds
        while not self.force_exit and time.monotonic() < ends:  # noqa: ASYNC110 - uvicorn sets it from a signal
            await asyncio.sleep(POLL_SECONDS)


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
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        ),
        settings.drain_seconds,
    )
    with ExitStack() as stack:
        if settings.metrics_port is not None:
            try:
                stack.enter_context(app.state.metrics.listening(settings.host, settings.metrics_port))
            except OSError as error:
                log.error("metrics", detail=f"METRICS_PORT {settings.metrics_port} cannot be had: {error.strerror}")
                raise SystemExit(3) from None
        server.run()
