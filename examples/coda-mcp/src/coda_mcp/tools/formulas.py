"""Named formulas and controls: values that live on pages."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..upstream import Upstream
from .fields import Cursor, DocId, Limit
from .registry import Registry
from .results import Named, NamedThings, more


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds the tools for formulas and controls."""

    @tools.read("List formulas")
    async def coda_list_formulas(doc_id: DocId, limit: Limit = 50, cursor: Cursor = None) -> NamedThings:
        """List a doc's named formulas."""
        found = await upstream.page("docs", doc_id, "formulas", cursor=cursor, limit=limit)
        return NamedThings(items=[Named.read(item) for item in found["items"]], **more(found))

    @tools.read("Get a formula")
    async def coda_get_formula(doc_id: DocId, formula: Annotated[str, Field(description="ID or name")]) -> Named:
        """Get the value of a named formula, by ID or name."""
        return Named.read(await upstream.get("docs", doc_id, "formulas", formula))

    @tools.read("List controls")
    async def coda_list_controls(doc_id: DocId, limit: Limit = 50, cursor: Cursor = None) -> NamedThings:
        """List a doc's controls: sliders, select lists, buttons on pages."""
        found = await upstream.page("docs", doc_id, "controls", cursor=cursor, limit=limit)
        return NamedThings(items=[Named.read(item) for item in found["items"]], **more(found))

    @tools.read("Get a control")
    async def coda_get_control(doc_id: DocId, control: Annotated[str, Field(description="ID or name")]) -> Named:
        """Get the value of a control, by ID or name."""
        return Named.read(await upstream.get("docs", doc_id, "controls", control))
