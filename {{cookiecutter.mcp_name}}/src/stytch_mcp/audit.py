"""The audit log: one line of JSON for each thing that somebody did or was refused. Never a token, code or argument.

Lines go to the logger `stytch_mcp.audit`, in one form whatever LOG_FORMAT says: they are for machines.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from structlog.contextvars import bound_contextvars

from stytch_mcp.protect.gate import PRINCIPAL
from stytch_mcp.protect.issuers import Principal

Event = Literal["log_in", "log_out", "refusal", "consent", "denial", "disconnect", "tool_call"]

LONGEST = 120
MOST_NAMES = 32

logger = logging.getLogger("stytch_mcp.audit")


def new_request_id() -> str:
    """An ID that ties the lines of one request together."""
    return secrets.token_hex(8)


def record(event: Event, request_id: str, **fields: str | float | list[str] | None) -> None:
    """Writes one line. Texts are cut to 120 characters."""
    if logger.isEnabledFor(logging.INFO):
        shown = {name: value[:LONGEST] if isinstance(value, str) else value for name, value in fields.items()}
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        logger.info(json.dumps({"audit": event, "time": stamp, "request_id": request_id, **shown}))


async def tool_calls(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """MCP middleware: a line for each tool call, with the names of its arguments, its outcome and its milliseconds."""
    if ctx.method != "tools/call" or ctx.request_id is None or ctx.request is None:
        return await call_next(ctx)
    principal: Principal = ctx.request.scope[PRINCIPAL]
    request_id, began, outcome = new_request_id(), time.perf_counter(), "cancelled"
    try:
        with bound_contextvars(request_id=request_id):
            result = await call_next(ctx)
        outcome = "error" if _is_error(result) else "ok"
    except Exception:
        outcome = "refused"
        raise
    else:
        return result
    finally:
        name, arguments = _call(ctx.params)
        record(
            "tool_call",
            request_id,
            subject=principal.subject,
            issuer=principal.issuer,
            client_id=principal.client_id,
            tool=name,
            arguments=arguments,
            outcome=outcome,
            milliseconds=round((time.perf_counter() - began) * 1000, 1),
        )


def _is_error(result: HandlerResult) -> bool:
    if isinstance(result, Mapping):
        return bool(result.get("isError"))
    return bool(getattr(result, "is_error", False))


def _call(params: Mapping[str, Any] | None) -> tuple[str, list[str]]:
    """The name of the tool, and the names of what it was given, each cut: a client chooses them."""
    asked = params or {}
    arguments = asked.get("arguments")
    names = list(arguments)[:MOST_NAMES] if isinstance(arguments, Mapping) else []
    return str(asked.get("name")), [str(name)[:LONGEST] for name in names]
