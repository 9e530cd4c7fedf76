"""Folders of a workspace."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..upstream import CodaError, Upstream
from .fields import Cursor, FolderId, Limit, Title, WorkspaceId
from .registry import Registry
from .results import Change, Listing, Thing, id_of, more

Description = Annotated[str | None, Field(description="What it is for", max_length=2000)]
Starred = Annotated[bool | None, Field(description="Starred ones")]


class Folder(Thing):
    browser_link: str | None = None
    description: str | None = None
    workspace_id: str | None = None
    created_at: str | None = None


class Folders(Listing):
    items: list[Folder]


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds the tools for folders."""

    @tools.read("List folders")
    async def coda_list_folders(
        workspace_id: WorkspaceId | None = None, is_starred: Starred = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Folders:
        """List the folders of a workspace, or of all."""
        found = await upstream.page(
            "folders", cursor=cursor, workspaceId=workspace_id, isStarred=is_starred, limit=limit
        )
        return Folders(items=[_folder(item) for item in found["items"]], **more(found))

    @tools.read("Get a folder")
    async def coda_get_folder(folder_id: FolderId) -> Folder:
        """Get a folder's name, description and workspace."""
        return _folder(await upstream.get("folders", folder_id))

    @tools.write("Create a folder")
    async def coda_create_folder(name: Title, workspace_id: WorkspaceId, description: Description = None) -> Folder:
        """Create a folder in a workspace."""
        body = {"name": name, "workspaceId": workspace_id}
        if description is not None:
            body["description"] = description
        return _folder(await upstream.send("POST", "folders", body=body))

    @tools.write("Change a folder", idempotent=True)
    async def coda_update_folder(
        folder_id: FolderId, name: Title | None = None, description: Description = None
    ) -> Folder:
        """Rename a folder or change its description."""
        body = {key: value for key, value in {"name": name, "description": description}.items() if value is not None}
        if not body:
            raise CodaError("bad_argument", "Give a name or a description.")
        return _folder(await upstream.send("PATCH", "folders", folder_id, body=body, repeatable=True))

    @tools.write("Delete a folder", destructive=True, idempotent=True)
    async def coda_delete_folder(folder_id: FolderId) -> Change:
        """Delete a folder that is empty."""
        await upstream.send("DELETE", "folders", folder_id, repeatable=True)
        return Change(status="applied", id=folder_id)


def _folder(item: dict[str, object]) -> Folder:
    return Folder.read(item, workspace_id=id_of(item.get("workspace")))
