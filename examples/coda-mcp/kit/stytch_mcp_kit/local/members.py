"""Organizations and members of a B2B project, and the Connected Apps they allowed."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stytch_mcp_kit.local.state import DEFAULT_MEMBER_ROLE, Email, Organization, Project, User, new_id, role_of
from stytch_mcp_kit.local.tokens import timestamp
from stytch_mcp_kit.local.users import allowed_apps, check_email, matching, page, revoke_app
from stytch_mcp_kit.local.wire import ApiError, Fields, answer, backend, bad_request, json_fields

APP_RULES = ("first_party_connected_apps_allowed_type", "third_party_connected_apps_allowed_type")
APP_LISTS = ("allowed_first_party_connected_apps", "allowed_third_party_connected_apps")
CHOICES = {
    "email_jit_provisioning": ("NOT_ALLOWED", "RESTRICTED"),
    **dict.fromkeys(APP_RULES, ("ALL_ALLOWED", "RESTRICTED", "NOT_ALLOWED")),
}


def member_object(user: User) -> dict[str, Any]:
    assert user.organization is not None
    source = {"type": "direct_assignment", "details": {}}
    return {
        "organization_id": user.organization.organization_id,
        "member_id": user.user_id,
        "email_address": user.email.address if user.email else "",
        "email_address_verified": bool(user.email and user.email.verified),
        "status": user.status,
        "name": " ".join(part for part in user.name.values() if part),
        "roles": [{"role_id": role, "sources": [source]} for role in user.roles],
        "sso_registrations": [],
        "oauth_registrations": [],
        "retired_email_addresses": [],
        "is_breakglass": False,
        "is_admin": False,
        "is_locked": False,
        "mfa_enrolled": False,
        "mfa_phone_number": "",
        "mfa_phone_number_verified": False,
        "default_mfa_method": "",
        "member_password_id": "",
        "totp_registration_id": "",
        "trusted_metadata": user.trusted_metadata,
        "untrusted_metadata": user.untrusted_metadata,
        "external_id": user.external_id,
        "created_at": timestamp(user.created_at),
        "updated_at": timestamp(user.created_at),
    }


def organization_object(organization: Organization) -> dict[str, Any]:
    empty = (
        "sso_jit_provisioning_allowed_connections",
        "sso_active_connections",
        "allowed_auth_methods",
        "rbac_email_implicit_role_assignments",
        "allowed_mfa_methods",
        "claimed_email_domains",
        "custom_roles",
    )
    return {
        "organization_id": organization.organization_id,
        "organization_name": organization.name,
        "organization_slug": organization.slug,
        "organization_external_id": organization.external_id,
        "organization_logo_url": "",
        "sso_jit_provisioning": "NOT_ALLOWED",
        "oauth_tenant_jit_provisioning": "NOT_ALLOWED",
        "email_invites": "ALL_ALLOWED",
        "auth_methods": "ALL_ALLOWED",
        "mfa_policy": "OPTIONAL",
        "mfa_methods": "ALL_ALLOWED",
        "email_allowed_domains": organization.email_allowed_domains,
        **{name: getattr(organization, name) for name in (*CHOICES, *APP_LISTS)},
        **{name: [] for name in empty},
        "trusted_metadata": organization.trusted_metadata,
    }


def membership(user: User) -> dict[str, Any]:
    """The members that most answers about a member have."""
    assert user.organization is not None
    return {
        "member_id": user.user_id,
        "member": member_object(user),
        "organization_id": user.organization.organization_id,
        "organization": organization_object(user.organization),
    }


# Organizations


def find_organization(project: Project, name: str) -> Organization:
    """By id, slug or external id: Stytch takes each of them."""
    for found in project.organizations.values():
        if name in (found.organization_id, found.slug, found.external_id):
            return found
    raise ApiError(404, "organization_not_found", "The organization could not be found.")


def named_organization(project: Project, request: Request) -> Organization:
    return find_organization(project, request.path_params["organization_id"])


def apply_to_organization(project: Project, organization: Organization, fields: Fields) -> None:
    """Set what a request names; everything is read before anything is set."""
    changes: dict[str, Any] = {}
    texts = {"organization_name": "name", "organization_slug": "slug", "organization_external_id": "external_id"}
    for name, attribute in texts.items():
        if name in fields:
            changes[attribute] = fields.text(name)
    for name, choices in CHOICES.items():
        if name in fields:
            changes[name] = fields.text(name)
            if changes[name] not in choices:
                raise bad_request(f"{name} must be one of {', '.join(choices)}.")
    changes |= {name: fields.texts(name) for name in ("email_allowed_domains", *APP_LISTS) if name in fields}
    if "trusted_metadata" in fields:
        changes["trusted_metadata"] = fields.mapping("trusted_metadata")
    others = [other for other in project.organizations.values() if other is not organization]
    if any(changes.get("slug") == other.slug for other in others):
        raise ApiError(400, "organization_slug_already_used", "Another organization has this slug.")
    for attribute, value in changes.items():
        setattr(organization, attribute, value)


def new_organization(project: Project, fields: Fields) -> Organization:
    """UNCONFIRMED: the slug that Stytch makes of a name; here lower case with hyphens."""
    name = fields.text("organization_name")
    slug = fields.text("organization_slug", "-".join(name.lower().split()))
    apply_to_organization(project, Organization("", "", ""), Fields({**fields.values, "organization_slug": slug}))
    organization = project.add_organization(slug, name)
    apply_to_organization(project, organization, fields)
    return organization


async def create_organization(project: Project, request: Request) -> Response:
    return answer({"organization": organization_object(new_organization(project, await json_fields(request)))})


async def get_organization(project: Project, request: Request) -> Response:
    return answer({"organization": organization_object(named_organization(project, request))})


async def update_organization(project: Project, request: Request) -> Response:
    organization = named_organization(project, request)
    apply_to_organization(project, organization, await json_fields(request))
    return answer({"organization": organization_object(organization)})


async def search_organizations(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    filters = {
        "organization_ids": lambda found: [found.organization_id],
        "organization_slugs": lambda found: [found.slug],
        "allowed_domains": lambda found: found.email_allowed_domains,
    }
    found = matching(fields, list(project.organizations.values()), filters)
    return answer(page(fields, "organizations", [organization_object(organization) for organization in found]))


# Members


def members_of(project: Project, organizations: list[Organization]) -> list[User]:
    return [user for user in project.users.values() if user.organization in organizations]


def find_member(project: Project, organization_id: str, member_id: str) -> User:
    organization = find_organization(project, organization_id)
    for user in members_of(project, [organization]):
        if member_id in (user.user_id, user.external_id):
            return user
    raise ApiError(404, "member_not_found", "The member could not be found.")


def member_or_none(project: Project, organization: Organization, address: str) -> User | None:
    return next((user for user in project.users_by_email(address) if user.organization is organization), None)


def member_by_email(project: Project, organization: Organization, address: str) -> User:
    user = member_or_none(project, organization, address)
    if user is None:
        raise ApiError(404, "member_not_found", "The member could not be found.")
    return user


def new_member(project: Project, organization: Organization, address: str, status: str = "active") -> User:
    """A member who may use every custom scope, like a seeded one."""
    user = User(
        user_id=new_id("member"),
        emails=[Email(check_email(address), verified=False)],
        roles=[DEFAULT_MEMBER_ROLE, *map(role_of, project.config.scopes)],
        created_at=project.now(),
        status=status,
        organization=organization,
    )
    project.users[user.user_id] = user
    return user


def named(project: Project, request: Request) -> User:
    return find_member(project, request.path_params["organization_id"], request.path_params["member_id"])


async def create_member(project: Project, request: Request) -> Response:
    """An active member whose address is not verified; `create_member_as_pending` makes a pending one."""
    organization, fields = named_organization(project, request), await json_fields(request)
    address = check_email(fields.text("email_address"))
    status = "pending" if fields.flag("create_member_as_pending", False) else "active"
    if member_or_none(project, organization, address) is not None:
        raise ApiError(400, "duplicate_email", "A member with this e-mail address exists.")
    name, external_id = fields.text("name", ""), fields.text_or_none("external_id")
    roles = fields.texts("roles") if "roles" in fields else None
    user = new_member(project, organization, address, status)
    user.name, user.external_id = {"first_name": name}, external_id
    if roles is not None:
        user.roles = list(dict.fromkeys([DEFAULT_MEMBER_ROLE, *roles]))
    return answer(membership(user))


async def get_member(project: Project, request: Request) -> Response:
    """A member by `member_id` or `email_address`."""
    query, organization = Fields(request.query_params), named_organization(project, request)
    member_id = query.text_or_none("member_id")
    if member_id is not None:
        return answer(membership(find_member(project, organization.organization_id, member_id)))
    return answer(membership(member_by_email(project, organization, query.text("email_address"))))


async def delete_member(project: Project, request: Request) -> Response:
    """UNCONFIRMED: whether a deleted member can still be read, with that status; here it is unknown."""
    user = named(project, request)
    project.remove_user(user.user_id)
    return answer({"member_id": user.user_id})


async def search_members(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    organizations = [find_organization(project, name) for name in fields.texts("organization_ids")]
    filters = {
        "member_ids": lambda user: [user.user_id],
        "member_emails": lambda user: [email.address for email in user.emails],
        "statuses": lambda user: [user.status],
    }
    found = matching(fields, members_of(project, organizations), filters)
    body = page(fields, "members", [member_object(user) for user in found])
    return answer(
        {**body, "organizations": {each.organization_id: organization_object(each) for each in organizations}}
    )


async def connected_apps(project: Project, request: Request) -> Response:
    return answer({"connected_apps": allowed_apps(project, named(project, request))})


async def revoke(project: Project, request: Request) -> Response:
    revoke_app(project, named(project, request), request.path_params["client_id"])
    return answer()


ORGANIZATIONS = "/v1/b2b/organizations"
ORGANIZATION = f"{ORGANIZATIONS}/{{organization_id}}"
MEMBER = f"{ORGANIZATION}/members/{{member_id}}"
ROUTES = [
    Route(ORGANIZATIONS, backend(create_organization), methods=["POST"]),
    Route(f"{ORGANIZATIONS}/search", backend(search_organizations), methods=["POST"]),
    Route(f"{ORGANIZATIONS}/members/search", backend(search_members), methods=["POST"]),
    Route(ORGANIZATION, backend(get_organization), methods=["GET"]),
    Route(ORGANIZATION, backend(update_organization), methods=["PUT"]),
    Route(f"{ORGANIZATION}/member", backend(get_member), methods=["GET"]),
    Route(f"{ORGANIZATION}/members", backend(create_member), methods=["POST"]),
    Route(MEMBER, backend(delete_member), methods=["DELETE"]),
    Route(f"{MEMBER}/connected_apps", backend(connected_apps), methods=["GET"]),
    Route(f"{MEMBER}/connected_apps/{{client_id}}/revoke", backend(revoke), methods=["POST"]),
]
