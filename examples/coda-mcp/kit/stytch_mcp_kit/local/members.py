"""Members and organizations of a B2B project, as far as a resource server and its page need them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stytch_mcp_kit.local.state import Organization, Project, User
from stytch_mcp_kit.local.tokens import timestamp
from stytch_mcp_kit.local.users import allowed_apps, revoke_app
from stytch_mcp_kit.local.wire import ApiError, Fields, answer, backend


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


def organization_object(project: Project, organization: Organization) -> dict[str, Any]:
    allowed = ("first_party_connected_apps_allowed_type", "third_party_connected_apps_allowed_type")
    lists = (
        "sso_jit_provisioning_allowed_connections",
        "sso_active_connections",
        "email_allowed_domains",
        "allowed_auth_methods",
        "rbac_email_implicit_role_assignments",
        "allowed_mfa_methods",
        "claimed_email_domains",
        "allowed_first_party_connected_apps",
        "allowed_third_party_connected_apps",
        "custom_roles",
    )
    return {
        "organization_id": organization.organization_id,
        "organization_name": organization.name,
        "organization_slug": organization.slug,
        "organization_logo_url": "",
        "sso_jit_provisioning": "NOT_ALLOWED",
        "email_jit_provisioning": "NOT_ALLOWED",
        "oauth_tenant_jit_provisioning": "NOT_ALLOWED",
        "email_invites": "ALL_ALLOWED",
        "auth_methods": "ALL_ALLOWED",
        "mfa_policy": "OPTIONAL",
        "mfa_methods": "ALL_ALLOWED",
        **dict.fromkeys(allowed, "ALL_ALLOWED"),
        **{name: [] for name in lists},
        "trusted_metadata": {},
    }


def find_organization(project: Project, organization_id: str) -> Organization:
    organization = project.organizations.get(organization_id)
    if organization is None:
        raise ApiError(404, "organization_not_found", "The organization could not be found.")
    return organization


def find_member(project: Project, organization_id: str, member_id: str) -> User:
    find_organization(project, organization_id)
    user = project.member(organization_id, member_id)
    if user is None:
        raise ApiError(404, "member_not_found", "The member could not be found.")
    return user


async def get_organization(project: Project, request: Request) -> Response:
    organization = find_organization(project, request.path_params["organization_id"])
    return answer({"organization": organization_object(project, organization)})


async def get_member(project: Project, request: Request) -> Response:
    """A member by `member_id` or `email_address`."""
    query = Fields(request.query_params)
    organization = find_organization(project, request.path_params["organization_id"])
    member_id = query.text_or_none("member_id")
    if member_id is None:
        found = project.users_by_email(query.text("email_address"))
        member_id = next((user.user_id for user in found if user.organization is organization), "")
    user = find_member(project, organization.organization_id, member_id)
    body = {"member_id": user.user_id, "member": member_object(user)}
    return answer({**body, "organization": organization_object(project, organization)})


def named(project: Project, request: Request) -> User:
    return find_member(project, request.path_params["organization_id"], request.path_params["member_id"])


async def connected_apps(project: Project, request: Request) -> Response:
    return answer({"connected_apps": allowed_apps(project, named(project, request))})


async def revoke(project: Project, request: Request) -> Response:
    revoke_app(project, named(project, request), request.path_params["client_id"])
    return answer()


ORGANIZATION = "/v1/b2b/organizations/{organization_id}"
APPS = f"{ORGANIZATION}/members/{{member_id}}/connected_apps"
ROUTES = [
    Route(ORGANIZATION, backend(get_organization), methods=["GET"]),
    Route(f"{ORGANIZATION}/member", backend(get_member), methods=["GET"]),
    Route(APPS, backend(connected_apps), methods=["GET"]),
    Route(f"{APPS}/{{client_id}}/revoke", backend(revoke), methods=["POST"]),
]
