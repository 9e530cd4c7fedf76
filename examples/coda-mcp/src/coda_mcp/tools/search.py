"""`search` and `fetch`, in the form that ChatGPT's connectors and deep research ask for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from ..upstream import Upstream
from ..upstream.columns import Columns
from ..upstream.links import Address, is_coda_link
from ..upstream.names import Entry, Names
from .account import resolve
from .outline import score
from .reading import Reader
from .registry import Registry
from .results import Result

MOST_RESULTS = 20
DOCS_LOOKED_INTO = 8
LEAST_SCORE = 0.6


class Hit(Result):
    """One thing that was found."""

    id: str = Field(description="Give it to fetch")
    title: str
    url: str


class Hits(Result):
    """What was found, best first."""

    results: list[Hit]


class Document(Result):
    """One thing as text."""

    id: str
    title: str
    text: str
    url: str
    metadata: dict[str, str] = Field(description="type, doc_id, updated_at, truncated")


def register(tools: Registry, upstream: Upstream, columns: Columns) -> None:
    """Adds `search` and `fetch`."""
    names = Names(upstream)
    reader = Reader(upstream, columns)

    @tools.read("Search Coda")
    async def search(
        query: Annotated[str, Field(min_length=1, max_length=2000, description="Words of a name, or a Coda link")],
    ) -> Hits:
        """Search docs, pages and tables by name; the text inside is not searched. Read results with fetch."""
        if is_coda_link(query, upstream.settings.upstream_url):
            return Hits(results=await _linked(upstream, query.strip()))
        words = query.split()
        named = await names.docs(query.strip()[:500])
        recent = named if len(named) >= DOCS_LOOKED_INTO else [*named, *await names.docs()]
        looked_into = list({doc.id: doc for doc in recent}.values())[:DOCS_LOOKED_INTO]
        hits = [(1.0, _hit(Address(doc.id), doc)) for doc in named]
        for doc in looked_into:
            for page, rating in _matching(words, await names.inside(doc.id, "pages")):
                hits.append((rating, _hit(Address(doc.id, page=page.id), page, doc)))
            for table, rating in _matching(words, await names.inside(doc.id, "tables")):
                hits.append((rating, _hit(Address(doc.id, table=table.id), table, doc)))
        hits.sort(key=lambda hit: -hit[0])
        return Hits(results=[hit for _, hit in hits[:MOST_RESULTS]])

    @tools.read("Fetch from Coda")
    async def fetch(
        id: Annotated[str, Field(description="An id from search", min_length=1, max_length=2000)],
    ) -> Document:
        """Read a doc's outline, a page, a table's first 100 rows, or a row as text."""
        address = Address.parse(id)
        found = await reader.read(address)
        about = {"type": found.kind, "doc_id": address.doc_id, "truncated": str(found.truncated).lower()}
        if found.updated_at:
            about["updated_at"] = found.updated_at
        return Document(id=id, title=found.title, text=found.text, url=found.link, metadata=about)


async def _linked(upstream: Upstream, url: str) -> list[Hit]:
    found = await resolve(upstream, url, degrade_gracefully=True)
    address = {
        "doc": Address(found.id),
        "page": Address(found.doc_id or "", page=found.id),
        "table": Address(found.doc_id or "", table=found.id),
    }.get(found.type, Address(found.doc_id or found.id))
    return [Hit(id=str(address), title=found.name or found.id, url=found.browser_link or url)]


def _matching(words: list[str], entries: Iterable[Entry]) -> list[tuple[Entry, float]]:
    """Those whose name has all the words, or is near to them."""
    found = []
    for entry in entries:
        name = entry.name.casefold()
        rating = 0.95 if all(word.casefold() in name for word in words) else score(" ".join(words), entry.name)
        if rating >= LEAST_SCORE:
            found.append((entry, rating))
    return found


def _hit(address: Address, entry: Entry, doc: Entry | None = None) -> Hit:
    title = f"{entry.name} ({doc.name})" if doc else entry.name
    return Hit(id=str(address), title=title, url=entry.link)
