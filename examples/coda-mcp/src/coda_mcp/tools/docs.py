"""Docs as a whole."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..upstream import CodaError, Upstream
from ..upstream.http import Json
from .fields import Content, Cursor, DocId, FolderId, Format, Full, Limit, Title, WorkspaceId
from .registry import Registry
from .results import Change, Doc, Docs, more


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds the tools for docs."""

    @tools.read("List docs")
    async def coda_list_docs(
        query: Annotated[str | None, Field(description="Words of the name", max_length=500)] = None,
        is_owner: Annotated[bool | None, Field(description="Own ones")] = None,
        is_published: Annotated[bool | None, Field(description="Published ones")] = None,
        is_starred: Annotated[bool | None, Field(description="Starred ones")] = None,
        in_gallery: Annotated[bool | None, Field(description="Those in the gallery")] = None,
        source_doc: Annotated[str | None, Field(description="ID of the doc that they are copies of")] = None,
        workspace_id: WorkspaceId | None = None,
        folder_id: FolderId | None = None,
        limit: Limit = 25,
        cursor: Cursor = None,
        full: Full = False,
    ) -> Docs:
        """List or search docs by name, last used first."""
        filters = {
            "query": query or None,
            "isOwner": is_owner,
            "isPublished": is_published,
            "isStarred": is_starred,
            "inGallery": in_gallery,
            "sourceDoc": source_doc,
            "workspaceId": workspace_id,
            "folderId": folder_id,
            "limit": limit,
        }
        found = await upstream.page("docs", cursor=cursor, **filters)
        docs = [Doc.read(item, full) for item in found["items"] if upstream.access.allows(item.get("id"))]
        return Docs(items=docs, **more(found))

    @tools.read("Get a doc")
    async def coda_get_doc(doc_id: DocId, full: Full = False) -> Doc:
        """Get a doc's name, owner, folder and dates."""
        return Doc.read(await upstream.get("docs", doc_id), full)

    @tools.write("Create a doc")
    async def coda_create_doc(
        title: Title | None = None,
        source_doc: Annotated[str | None, Field(description="ID of a doc to copy")] = None,
        folder_id: FolderId | None = None,
        timezone: Annotated[str | None, Field(description="Like Europe/Berlin")] = None,
        page_name: Annotated[str | None, Field(description="Name of the first page")] = None,
        content: Content | None = None,
        format: Format = "html",
    ) -> Doc:
        """Create a doc, or a copy of one. content fills its first page. Needs a Doc Maker's token."""
        upstream.access.require_unrestricted("new ones")
        page: Json = {"name": page_name} if page_name else {}
        if content:
            page["pageContent"] = {"type": "canvas", "canvasContent": {"format": format, "content": content}}
        wishes = {"title": title, "sourceDoc": source_doc, "folderId": folder_id, "timezone": timezone}
        body = {name: value for name, value in {**wishes, "initialPage": page}.items() if value}
        return Doc.read(await upstream.send("POST", "docs", body=body))

    @tools.write("Change a doc", idempotent=True)
    async def coda_update_doc(
        doc_id: DocId,
        title: Title | None = None,
        icon_name: Annotated[str | None, Field(description="Like rocket")] = None,
    ) -> Change:
        """Change a doc's title or icon."""
        body = {name: value for name, value in {"title": title, "iconName": icon_name}.items() if value is not None}
        if not body:
            raise CodaError("bad_argument", "Give a title or an icon_name.")
        await upstream.send("PATCH", "docs", doc_id, body=body, repeatable=True)
        return Change(status="applied", id=doc_id)

    @tools.write("Delete a doc", destructive=True, idempotent=True)
    async def coda_delete_doc(doc_id: DocId) -> Change:
        """Delete a doc with everything in it, for everyone. Ask the person first."""
        await upstream.send("DELETE", "docs", doc_id, repeatable=True)
        said = "Coda deletes it in the background and gives no ID to ask for."
        return Change(status="pending", id=doc_id, message=said)
