"""Who may see and change a doc."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ..upstream import CodaError, Upstream
from ..upstream.http import Json
from .fields import Cursor, DocId, Limit
from .registry import Registry
from .results import Change, Listing, Result, more

PrincipalType = Literal["email", "group", "domain", "workspace", "anyone"]
PRINCIPAL_FIELDS = {"email": "email", "group": "groupId", "domain": "domain", "workspace": "workspaceId"}


class SharingMetadata(Result):
    """What the token's user may do about sharing."""

    can_share: bool
    can_share_with_workspace: bool
    can_share_with_org: bool
    can_copy: bool


class Permission(Result):
    id: str
    access: str
    principal: dict[str, Any]


class Permissions(Listing):
    items: list[Permission]


class User(Result):
    name: str
    login_id: str


class Group(Result):
    group_id: str
    group_name: str


class Principals(Result):
    users: list[User]
    groups: list[Group]


class AclSettings(Result):
    allow_editors_to_change_permissions: bool
    allow_copying: bool
    allow_viewers_to_request_editing: bool


def register(tools: Registry, upstream: Upstream) -> None:  # noqa: C901 - one tool after the other
    """Adds the tools for sharing."""

    @tools.read("Sharing abilities")
    async def coda_get_sharing_metadata(doc_id: DocId) -> SharingMetadata:
        """Tell whether the token's user may share and copy a doc."""
        return SharingMetadata.model_validate(await upstream.get("docs", doc_id, "acl", "metadata"))

    @tools.read("List permissions")
    async def coda_list_permissions(doc_id: DocId, limit: Limit = 100, cursor: Cursor = None) -> Permissions:
        """List who has access to a doc."""
        found = await upstream.page("docs", doc_id, "acl", "permissions", cursor=cursor, limit=limit)
        return Permissions(items=[Permission.model_validate(item) for item in found["items"]], **more(found))

    @tools.write("Share a doc", idempotent=True)
    async def coda_add_permission(
        doc_id: DocId,
        access: Annotated[Literal["readonly", "write", "comment"], Field(description="What they may do")],
        principal_type: Annotated[PrincipalType, Field(description="What kind of principal")],
        principal: Annotated[
            str | None, Field(description="E-mail address, group ID, domain or workspace ID; none for anyone")
        ] = None,
        suppress_email: Annotated[bool, Field(description="Do not tell them by e-mail")] = False,
    ) -> Change:
        """Give someone access to a doc. anyone: everybody who has the link. Ask the person first."""
        wanted: Json = {"type": principal_type}
        if (field := PRINCIPAL_FIELDS.get(principal_type)) is not None:
            if not principal:
                raise CodaError("bad_argument", f"A permission for {principal_type} needs the principal.")
            wanted[field] = principal
        body = {"access": access, "principal": wanted, "suppressEmail": suppress_email}
        await upstream.send("POST", "docs", doc_id, "acl", "permissions", body=body)
        return Change(status="applied", id=doc_id)

    @tools.write("Stop sharing", destructive=True, idempotent=True)
    async def coda_delete_permission(
        doc_id: DocId, permission_id: Annotated[str, Field(description="From coda_list_permissions")]
    ) -> Change:
        """Take away an access that coda_list_permissions shows."""
        await upstream.send("DELETE", "docs", doc_id, "acl", "permissions", permission_id, repeatable=True)
        return Change(status="applied", id=permission_id)

    @tools.read("Search people and groups")
    async def coda_search_principals(
        doc_id: DocId,
        query: Annotated[str | None, Field(max_length=200, description="Part of a name or address")] = None,
    ) -> Principals:
        """Find people and groups that a doc can be shared with."""
        return Principals.model_validate(await upstream.get("docs", doc_id, "acl", "principals", "search", query=query))

    @tools.read("Get sharing settings")
    async def coda_get_acl_settings(doc_id: DocId) -> AclSettings:
        """Tell what editors and viewers of a doc may do about sharing."""
        return AclSettings.model_validate(await upstream.get("docs", doc_id, "acl", "settings"))

    @tools.write("Change sharing settings", idempotent=True)
    async def coda_update_acl_settings(
        doc_id: DocId,
        allow_editors_to_change_permissions: Annotated[bool | None, Field(description="Editors may share on")] = None,
        allow_copying: Annotated[bool | None, Field(description="Whoever reads may copy the doc")] = None,
        allow_viewers_to_request_editing: Annotated[bool | None, Field(description="Viewers may ask for more")] = None,
    ) -> AclSettings:
        """Change what editors and viewers of a doc may do about sharing."""
        wishes = {
            "allowEditorsToChangePermissions": allow_editors_to_change_permissions,
            "allowCopying": allow_copying,
            "allowViewersToRequestEditing": allow_viewers_to_request_editing,
        }
        body = {name: value for name, value in wishes.items() if value is not None}
        if not body:
            raise CodaError("bad_argument", "Give at least one setting.")
        changed = await upstream.send("PATCH", "docs", doc_id, "acl", "settings", body=body, repeatable=True)
        return AclSettings.model_validate(changed)
