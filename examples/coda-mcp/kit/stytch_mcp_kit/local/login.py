"""Logging a person in: one-time codes and links by e-mail, and other people's OAuth."""

import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stytch_mcp_kit.local.registration import with_params
from stytch_mcp_kit.local.sessions import email_factor, logged_in
from stytch_mcp_kit.local.state import Email, Pending, Project, User, new_id, new_secret
from stytch_mcp_kit.local.tokens import timestamp
from stytch_mcp_kit.local.users import check_email, consumer_by_email, new_user, user_by_hint
from stytch_mcp_kit.local.wire import ApiError, Fields, answer, backend, bad_request, json_fields, public, s256, same

OAUTH_TOKEN_SECONDS = 300
PROVIDERS = ("google", "github", "microsoft", "apple")


def login_or_create(project: Project, fields: Fields) -> tuple[User, Email, bool]:
    """The user with that address, made now if there is none."""
    address = check_email(fields.text("email"))
    user = consumer_by_email(project, address)
    created = user is None
    user = user or new_user(project, address)
    email = next(email for email in user.emails if email.address.lower() == address.lower())
    return user, email, created


def sent(user: User, email: Email, created: bool) -> Response:
    return answer({"user_id": user.user_id, "email_id": email.email_id, "user_created": created})


async def send_code(project: Project, request: Request) -> Response:
    """Send a six-digit code; it lasts `expiration_minutes`, 2 without, and replaces the one before it."""
    fields = await json_fields(request)
    minutes = fields.number("expiration_minutes", 2, 1, 10)
    user, email, created = login_or_create(project, fields)
    code = user.fixed_code or f"{secrets.randbelow(10**6):06}"
    project.one_time_codes.pop(email.email_id, None)
    project.one_time_codes[email.email_id] = Pending(user.user_id, email.email_id, code, project.now() + minutes * 60)
    return sent(user, email, created)


async def authenticate_code(project: Project, request: Request) -> Response:
    """Log in with a code, which is spent by that. UNCONFIRMED: the status of a wrong one; here 401."""
    fields = await json_fields(request)
    method_id, code = fields.text("method_id"), fields.text("code")
    pending = project.one_time_codes.get(method_id)
    user = project.users.get(pending.user_id) if pending else None
    if pending is None or user is None or pending.expires_at <= project.now() or not same(code, pending.secret):
        raise ApiError(401, "unable_to_auth_otp_code", "The passcode is not right or has expired.")
    body = logged_in(project, user, fields, email_factor(project, user, method_id, "otp"))
    del project.one_time_codes[method_id]
    return verified(user, method_id, body)


def verified(user: User, email_id: str, body: dict[str, Any]) -> Response:
    """The answer to a log-in by e-mail, which proves the address."""
    for email, shown in zip(user.emails, body["user"]["emails"], strict=True):
        if email.email_id == email_id:
            email.verified = shown["verified"] = True
    return answer({**body, "method_id": email_id})


async def send_link(project: Project, request: Request) -> Response:
    """Send a link to `login_magic_link_url` (a new user: `signup_magic_link_url`); read it at `/_test/otp`."""
    fields = await json_fields(request)
    known = consumer_by_email(project, fields.text("email")) is not None
    name = "login" if known else "signup"
    minutes = fields.number(f"{name}_expiration_minutes", 60, 5, 10080)
    url = fields.text(f"{name}_magic_link_url", fields.text("login_magic_link_url", project.config.domain))
    check_return(project, url, "no_match_for_provided_magic_link_url")
    challenge = fields.text_or_none("code_challenge")
    user, email, created = login_or_create(project, fields)
    token = new_secret()
    query: dict[str, str | None] = {"stytch_token_type": "magic_links", "token": token}
    project.link_tokens[token] = Pending(
        user.user_id,
        email.email_id,
        token,
        project.now() + minutes * 60,
        challenge,
        url=with_params(url, query, project.settings),
    )
    return sent(user, email, created)


def check_return(project: Project, url: str, error_type: str) -> None:
    allowed = project.config.login_redirect_urls
    if allowed is not None and url not in allowed:
        raise ApiError(400, error_type, "The URL is not one of the project's Redirect URLs.")


