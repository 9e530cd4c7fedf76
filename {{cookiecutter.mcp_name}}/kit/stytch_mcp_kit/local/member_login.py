"""Logging members in (B2B): into one organization, or by discovery: first who somebody is, then which organization."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stytch_mcp_kit.local.login import (
    OAUTH_TOKEN_SECONDS,
    check_code,
    check_link,
    check_provider,
    check_return,
    keep_code,
    keep_link,
    log_in_by_link,
    new_code,
    oauth_factor,
    person_of,
    provider_members,
)
from stytch_mcp_kit.local.members import (
    find_organization,
    member_by_email,
    member_object,
    member_or_none,
    membership,
    new_member,
    new_organization,
    organization_object,
)
from stytch_mcp_kit.local.sessions import email_factor, find_session, logged_in
from stytch_mcp_kit.local.state import Intermediate, Organization, Pending, Project, User, new_secret
from stytch_mcp_kit.local.tokens import timestamp
from stytch_mcp_kit.local.users import check_email
from stytch_mcp_kit.local.wire import ApiError, Fields, answer, backend, bad_request, json_fields, public

INTERMEDIATE_SECONDS = 600
ADMIN_ROLE = "stytch_admin"


def may_join(organization: Organization, address: str) -> bool:
    """Just-in-time provisioning by the domain of an address."""
    domains = [domain.lower() for domain in organization.email_allowed_domains]
    return organization.email_jit_provisioning == "RESTRICTED" and address.rpartition("@")[2].lower() in domains


def member_or_new(project: Project, organization: Organization, address: str) -> tuple[User, bool]:
    """The member, made now and pending where the organization lets people join. UNCONFIRMED: the refusal's type."""
    user = member_or_none(project, organization, address)
    if user is not None:
        return user, False
    if not may_join(organization, address):
        raise ApiError(403, "email_jit_provisioning_not_allowed", "The organization does not let this address join.")
    return new_member(project, organization, address, status="pending"), True


# Into one organization


async def send_code(project: Project, request: Request) -> Response:
    """Send a six-digit code; it lasts `login_expiration_minutes`, 10 without, and replaces the one before it."""
    fields = await json_fields(request)
    minutes = fields.number("login_expiration_minutes", 10, 2, 15)
    organization = find_organization(project, fields.text("organization_id"))
    user, created = member_or_new(project, organization, check_email(fields.text("email_address")))
    (email,) = user.emails[:1]
    expires_at = project.now() + minutes * 60
    pending = Pending("member_otp", user.user_id, email.email_id, email.address, new_code(user), expires_at)
    keep_code(project, email.email_id, pending)
    return answer({**membership(user), "member_created": created})


