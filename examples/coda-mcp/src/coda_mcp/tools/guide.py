"""`coda_guide`: what a model should know, and what Coda's API cannot do, said instead of faked."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from ..upstream import Upstream
from .guides import GUIDES
from .registry import Registry
from .results import Result

Topic = Literal["overview", "rows", "pages", "tables", "changes", "limits", "errors", "not_possible"]
TOPICS: tuple[Topic, ...] = get_args(Topic)


class Guide(Result):
    topic: Topic
    text: str
    toolsets: list[str]
    read_only: bool
    doc_ids: list[str]


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds `coda_guide`."""

    @tools.read("Guide")
    async def coda_guide(topic: Annotated[Topic, Field(description="What about")] = "overview") -> Guide:
        """Explain how to work with Coda here: rows, pages, changes, limits, errors, and what is not possible."""
        settings = upstream.settings
        return Guide(
            topic=topic,
            text=GUIDES[topic],
            toolsets=list(settings.coda_toolsets),
            read_only=settings.coda_read_only,
            doc_ids=list(settings.coda_doc_ids),
        )
