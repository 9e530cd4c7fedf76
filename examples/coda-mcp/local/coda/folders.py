"""Folders of a workspace."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from starlette.responses import Response

from local.coda.call import Body, Call, Flag, Paged, Query, operation
from local.coda.model import Folder, new_id
from local.coda.references import folder_reference, icon, workspace_reference
from local.coda.wire import ApiError, answer, bad_request
from local.coda.world import iso


class FoldersQuery(Paged):
    workspace_id: str | None = None
    is_starred: Flag | None = None


class FolderCreate(Body):
    name: str = Field(min_length=1)
    workspace_id: str
    description: str | None = None


class FolderUpdate(Body):
    name: str | None = Field(None, min_length=1)
    description: str | None = None


def render(call: Call[Any], folder: Folder) -> dict[str, Any]:
    member = call.world.member(folder.workspace_id, call.user.email)
    return {
        **folder_reference(folder),
        "description": folder.description,
        **icon("folder"),
        "iconColor": folder.color,
        "canEdit": member is not None and member.role != "Editor",
        "createdAt": iso(folder.created_at),
        "workspace": workspace_reference(call.world.workspaces[folder.workspace_id]),
    }


def folder_of(call: Call[Any], write: bool = False) -> Folder:
    folder = call.world.folders.get(call.path["folder"])
    member = call.world.member(folder.workspace_id, call.user.email) if folder else None
    if folder is None or member is None:
        raise ApiError(404)
    if write and member.role == "Editor":
        raise ApiError(403)
    return folder


async def list_folders(call: Call[FoldersQuery]) -> Response:
    asked = call.query
    found = [
        folder
        for folder in call.world.folders.values()
        if call.world.member(folder.workspace_id, call.user.email)
        and asked.workspace_id in (None, folder.workspace_id)
        and asked.is_starred in (None, folder.starred)
    ]
    return answer(call.listing(found, lambda folder: render(call, folder)))


async def create_folder(call: Call[Query]) -> Response:
    body = await call.body(FolderCreate)
    if body.workspace_id not in call.world.workspaces:
        raise bad_request(f"no workspace {body.workspace_id}")
    member = call.world.member(body.workspace_id, call.user.email)
    if member is None or member.role == "Editor":
        raise ApiError(403)
    folder = Folder(new_id("fl-"), body.name, body.workspace_id, call.world.now(), body.description or "")
    call.world.folders[folder.folder_id] = folder
    return answer(render(call, folder), 201)


async def get_folder(call: Call[Query]) -> Response:
    return answer(render(call, folder_of(call)))


async def update_folder(call: Call[Query]) -> Response:
    folder, body = folder_of(call, write=True), await call.body(FolderUpdate)
    folder.name = body.name or folder.name
    folder.description = folder.description if body.description is None else body.description
    return answer(render(call, folder))


async def delete_folder(call: Call[Query]) -> Response:
    """Only an empty one. UNCONFIRMED: that this is a 400, and its text."""
    folder = folder_of(call, write=True)
    if any(doc.folder_id == folder.folder_id and not doc.deleted for doc in call.world.docs.values()):
        raise bad_request("the folder is not empty", "Folder is not empty.")
    del call.world.folders[folder.folder_id]
    return answer({})


ROUTES = [
    operation("GET", "/folders", list_folders, query=FoldersQuery),
    operation("POST", "/folders", create_folder, "writing"),
    operation("GET", "/folders/{folder}", get_folder),
    operation("PATCH", "/folders/{folder}", update_folder, "writing"),
    operation("DELETE", "/folders/{folder}", delete_folder, "writing"),
]
