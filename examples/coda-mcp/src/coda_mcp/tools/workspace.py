"""Members of a workspace, their roles, and short links of an organization."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..upstream import Upstream
from ..upstream.http import Json
from .fields import Cursor, WorkspaceId
from .registry import Registry
from .results import Change, Listing, Result, more

Role = Literal["Admin", "DocMaker", "Editor"]


class Member(Result):
    email: str
    name: str
    role: str
    registered_at: str | None = None
    role_changed_at: str | None = None
    last_active_at: str | None = None
    owned_docs: int | None = None
    total_docs: int | None = None


class Members(Listing):
    items: list[Member]


class Activity(Result):
    month: str
    active_admin_count: int
    active_doc_maker_count: int
    active_editor_count: int
    inactive_admin_count: int
    inactive_doc_maker_count: int
    inactive_editor_count: int


class Activities(Result):
    items: list[Activity]


class RoleChange(Result):
    role_changed_at: str


def register(tools: Registry, upstream: Upstream) -> None:
    """Adds the tools for workspaces."""

    @tools.read("List members")
    async def coda_list_workspace_members(
        workspace_id: WorkspaceId,
        included_roles: Annotated[list[Role] | None, Field(description="Only these")] = None,
        cursor: Cursor = None,
    ) -> Members:
        """List a workspace's members, with roles and activity."""
        roles = ",".join(included_roles) if included_roles else None
        found = await upstream.page("workspaces", workspace_id, "users", cursor=cursor, includedRoles=roles)
        return Members(items=[Member.model_validate(item) for item in found["items"]], **more(found))

    @tools.read("Activity by role")
    async def coda_list_workspace_role_activity(workspace_id: WorkspaceId) -> Activities:
        """Count active and inactive members by role and month."""
        return Activities.model_validate(await upstream.get("workspaces", workspace_id, "roles"))

    @tools.write("Change a member's role", destructive=True, idempotent=True)
    async def coda_change_user_role(
        workspace_id: WorkspaceId,
        email: Annotated[str, Field(description="The member's address")],
        new_role: Annotated[Role, Field(description="What they become")],
    ) -> RoleChange:
        """Change what a member may do; it may change what the workspace costs. Ask the person first."""
        body = {"email": email, "newRole": new_role}
        return RoleChange.model_validate(
            await upstream.send("POST", "workspaces", workspace_id, "users", "role", body=body, repeatable=True)
        )

    @tools.write("Add a go link")
    async def coda_add_go_link(
        organization_id: Annotated[str, Field(description="org-...")],
        name: Annotated[str, Field(description="go/NAME", min_length=1, max_length=200)],
        destination_url: Annotated[str, Field(description="Where it leads", max_length=2000)],
        description: Annotated[str | None, Field(description="What it is for")] = None,
        url_pattern: Annotated[str | None, Field(description="URL with {*} for what follows go/NAME/")] = None,
        creator_email: Annotated[str | None, Field(description="On whose behalf")] = None,
    ) -> Change:
        """Add a short link go/NAME for everyone in an organization (Enterprise)."""
        body: Json = {"name": name, "destinationUrl": destination_url}
        more_fields = {"description": description, "urlPattern": url_pattern, "creatorEmail": creator_email}
        body |= {key: value for key, value in more_fields.items() if value is not None}
        await upstream.send("POST", "organizations", organization_id, "goLinks", body=body)
        return Change(status="applied", id=name)