async def authenticate_code(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    organization = find_organization(project, fields.text("organization_id"))
    user = member_or_none(project, organization, fields.text("email_address"))
    key = user.emails[0].email_id if user else ""
    pending = check_code(project, "member_otp", key, fields.text("code"))
    user = person_of(project, pending, "unable_to_auth_otp_code")
    body = logged_in(project, user, fields, email_factor(project, user, key, "otp"), proves=key)
    del project.one_time_codes[key]
    return answer({**body, "method_id": key})


async def send_link(project: Project, request: Request) -> Response:
    """Send a link to `login_redirect_url` (not yet active: `signup_redirect_url`); read it at `/_test/otp`."""
    fields = await json_fields(request)
    organization = find_organization(project, fields.text("organization_id"))
    address = check_email(fields.text("email_address"))
    known = member_or_none(project, organization, address)
    name = "login" if known is not None and known.status == "active" else "signup"
    minutes = fields.number(f"{name}_expiration_minutes", 60, 5, 10080)
    url = fields.text(f"{name}_redirect_url", fields.text("login_redirect_url", project.config.domain))
    challenge = fields.text_or_none("pkce_code_challenge")
    check_return(project, url, "magic_link")
    user, created = member_or_new(project, organization, address)
    keep_link(project, "member_magic_link", url, minutes * 60, address, challenge, user)
    return answer({**membership(user), "member_created": created})


async def authenticate_link(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    token, verifier = fields.text("magic_links_token"), fields.text_or_none("pkce_code_verifier")
    return log_in_by_link(project, fields, "member_magic_link", token, verifier)


async def start_oauth(project: Project, request: Request) -> Response:
    """Social log-in to the organization of `organization_id` or `slug`; see `login.start_oauth`."""
    query, provider = check_provider(project, request)
    organization = find_organization(project, query.text("organization_id", query.text("slug", "")))
    url = query.text("login_redirect_url", project.config.domain)
    check_return(project, url, "oauth")
    address = check_email(query.text("login_hint", project.settings.auto_login))
    user, _ = member_or_new(project, organization, address)
    challenge = query.text_or_none("pkce_code_challenge")
    link = keep_link(project, "member_oauth", url, OAUTH_TOKEN_SECONDS, address, challenge, user, provider)
    return RedirectResponse(link.url or "", 302)


async def authenticate_oauth(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    error_type, verifier = "unable_to_auth_oauth_token", fields.text_or_none("pkce_code_verifier")
    pending = check_link(project, "member_oauth", fields.text("oauth_token"), verifier, error_type)
    user = person_of(project, pending, error_type)
    factor = oauth_factor(project, pending, user.user_id)
    body = logged_in(project, user, fields, factor, proves=pending.email_id)
    del project.link_tokens[pending.secret]
    return answer({**body, **provider_members(factor, pending)})


async def exchange_session(project: Project, request: Request) -> Response:
    """From a session in one organization to one in another of the same person's."""
    fields = await json_fields(request)
    session, user = find_session(project, fields, b2b=True)
    organization = find_organization(project, fields.text("organization_id"))
    other = member_by_email(project, organization, user.emails[0].address)
    return answer(logged_in(project, other, fields, session.factors[0]))


# Discovery


async def send_discovery_code(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    minutes = fields.number("discovery_expiration_minutes", 10, 2, 15)
    address = check_email(fields.text("email_address"))
    code = new_code(next(project.users_by_email(address), None))
    pending = Pending("discovery_otp", "", "", address, code, project.now() + minutes * 60)
    keep_code(project, address.lower(), pending)
    return answer()


async def authenticate_discovery_code(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    key = fields.text("email_address").lower()
    pending = check_code(project, "discovery_otp", key, fields.text("code"))
    del project.one_time_codes[key]
    return answer(discovery(project, pending, discovery_factor(project, pending, "otp")))


async def send_discovery_link(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    minutes = fields.number("discovery_expiration_minutes", 60, 5, 10080)
    address = check_email(fields.text("email_address"))
    url = fields.text("discovery_redirect_url", project.config.domain)
    check_return(project, url, "magic_link")
    challenge = fields.text_or_none("pkce_code_challenge")
    keep_link(project, "discovery_magic_link", url, minutes * 60, address, challenge)
    return answer()


async def authenticate_discovery_link(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    token, verifier = fields.text("discovery_magic_links_token"), fields.text_or_none("pkce_code_verifier")
    pending = check_link(project, "discovery_magic_link", token, verifier, "unable_to_auth_magic_link")
    del project.link_tokens[pending.secret]
    return answer(discovery(project, pending, discovery_factor(project, pending, "magic_link")))


async def start_discovery_oauth(project: Project, request: Request) -> Response:
    query, provider = check_provider(project, request)
    url = query.text("discovery_redirect_url", project.config.domain)
    check_return(project, url, "oauth")
    address = check_email(query.text("login_hint", project.settings.auto_login))
    challenge = query.text_or_none("pkce_code_challenge")
    link = keep_link(project, "discovery_oauth", url, OAUTH_TOKEN_SECONDS, address, challenge, provider=provider)
    return RedirectResponse(link.url or "", 302)


async def authenticate_discovery_oauth(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    token, verifier = fields.text("discovery_oauth_token"), fields.text_or_none("pkce_code_verifier")
    pending = check_link(project, "discovery_oauth", token, verifier, "unable_to_auth_oauth_token")
    del project.link_tokens[pending.secret]
    body = discovery(project, pending, oauth_factor(project, pending, pending.address))
    provider = {"provider_type": (pending.provider or "").capitalize(), "full_name": ""}
    return answer({**body, **provider, "provider_tenant_id": "", "provider_tenant_ids": []})


def discovery_factor(project: Project, pending: Pending, kind: str) -> dict[str, Any]:
    return {
        "type": kind,
        "delivery_method": "email",
        "last_authenticated_at": timestamp(project.now()),
        "email_factor": {"email_id": "", "email_address": pending.address},
    }


def discovery(project: Project, pending: Pending, factor: dict[str, Any]) -> dict[str, Any]:
    """A new intermediate session, and the organizations it may become a session in."""
    token, expires_at = new_secret(), project.now() + INTERMEDIATE_SECONDS
    project.intermediates[token] = Intermediate(pending.address, factor, expires_at)
    return {
        **discovered(project, pending.address),
        "intermediate_session_token": token,
        "intermediate_session_token_expires_at": timestamp(expires_at),
    }


def discovered(project: Project, address: str, joinable: bool = True) -> dict[str, Any]:
    """The organizations that somebody is a member of, and those (`joinable`) they may become one of."""
    found: list[dict[str, Any]] = []
    for organization in project.organizations.values():
        user = member_or_none(project, organization, address)
        if user is None and not (joinable and may_join(organization, address)):
            continue
        kind = f"{user.status}_member" if user else "eligible_to_join_by_email_domain"
        details = None if user else {"domain": address.rpartition("@")[2]}
        member = member_object(user) if user else None
        found.append(
            {
                "member_authenticated": True,
                "organization": organization_object(organization),
                "membership": {"type": kind, "details": details, "member": member},
            }
        )
    return {"email_address": address, "discovered_organizations": found}


def find_intermediate(project: Project, fields: Fields) -> Intermediate:
    found = project.intermediates.get(fields.text("intermediate_session_token"))
    if found is None or found.expires_at <= project.now():
        raise ApiError(404, "intermediate_session_not_found", "The intermediate session could not be found.")
    return found


async def list_organizations(project: Project, request: Request) -> Response:
    """By an intermediate session, or by a member's session; neither is spent."""
    fields = await json_fields(request)
    if "intermediate_session_token" not in fields:
        _, user = find_session(project, fields, b2b=True)
        return answer(discovered(project, user.emails[0].address, joinable=False))
    if "session_token" in fields or "session_jwt" in fields:
        raise bad_request("Exactly one of intermediate_session_token, session_token and session_jwt is required.")
    return answer(discovered(project, find_intermediate(project, fields).address))


async def exchange(project: Project, request: Request) -> Response:
    """From an intermediate session to a session in an organization, which may make somebody a member."""
    fields = await json_fields(request)
    intermediate = find_intermediate(project, fields)
    organization = find_organization(project, fields.text("organization_id"))
    user, _ = member_or_new(project, organization, intermediate.address)
    body = logged_in(project, user, fields, intermediate.factor, proves=user.emails[0].email_id)
    del project.intermediates[fields.text("intermediate_session_token")]
    return answer(body)


async def create_organization(project: Project, request: Request) -> Response:
    """A new organization, whose first member and admin is who proved their address."""
    fields = await json_fields(request)
    intermediate = find_intermediate(project, fields)
    name = fields.text("organization_name", intermediate.address)
    organization = new_organization(project, Fields({**fields.values, "organization_name": name}))
    user = new_member(project, organization, intermediate.address)
    user.roles.append(ADMIN_ROLE)
    body = logged_in(project, user, fields, intermediate.factor, proves=user.emails[0].email_id)
    del project.intermediates[fields.text("intermediate_session_token")]
    return answer(body)


ROUTES = [
    Route("/v1/b2b/public/oauth/{provider}/start", public(start_oauth), methods=["GET"]),
    Route("/v1/b2b/public/oauth/{provider}/discovery/start", public(start_discovery_oauth), methods=["GET"]),
    *(
        Route(f"/v1/b2b/{path}", backend(handler), methods=["POST"])
        for path, handler in (
            ("otps/email/login_or_signup", send_code),
            ("otps/email/authenticate", authenticate_code),
            ("magic_links/email/login_or_signup", send_link),
            ("magic_links/authenticate", authenticate_link),
            ("oauth/authenticate", authenticate_oauth),
            ("sessions/exchange", exchange_session),
            ("otps/email/discovery/send", send_discovery_code),
            ("otps/email/discovery/authenticate", authenticate_discovery_code),
            ("magic_links/email/discovery/send", send_discovery_link),
            ("magic_links/discovery/authenticate", authenticate_discovery_link),
            ("oauth/discovery/authenticate", authenticate_discovery_oauth),
            ("discovery/organizations", list_organizations),
            ("discovery/organizations/create", create_organization),
            ("discovery/intermediate_sessions/exchange", exchange),
        )
    ),
]
