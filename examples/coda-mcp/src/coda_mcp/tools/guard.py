"""Before a page or all of its content goes: what would be lost that is more than text.

Who asks the person: the client, if it can show a question; otherwise the model, which then names in `may_lose` what may
go. The key of the question names what it was about, so that a yes is never taken for more than that.
"""

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
KEY = "may_lose:"


class Question(Exception):
    """Something that the person has to be asked before the tool can go on."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key
        self.message = message


async def require_allowed_loss(
    upstream: Upstream, doc_id: str, page: Json, allowed: Sequence[str], *, subpages: bool = False
) -> None:
    """Raises CodaError that names what is on the page and is not allowed to be lost; nothing was changed then.

    Raises Question instead, if the client can put one to the person who has not been asked yet.
    """
    call = upstream.calls.current
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
    agreed = {name for key, yes in call.answers.items() if yes for name in key.removeprefix(KEY).split(",")}
    lost = [words for name, words in endangered if name not in {*allowed, *agreed}]
    if lost:
        others = f" and {len(lost) - MOST_NAMED} more" if len(lost) > MOST_NAMED else ""
        what = f"the page {page.get('name', '')!r} holds {', '.join(lost[:MOST_NAMED])}{others}"
        if call.can_ask and not call.answers:
            raise Question(KEY + ",".join(name for name, _ in endangered), f"In Coda {what}. May that be lost?")
        refusal = "The person did not agree" if call.answers else "Ask the person, then name in may_lose what may go"
        raise CodaError("would_lose", f"Nothing was changed: {what}. {refusal}.")
