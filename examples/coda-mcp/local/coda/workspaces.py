"""Members of a workspace, their roles, and short links of an organization."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response

from local.coda.call import Body, Call, Query, Texts, operation
from local.coda.model import Member, Role, Workspace
from local.coda.wire import ApiError, answer, bad_request
from local.coda.world import date, iso

ROLES = ("Admin", "DocMaker", "Editor")
PAGE_SIZE = 25
MONTHS = 3


class MembersQuery(Query):
    included_roles: Texts | None = None
    page_token: str | None = None


class ChangeRole(Body):
    email: str
    new_role: Literal["Admin", "DocMaker", "Editor"]


class GoLinkAdd(Body):
    name: str = Field(pattern=r"^[a-zA-Z0-9\-_]+$", max_length=128)
    destination_url: str = Field(max_length=2048)
    description: str | None = Field(None, max_length=512)
    url_pattern: str | None = Field(None, max_length=2048)
    creator_email: str | None = Field(None, max_length=512)


def workspace_of(call: Call[Any], admin: bool = False) -> Workspace:
    """The workspace in the path. Raises ApiError: 404, or 403 for one who is not in it or no Admin."""
    workspace = call.world.workspaces.get(call.path["workspace"])
    if workspace is None:
        raise ApiError(404)
    member = workspace.members.get(call.user.email)
    if member is None or (admin and member.role != "Admin"):
        raise ApiError(403)
    return workspace


def render(call: Call[Any], member: Member) -> dict[str, Any]:
    today = date(call.world.now())
    owned = [doc for doc in call.world.docs.values() if doc.owner == member.email and not doc.deleted]
    content = {
        "email": member.email,
        "name": call.world.users[member.email].name,
        "role": member.role,
        "registeredAt": iso(member.registered_at),
        "lastActiveAt": today,
        "ownedDocs": len(owned),
    }
    if member.role_changed_at is not None:
        content["roleChangedAt"] = iso(member.role_changed_at)
    return content


async def list_members(call: Call[MembersQuery]) -> Response:
    workspace, wanted = workspace_of(call), call.query.included_roles
    if wanted is not None and not set(wanted) <= set(ROLES):
        raise bad_request(f"query: includedRoles: of {ROLES}")
    found = [member for member in workspace.members.values() if wanted is None or member.role in wanted]
    return answer(call.page(found, lambda member: render(call, member), PAGE_SIZE))


async def change_role(call: Call[Query]) -> Response:
    workspace, body = workspace_of(call, admin=True), await call.body(ChangeRole)
    member = workspace.members.get(body.email)
    if member is None:
        raise ApiError(404)
    role: Role = body.new_role
    admins = [one for one in workspace.members.values() if one.role == "Admin"]
    if admins == [member] and role != "Admin":
        raise bad_request("a workspace needs an Admin")
    member.role, member.role_changed_at = role, call.world.now()
    return answer({"roleChangedAt": iso(member.role_changed_at)})


async def role_activity(call: Call[Query]) -> Response:
    """The last months, each as the workspace is now."""
    workspace = workspace_of(call, admin=True)
    roles = Counter(member.role for member in workspace.members.values())
    now = datetime.fromtimestamp(call.world.now(), UTC)
    months = [now.year * 12 + now.month - 1 - back for back in range(MONTHS)]
    items = [
        {
            "month": f"{month // 12:04}-{month % 12 + 1:02}-01",
            "activeAdminCount": roles["Admin"],
            "activeDocMakerCount": roles["DocMaker"],
            "activeEditorCount": roles["Editor"],
            "inactiveAdminCount": 0,
            "inactiveDocMakerCount": 0,
            "inactiveEditorCount": 0,
        }
        for month in months
    ]
    return answer({"items": items})


async def add_go_link(call: Call[Query]) -> Response:
    organization_id, body = call.path["organization"], await call.body(GoLinkAdd)
    workspace = next((one for one in call.world.workspaces.values() if one.organization_id == organization_id), None)
    member = workspace.members.get(call.user.email) if workspace else None
    if workspace is None or member is None or member.role != "Admin":
        raise ApiError(403)
    if body.name in workspace.go_links:
        raise bad_request(f"the name {body.name} is taken")
    workspace.go_links[body.name] = body.model_dump(by_alias=True)
    return answer({})


ROUTES = [
    operation("GET", "/workspaces/{workspace}/users", list_members, query=MembersQuery),
    operation("POST", "/workspaces/{workspace}/users/role", change_role, "writing"),
    operation("GET", "/workspaces/{workspace}/roles", role_activity),
    operation("POST", "/organizations/{organization}/goLinks", add_go_link, "writing"),
]
