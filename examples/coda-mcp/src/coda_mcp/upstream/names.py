"""What docs, pages and tables are called, kept for a minute: for searching and for completion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .client import Upstream
from .http import Json

KEPT_SECONDS = 60.0
MOST_LISTS = 500
MOST_PER_LIST = 500
MOST_DOCS = 50

Kind = Literal["pages", "tables"]


@dataclass(frozen=True)
class Entry:
    """Something with a name. `link` is for browsers."""

    id: str
    name: str
    link: str


class Names:
    """Per credential: nobody is told a name that only somebody else may see."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._kept: dict[tuple[str, ...], tuple[float, list[Entry]]] = {}

    async def docs(self, query: str = "") -> list[Entry]:
        """Docs that may be used, by a part of the name; all if that is empty. One request at most."""
        key = (await self._upstream.credential_name(), "docs", query)
        kept = self._fresh(key)
        if kept is None:
            found = await self._upstream.page("docs", query=query or None, limit=MOST_DOCS)
            items = [item for item in found.get("items", []) if self._upstream.access.allows(item.get("id"))]
            kept = self._keep(key, items)
        return kept

    async def inside(self, doc_id: str, kind: Kind) -> list[Entry]:
        """A doc's pages or tables."""
        self._upstream.access.require(doc_id)
        key = (await self._upstream.credential_name(), doc_id, kind)
        kept = self._fresh(key)
        if kept is None:
            found = self._upstream.items("docs", doc_id, kind, most=MOST_PER_LIST, limit=MOST_PER_LIST)
            kept = self._keep(key, [item async for item in found])
        return kept

    def _fresh(self, key: tuple[str, ...]) -> list[Entry] | None:
        kept = self._kept.get(key)
        return kept[1] if kept and self._upstream.timing.now() - kept[0] <= KEPT_SECONDS else None

    def _keep(self, key: tuple[str, ...], items: list[Json]) -> list[Entry]:
        entries = [Entry(item["id"], item.get("name", ""), item.get("browserLink", "")) for item in items]
        if len(self._kept) >= MOST_LISTS:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = self._upstream.timing.now(), entries
        return entries
