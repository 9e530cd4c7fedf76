"""How a tool gets into the server: which ones, with which hints, scopes and schemas, and what form its answers have."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import anyio
import structlog
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    TextContent,
    ToolAnnotations,
)
from pydantic import BaseModel, TypeAdapter, ValidationError

from stytch_mcp import Scope, needs

from ..upstream import CodaError, Upstream
from ..upstream.calls import YES
from ..upstream.settings import Toolset
from .guard import Question
from .schemas import lean, lean_result
from .scopes import ADMIN, READ, WRITE

log = structlog.get_logger("coda_mcp.tools")

# Everything in a call ends at its deadline by itself; this is for what does not.
GRACE_SECONDS = 10.0
OVERDUE = "It took too long and was given up. Whether a change was carried out is unknown: look before you try again."

P = ParamSpec("P")
ResultT = TypeVar("ResultT", bound=BaseModel)
Function = Callable[P, Awaitable[ResultT]]


class Registry:
    """Registers the tools of one toolset, if the settings ask for it.

    Admin and workspace tools need the admin scope, reading included: they show who has access to what.
    """

    def __init__(self, server: MCPServer, upstream: Upstream, toolset: Toolset) -> None:
        self._server = server
        self._enabled = toolset in upstream.settings.coda_toolsets
        self._read_only = upstream.settings.coda_read_only
        self._seconds = upstream.settings.coda_call_seconds + GRACE_SECONDS
        self._admin = toolset in ("admin", "workspace")

    def read(self, title: str, *, idempotent: bool = True) -> Callable[[Function[P, ResultT]], Function[P, ResultT]]:
        """A tool that changes nothing in Coda."""
        hints = ToolAnnotations(
            read_only_hint=True, destructive_hint=False, idempotent_hint=idempotent, open_world_hint=True
        )
        return self._tool(title, hints, ADMIN if self._admin else READ)

    def write(
        self, title: str, *, destructive: bool = False, idempotent: bool = False
    ) -> Callable[[Function[P, ResultT]], Function[P, ResultT]]:
        """A tool that changes something. `destructive`: something may be lost by it."""
        hints = ToolAnnotations(
            read_only_hint=False, destructive_hint=destructive, idempotent_hint=idempotent, open_world_hint=True
        )
        return self._tool(title, hints, ADMIN if self._admin else WRITE)

    def _tool(
        self, title: str, hints: ToolAnnotations, scope: Scope
    ) -> Callable[[Function[P, ResultT]], Function[P, ResultT]]:
        def register(function: Function[P, ResultT]) -> Function[P, ResultT]:
            if self._enabled and (hints.read_only_hint or not self._read_only):
                self._add(function, title, hints, scope)
            return function

        return register

    def _add(self, function: Function[P, ResultT], title: str, hints: ToolAnnotations, scope: Scope) -> None:
        @functools.wraps(function)
        async def answer(*args: P.args, **kwargs: P.kwargs) -> CallToolResult | InputRequiredResult:
            try:
                with anyio.fail_after(self._seconds):
                    result = await function(*args, **kwargs)
            except TimeoutError:
                return failure(CodaError("timeout", OVERDUE, retryable=hints.read_only_hint is True))
            except Question as question:
                return asked(question)
            except CodaError as error:
                return failure(error)
            except (KeyError, TypeError, ValidationError) as error:
                # Coda's answers come from outside; what is missing in one is no reason to fall.
                log.warning("coda_answer", tool=function.__name__, detail=f"{type(error).__name__}: {_where(error)}")
                return failure(CodaError("bad_answer", "Coda gave an answer that is not understood.", retryable=True))
            content = result.model_dump(mode="json")
            text = result.model_dump_json()
            return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=content)

        self._server.add_tool(
            answer,
            title=title,
            description=inspect.cleandoc(function.__doc__ or "").replace("\n", " "),
            annotations=hints,
            meta=needs(scope),
        )
        tool = _registered(self._server, function.__name__)
        tool.parameters = lean(tool.parameters)
        model = tool.fn_metadata.output_model
        tool.fn_metadata.output_schema = lean_result(TypeAdapter(model).json_schema(by_alias=False))


def asked(question: Question) -> InputRequiredResult:
    """For the client to show, and to call again with the answer."""
    form = {"type": "object", "properties": {YES: {"type": "boolean", "title": "Yes"}}, "required": [YES]}
    params = ElicitRequestFormParams(message=question.message, requested_schema=form)
    return InputRequiredResult(input_requests={question.key: ElicitRequest(params=params)})


def failure(error: CodaError) -> CallToolResult:
    """Without structured content: clients check that against the schema of a success."""
    return CallToolResult(content=[TextContent(type="text", text=str(error))], is_error=True)


def _where(error: Exception) -> str:
    """Names of fields only: values are people's data."""
    if isinstance(error, ValidationError):
        return ", ".join(".".join(map(str, each["loc"])) for each in error.errors(include_input=False))
    return str(error)[:100] if isinstance(error, KeyError) else ""


def _registered(server: MCPServer, name: str) -> Tool:
    tool = server._tool_manager.get_tool(name)  # noqa: SLF001 - the SDK has no other way to a leaner schema
    assert tool is not None
    return tool
