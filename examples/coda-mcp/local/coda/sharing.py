"""Who may do what in a doc."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.responses import Response

from local.coda.call import Body, Call, Paged, Query, access_of, operation
from local.coda.model import AclSettings, Doc, Permission, new_id
from local.coda.references import user_summary
from local.coda.wire import ApiError, answer, bad_request


class Email(Body):
    type: Literal["email"]
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")


class Group(Body):
    type: Literal["group"]
    group_id: str


class Domain(Body):
    type: Literal["domain"]
    domain: str


class Workspace(Body):
    type: Literal["workspace"]
    workspace_id: str


class Anyone(Body):
    type: Literal["anyone"]


class PermissionAdd(Body):
    access: Literal["readonly", "write", "comment"]
    principal: Annotated[Email | Group | Domain | Workspace | Anyone, Field(discriminator="type")]
    suppress_email: bool | None = None


class SettingsUpdate(Body):
    allow_editors_to_change_permissions: bool | None = None
    allow_copying: bool | None = None
    allow_viewers_to_request_editing: bool | None = None


class PrincipalsQuery(Query):
    query: str = ""


def may_share(call: Call[Any], doc: Doc) -> bool:
    is_owner = doc.owner == call.user.email
    return is_owner or (access_of(call.world, doc, call.user.email) == "write" and doc.acl.editors_change_permissions)


def _shared_doc(call: Call[Any]) -> Doc:
    doc = call.doc()
    if not may_share(call, doc):
        raise ApiError(403, why="may not change permissions")
    return doc


def render(call: Call[Any], permission: Permission) -> dict[str, Any]:
    principal = permission.principal
    if principal["type"] == "group":
        group = call.world.groups.get(principal["groupId"])
        principal = principal | {"groupName": group.name if group else ""}
    return {"principal": principal, "id": permission.permission_id, "access": permission.access}


async def metadata(call: Call[Query]) -> Response:
    doc = call.doc()
    member = call.world.member(doc.workspace_id, call.user.email)
    can_share = may_share(call, doc)
    content = {
        "canShare": can_share,
        "canShareWithWorkspace": can_share and member is not None,
        "canShareWithOrg": can_share and member is not None,
        "canCopy": doc.acl.copying or doc.owner == call.user.email,
    }
    return answer(content)


async def list_permissions(call: Call[Paged]) -> Response:
    doc = call.doc()
    return answer(call.listing(doc.permissions.values(), lambda one: render(call, one)))


async def add_permission(call: Call[Query]) -> Response:
    """At once. Who had access before has the new one instead."""
    doc, body = _shared_doc(call), await call.body(PermissionAdd)
    principal = body.principal.model_dump(by_alias=True)
    if principal["type"] == "group" and principal["groupId"] not in call.world.groups:
        raise bad_request(f"no group {principal['groupId']}")
    if principal["type"] == "workspace" and principal["workspaceId"] not in call.world.workspaces:
        raise bad_request(f"no workspace {principal['workspaceId']}")
    old = next((one for one in doc.permissions.values() if one.principal == principal), None)
    permission_id = old.permission_id if old else new_id("AclP-")
    doc.permissions[permission_id] = Permission(permission_id, body.access, principal)
    return answer({})


async def delete_permission(call: Call[Query]) -> Response:
    doc = _shared_doc(call)
    permission = doc.permissions.get(call.path["permission"])
    if permission is None:
        raise ApiError(404)
    if permission.principal.get("email") == doc.owner:
        raise bad_request("the owner's own access stays")
    del doc.permissions[permission.permission_id]
    return answer({})


async def search_principals(call: Call[PrincipalsQuery]) -> Response:
    doc, words = call.doc(), call.query.query.lower().split()
    members = call.world.workspaces[doc.workspace_id].members
    people = [user for email, user in call.world.users.items() if email in members]
    users = [user for user in people if all(word in f"{user.name} {user.email}".lower() for word in words)]
    groups = [group for group in call.world.groups.values() if all(word in group.name.lower() for word in words)]
    content = {
        "users": [user_summary(user) for user in users],
        "groups": [{"type": "group", "groupId": group.group_id, "groupName": group.name} for group in groups],
    }
    return answer(content)


def render_settings(acl: AclSettings) -> dict[str, bool]:
    return {
        "allowEditorsToChangePermissions": acl.editors_change_permissions,
        "allowCopying": acl.copying,
        "allowViewersToRequestEditing": acl.viewers_request_editing,
    }


async def get_settings(call: Call[Query]) -> Response:
    return answer(render_settings(call.doc().acl))


async def update_settings(call: Call[Query]) -> Response:
    doc, body = _shared_doc(call), await call.body(SettingsUpdate)
    old = doc.acl
    given = (body.allow_editors_to_change_permissions, body.allow_copying, body.allow_viewers_to_request_editing)
    kept = (old.editors_change_permissions, old.copying, old.viewers_request_editing)
    doc.acl = AclSettings(*(had if new is None else new for new, had in zip(given, kept, strict=True)))
    return answer(render_settings(doc.acl))


ROUTES = [
    operation("GET", "/docs/{doc}/acl/metadata", metadata),
    operation("GET", "/docs/{doc}/acl/permissions", list_permissions, query=Paged),
    operation("POST", "/docs/{doc}/acl/permissions", add_permission, "writing"),
    operation("DELETE", "/docs/{doc}/acl/permissions/{permission}", delete_permission, "writing"),
    operation("GET", "/docs/{doc}/acl/principals/search", search_principals, query=PrincipalsQuery),
    operation("GET", "/docs/{doc}/acl/settings", get_settings),
    operation("PATCH", "/docs/{doc}/acl/settings", update_settings, "writing"),
]