def spend(project: Project, fields: Fields, provider: bool, error_type: str) -> tuple[Pending, User]:
    """The log-in that a link's token stands for; each token works once, with its verifier (RFC 7636)."""
    pending = project.link_tokens.get(fields.text("token"))
    user = project.users.get(pending.user_id) if pending else None
    live = pending is not None and pending.expires_at > project.now() and (pending.provider is not None) is provider
    if pending is None or user is None or not live:
        raise ApiError(401, error_type, "The token is not right, was used, or has expired.")
    verifier = fields.text_or_none("code_verifier")
    if pending.challenge is not None:
        if verifier is None:
            raise ApiError(400, "pkce_expected_code_verifier", "code_verifier is required.")
        if not same(s256(verifier), pending.challenge):
            raise ApiError(400, "pkce_mismatch", "code_verifier does not match code_challenge.")
    return pending, user


async def authenticate_link(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    pending, user = spend(project, fields, provider=False, error_type="unable_to_auth_magic_link")
    factor = email_factor(project, user, pending.email_id, "magic_link")
    body = logged_in(project, user, fields, factor)
    del project.link_tokens[pending.secret]
    return verified(user, pending.email_id, body)


async def start_oauth(project: Project, request: Request) -> Response:
    """Social log-in without the other side: the browser comes straight back as `login_hint` or `auto_login`."""
    query = Fields(request.query_params)
    if not same(query.text("public_token"), project.config.public_token):
        raise ApiError(401, "unauthorized_credentials", "Unauthorized credentials.")
    if request.path_params["provider"] not in PROVIDERS:
        raise ApiError(404, "route_not_found", "The local project knows no such provider.")
    url = query.text("login_redirect_url", project.config.domain)
    check_return(project, url, "no_match_for_provided_oauth_url")
    user = user_by_hint(project, query.text("login_hint", project.settings.auto_login))
    if user.email is None:
        raise bad_request("The user has no e-mail address.")
    token = new_secret()
    project.link_tokens[token] = Pending(
        user.user_id,
        user.email.email_id,
        token,
        project.now() + OAUTH_TOKEN_SECONDS,
        query.text_or_none("code_challenge"),
        provider=request.path_params["provider"],
    )
    back: dict[str, str | None] = {"stytch_token_type": "oauth", "token": token}
    return RedirectResponse(with_params(url, back, project.settings), 302)


async def authenticate_oauth(project: Project, request: Request) -> Response:
    """Log in with the token that social log-in came back with."""
    fields = await json_fields(request)
    pending, user = spend(project, fields, provider=True, error_type="unable_to_auth_oauth_token")
    provider = pending.provider or ""
    registration = new_id("oauth-user-registration")
    known = {"id": registration, "provider_subject": f"local-{user.user_id}", "email_id": pending.email_id}
    factor = {
        "type": "oauth",
        "delivery_method": f"oauth_{provider}",
        "last_authenticated_at": timestamp(project.now()),
        f"{provider}_oauth_factor": known,
    }
    body = logged_in(project, user, fields, factor)
    del project.link_tokens[pending.secret]
    return answer(
        {
            **body,
            "user_session": body.pop("session"),
            "provider_subject": known["provider_subject"],
            "provider_type": provider.capitalize(),
            "provider_values": {
                "access_token": "local",
                "refresh_token": "",
                "id_token": "",
                "scopes": ["openid", "email"],
            },
            "oauth_user_registration_id": registration,
        }
    )


ROUTES = [
    Route("/v1/otps/email/login_or_create", backend(send_code), methods=["POST"]),
    Route("/v1/otps/authenticate", backend(authenticate_code), methods=["POST"]),
    Route("/v1/magic_links/email/login_or_create", backend(send_link), methods=["POST"]),
    Route("/v1/magic_links/authenticate", backend(authenticate_link), methods=["POST"]),
    Route("/v1/public/oauth/{provider}/start", public(start_oauth), methods=["GET"]),
    Route("/v1/oauth/authenticate", backend(authenticate_oauth), methods=["POST"]),
]
