"""One call of a tool: how long it may take, and where its progress goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext

from .timing import Timing

Report = Callable[[float, float | None, str | None], Awaitable[None]]


async def _nobody(progress: float, total: float | None, message: str | None) -> None:
    """Nobody asked."""


@dataclass
class Call:
    """`deadline` in the seconds of `Timing.now`."""

    deadline: float
    report: Report = _nobody
    progress: float = 0.0

    async def tell(self, message: str, step: float = 1.0, total: float | None = None) -> None:
        """Progress that always grows, as MCP wants it, to whoever asked for it."""
        self.progress += step
        await self.report(self.progress, total, message)


_current: ContextVar[Call | None] = ContextVar("coda_call", default=None)


class Calls:
    """Gives every request of MCP its call."""

    def __init__(self, seconds: float, timing: Timing) -> None:
        self._seconds = seconds
        self._timing = timing

    @property
    def current(self) -> Call:
        """The call that is being answered; a new one where there is none."""
        return _current.get() or Call(self._timing.now() + self._seconds)

    @property
    def middleware(self) -> ServerMiddleware[Any]:
        """For the MCP server: the time of a request begins when it gets there."""

        async def begin(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
            token = _current.set(Call(self._timing.now() + self._seconds, ctx.session.report_progress))
            try:
                return await call_next(ctx)
            finally:
                _current.reset(token)

        return begin
