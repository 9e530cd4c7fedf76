"""What clients can attach: docs, pages, tables and guides. Reading them needs the read scope, as every request does."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError
from mcp.server.mcpserver.resources import TextResource
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from .tools.guides import GUIDES
from .tools.outline import outline
from .tools.reading import Reader
from .upstream import CodaError, Upstream
from .upstream.columns import Columns
from .upstream.links import Address
from .upstream.names import Entry, Names

MOST_COMPLETIONS = 100

P = ParamSpec("P")
T = TypeVar("T")


def register(server: MCPServer, upstream: Upstream) -> None:  # noqa: C901 - one after the other
    """Adds resources, their templates, and completion of what the templates and prompts take."""
    reader = Reader(upstream, Columns(upstream))
    names = Names(upstream)

    @server.resource("coda://docs", name="docs", title="Docs", mime_type="application/json")
    async def docs() -> str:
        """The docs, last used first."""
        entries = await _words(names.docs)()
        return json.dumps(
            [{"id": doc.id, "name": doc.name, "uri": str(Address(doc.id)), "url": doc.link} for doc in entries],
            ensure_ascii=False,
        )

    @server.resource("coda://docs/{doc_id}", name="doc", title="Outline of a doc", mime_type="text/markdown")
    async def doc(doc_id: str) -> str:
        """Pages, tables and columns of a doc."""
        return (await _words(reader.read)(Address(doc_id))).text

    @server.resource(
        "coda://docs/{doc_id}/schema", name="schema", title="Schema of a doc", mime_type="application/json"
    )
    async def schema(doc_id: str) -> str:
        """The outline of a doc for programs."""
        return (await _words(outline)(upstream, doc_id, "yes")).model_dump_json()

    @server.resource("coda://docs/{doc_id}/pages/{page}", name="page", title="Page", mime_type="text/markdown")
    async def page(doc_id: str, page: str) -> str:
        """A page's content."""
        return (await _words(reader.page)(doc_id, page)).text

    @server.resource("coda://docs/{doc_id}/tables/{table}", name="table", title="Table", mime_type="text/csv")
    async def table(doc_id: str, table: str) -> str:
        """A table's first 100 rows."""
        return (await _words(reader.rows)(doc_id, table))[0]

    for topic, text in GUIDES.items():
        title = f"Guide: {topic.replace('_', ' ')}"
        server.add_resource(
            TextResource(uri=f"coda://guides/{topic}", name=topic, title=title, text=text, mime_type="text/markdown")
        )

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        _: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
    ) -> Completion | None:
        doc_id = (context.arguments or {}).get("doc_id") if context else None
        try:
            if argument.name == "doc_id":
                return _completion(await names.docs(), argument.value)
            if argument.name == "page" and doc_id:
                return _completion(await names.inside(doc_id, "pages"), argument.value)
            if argument.name == "table" and doc_id:
                return _completion(await names.inside(doc_id, "tables"), argument.value)
        except CodaError:
            return None
        return None


def _words(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """The same, with errors that the client gets to read."""

    async def worded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except CodaError as error:
            raise ResourceError(str(error)) from None

    return worded


def _completion(entries: list[Entry], typed: str) -> Completion:
    """IDs that begin with what was typed, or whose names contain it."""
    wanted = typed.casefold()
    found = [each.id for each in entries if each.id.startswith(typed) or wanted in each.name.casefold()]
    return Completion(values=found[:MOST_COMPLETIONS], total=len(found), has_more=len(found) > MOST_COMPLETIONS)
