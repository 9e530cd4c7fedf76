"""Before a page or all of its content goes: what would be lost that is more than text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from ..upstream import CodaError, Upstream
from ..upstream.http import Json
from .results import id_of

Loss = Annotated[
    tuple[str, ...], Field(description="IDs of the tables, controls and formulas there that may be lost; ask first")
]
KINDS = (("tables", "table"), ("controls", "control"), ("formulas", "formula"))
MOST = 1000
MOST_NAMED = 20


async def require_allowed_loss(
    upstream: Upstream, doc_id: str, page: Json, allowed: Sequence[str], *, subpages: bool = False
) -> None:
    """Raises CodaError that names what is on the page and is not allowed to be lost; nothing was changed then."""
    endangered = [
        (each["id"], f"{kind} {each.get('name', '')!r} ({each['id']})")
        for path, kind in KINDS
        async for each in upstream.items("docs", doc_id, path, most=MOST, limit=100)
        if id_of(each.get("parent")) == page["id"]
    ]
    if subpages:
        endangered += [
            (child["id"], f"subpage {child.get('name', '')!r} ({child['id']})") for child in page.get("children") or []
        ]
    lost = [words for name, words in endangered if name not in allowed]
    if lost:
        others = f" and {len(lost) - MOST_NAMED} more" if len(lost) > MOST_NAMED else ""
        raise CodaError(
            "would_lose",
            f"Nothing was changed: the page {page.get('name', '')!r} holds {', '.join(lost[:MOST_NAMED])}{others}. "
            "Ask the person, then name in may_lose what may go.",
        )
