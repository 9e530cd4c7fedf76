"""What a doc's authors prepared: buttons and automations. And what became of any change."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ..upstream import CodaError, Upstream
from .fields import ColumnRef, DocId, RowRef, TableRef, Wait
from .registry import Registry
from .results import Change, change


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds `coda_get_mutation_status`, `coda_push_button` and `coda_trigger_automation`."""

    @tools.read("Status of a change")
    async def coda_get_mutation_status(
        request_id: Annotated[str, Field(description="From the change")],
        wait_seconds: Annotated[int, Field(ge=0, le=60, description="Wait so long for it to be applied")] = 0,
    ) -> Change:
        """Tell whether a pending change has been applied. Coda remembers it for about a day."""
        outcome = await upstream.mutations.status(request_id)
        if wait_seconds and (outcome is None or outcome.status == "pending"):
            outcome = await upstream.mutations.wait(request_id, upstream.timing.now() + wait_seconds)
        if outcome is None:
            raise CodaError("not_found", "Coda does not know this change: too new, too old, or a wrong request_id.")
        return Change(status=outcome.status, request_id=request_id, warning=outcome.warning)

    @tools.write("Push a button", destructive=True)
    async def coda_push_button(
        doc_id: DocId, table: TableRef, row: RowRef, column: ColumnRef, wait: Wait = True
    ) -> Change:
        """Push a row's button. It does whatever its author made it do. Never repeated by itself."""
        pushed = await upstream.send("POST", "docs", doc_id, "tables", table, "rows", row, "buttons", column)
        return change(pushed, await upstream.outcome(pushed, wait), id=pushed.get("rowId"))

    @tools.write("Trigger an automation", destructive=True)
    async def coda_trigger_automation(
        doc_id: DocId,
        rule_id: Annotated[str, Field(description="grid-auto-..., from the automation's menu in Coda")],
        payload: Annotated[dict[str, Any] | None, Field(description="What its webhook step gets")] = None,
        wait: Wait = True,
    ) -> Change:
        """Start an automation that waits for a webhook. Never repeated by itself."""
        started = await upstream.send("POST", "docs", doc_id, "hooks", "automation", rule_id, body=payload or {})
        return change(started, await upstream.outcome(started, wait))
