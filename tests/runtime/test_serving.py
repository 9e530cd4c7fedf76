"""The process around the application."""

from __future__ import annotations

import gc
import socket

import pytest
import uvicorn

from stytch_mcp import serving

pytestmark = pytest.mark.anyio


async def test_what_has_come_to_stay_is_not_walked_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector's longest pauses were walks through modules, tools and schemas that never go."""

    async def started(_: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        assert gc.get_freeze_count() == 0, "not before all is there"

    monkeypatch.setattr(uvicorn.Server, "startup", started)
    server = serving.Server(uvicorn.Config("nowhere:app", log_config=None))
    try:
        await server.startup()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()
