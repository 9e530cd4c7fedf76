"""One call of a tool: how long it may take, where its progress goes, and what the person has said to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from .timing import Timing

YES = "allow"
"""The field of a question's form."""

Report = Callable[[float, float | None, str | None], Awaitable[None]]


async def _nobody(progress: float, total: float | None, message: str | None) -> None:
    """Nobody asked."""


@dataclass
class Call:
    """`deadline` in the seconds of `Timing.now`."""

    deadline: float
    report: Report = _nobody
    can_ask: bool = False
    """Whether the client shows questions to a person (MCP 2026-07-28, elicitation as an input request)."""
    answers: Mapping[str, bool] = field(default_factory=dict)
    """What the person said to the questions of an earlier round, by the key of the question."""
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
            deadline = self._timing.now() + self._seconds
            token = _current.set(Call(deadline, ctx.session.report_progress, _can_ask(ctx), _answers(ctx)))
            try:
                return await call_next(ctx)
            finally:
                _current.reset(token)

        return begin


def _can_ask(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Older revisions ask over a connection that is not there: requests are answered one by one."""
    capabilities = ctx.session.client_capabilities
    modern = ctx.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS
    return modern and capabilities is not None and capabilities.elicitation is not None


def _answers(ctx: ServerRequestContext[Any, Any]) -> Mapping[str, bool]:
    responses = (ctx.params or {}).get("inputResponses")
    if not isinstance(responses, Mapping):
        return {}
    return {key: _is_yes(response) for key, response in responses.items()}


def _is_yes(response: object) -> bool:
    if not isinstance(response, Mapping) or response.get("action") != "accept":
        return False
    content = response.get("content")
    return isinstance(content, Mapping) and content.get(YES) is True
