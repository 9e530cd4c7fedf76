"""Logging a person in: one-time codes and links by e-mail, and other people's OAuth. B2B: see `member_login`."""

import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stytch_mcp_kit.local.registration import with_params
from stytch_mcp_kit.local.sessions import email_factor, logged_in
from stytch_mcp_kit.local.state import Email, Pending, Project, User, new_id, new_secret
from stytch_mcp_kit.local.tokens import timestamp
from stytch_mcp_kit.local.users import check_email, consumer_by_email, new_user
from stytch_mcp_kit.local.wire import ApiError, Fields, answer, backend, json_fields, public, s256, same

OAUTH_TOKEN_SECONDS = 300
PROVIDERS = ("google", "github", "microsoft", "apple")
TOKEN_TYPES = {
    "magic_link": "magic_links",
    "oauth": "oauth",
    "member_magic_link": "multi_tenant_magic_links",
    "member_oauth": "oauth",
    "discovery_magic_link": "discovery",
    "discovery_oauth": "discovery_oauth",
}
"""The `stytch_token_type` that a link of each kind comes back with."""


def addressee(project: Project, request: Request, fields: Fields) -> tuple[User, Email, bool]:
    """The user with that address; `login_or_create` makes one if there is none, `send` does not.

    UNCONFIRMED: the error of `send` for an address of nobody.
    """
    address = check_email(fields.text("email"))
    user = consumer_by_email(project, address)
    created = user is None
    if user is None and not request.url.path.endswith("/login_or_create"):
        raise ApiError(404, "email_not_found", "No user has this e-mail address.")
    user = user or new_user(project, address)
    email = next(email for email in user.emails if email.address.lower() == address.lower())
    return user, email, created


def sent(request: Request, user: User, email: Email, created: bool) -> Response:
    body: dict[str, Any] = {"user_id": user.user_id, "email_id": email.email_id}
    if request.url.path.endswith("/login_or_create"):
        body["user_created"] = created
    return answer(body)


# Codes. Each is kept under what it is asked for by: a method id, or in discovery an address.


def keep_code(project: Project, key: str, pending: Pending) -> None:
    """It replaces the one before it."""
    project.one_time_codes.pop(key, None)
    project.one_time_codes[key] = pending


def new_code(user: User | None) -> str:
    return (user.fixed_code if user else None) or f"{secrets.randbelow(10**6):06}"


def check_code(project: Project, kind: str, key: str, code: str) -> Pending:
    """The log-in that a code stands for. UNCONFIRMED: the status of a wrong one; here 401."""
    pending = project.one_time_codes.get(key)
    right = pending is not None and same(code, pending.secret) and pending.expires_at > project.now()
    if pending is None or pending.kind != kind or not right:
        raise ApiError(401, "unable_to_auth_otp_code", "The passcode is not right or has expired.")
    return pending


async def send_code(project: Project, request: Request) -> Response:
    """Send a six-digit code; it lasts `expiration_minutes`, 2 without, and replaces the one before it."""
    fields = await json_fields(request)
    minutes = fields.number("expiration_minutes", 2, 1, 10)
    user, email, created = addressee(project, request, fields)
    expires_at = project.now() + minutes * 60
    pending = Pending("otp", user.user_id, email.email_id, email.address, new_code(user), expires_at)
    keep_code(project, email.email_id, pending)
    return sent(request, user, email, created)


async def authenticate_code(project: Project, request: Request) -> Response:
    """Log in with a code, which is spent by that."""
    fields = await json_fields(request)
    method_id = fields.text("method_id")
    pending = check_code(project, "otp", method_id, fields.text("code"))
    user = person_of(project, pending, "unable_to_auth_otp_code")
    factor = email_factor(project, user, method_id, "otp")
    body = logged_in(project, user, fields, factor, proves=method_id)
    del project.one_time_codes[method_id]
    return answer({**body, "method_id": method_id})


def person_of(project: Project, pending: Pending, error_type: str) -> User:
    """Who logs in, unless they are gone."""
    user = project.users.get(pending.user_id)
    if user is None:
        raise ApiError(401, error_type, "The user is gone.")
    return user


# Links: those in a mail, and those that the browser follows back from a provider of social log-in.


def keep_link(
    project: Project,
    kind: str,
    url: str,
    seconds: float,
    address: str,
    challenge: str | None,
    user: User | None = None,
    provider: str | None = None,
) -> Pending:
    """A link to `url` with a token, for a person or (discovery) for an address."""
    token = new_secret()
    emails = user.emails if user else []
    project.link_tokens[token] = Pending(
        kind=kind,
        user_id=user.user_id if user else "",
        email_id=next((email.email_id for email in emails if email.address.lower() == address.lower()), ""),
        address=address,
        secret=token,
        expires_at=project.now() + seconds,
        challenge=challenge,
        url=with_params(url, {"stytch_token_type": TOKEN_TYPES[kind], "token": token}, project.settings),
        provider=provider,
    )
    return project.link_tokens[token]


def check_return(project: Project, url: str, product: str) -> None:
    allowed = project.config.login_redirect_urls
    if allowed is not None and url not in allowed:
        raise ApiError(
            400, f"no_match_for_provided_{product}_url", "The URL is not one of the project's Redirect URLs."
        )


def check_link(project: Project, kind: str, token: str, verifier: str | None, error_type: str) -> Pending:
    """The log-in that a link's token stands for; each token works once, with its verifier (RFC 7636)."""
    pending = project.link_tokens.get(token)
    if pending is None or pending.kind != kind or pending.expires_at <= project.now():
        raise ApiError(401, error_type, "The token is not right, was used, or has expired.")
    if pending.challenge is None and verifier is not None:
        # UNCONFIRMED: the status, and that log-in shares this error type with the token endpoint.
        raise ApiError(400, "pkce_did_not_expect_code_verifier", "The log-in began without code_challenge.")
    if pending.challenge is not None:
        if verifier is None:
            raise ApiError(400, "pkce_expected_code_verifier", "code_verifier is required.")
        if not same(s256(verifier), pending.challenge):
            raise ApiError(400, "pkce_mismatch", "code_verifier does not match code_challenge.")
    return pending


async def send_link(project: Project, request: Request) -> Response:
    """Send a link to `login_magic_link_url` (a new user: `signup_magic_link_url`); read it at `/_test/otp`."""
    fields = await json_fields(request)
    known = consumer_by_email(project, check_email(fields.text("email"))) is not None
    name = "login" if known else "signup"
    minutes = fields.number(f"{name}_expiration_minutes", 60, 5, 10080)
    url = fields.text(f"{name}_magic_link_url", fields.text("login_magic_link_url", project.config.domain))
    challenge = fields.text_or_none("code_challenge")
    check_return(project, url, "magic_link")
    user, email, created = addressee(project, request, fields)
    keep_link(project, "magic_link", url, minutes * 60, email.address, challenge, user)
    return sent(request, user, email, created)


async def authenticate_link(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    return log_in_by_link(project, fields, "magic_link", fields.text("token"), fields.text_or_none("code_verifier"))


def log_in_by_link(project: Project, fields: Fields, kind: str, token: str, verifier: str | None) -> Response:
    """Spends the token of a link that was mailed."""
    error_type = "unable_to_auth_magic_link"
    pending = check_link(project, kind, token, verifier, error_type)
    user = person_of(project, pending, error_type)
    factor = email_factor(project, user, pending.email_id, "magic_link")
    body = logged_in(project, user, fields, factor, proves=pending.email_id)
    del project.link_tokens[pending.secret]
    return answer({**body, "method_id": pending.email_id})


def check_provider(project: Project, request: Request) -> tuple[Fields, str]:
    """The query of a start URL, which anybody's browser opens, and the provider."""
    query, provider = Fields(request.query_params), str(request.path_params["provider"])
    if not same(query.text("public_token"), project.config.public_token):
        raise ApiError(401, "unauthorized_credentials", "Unauthorized credentials.")
    if provider not in PROVIDERS:
        raise ApiError(404, "route_not_found", "The local project knows no such provider.")
    return query, provider


async def start_oauth(project: Project, request: Request) -> Response:
    """Social log-in without the other side: the browser comes straight back as `login_hint` or `auto_login`.

    Whom nobody knows yet goes to `signup_redirect_url` and is a user from then on.
    """
    query, provider = check_provider(project, request)
    address = check_email(query.text("login_hint", project.settings.auto_login))
    user = consumer_by_email(project, address)
    url = query.text("login_redirect_url", project.config.domain)
    if user is None:
        url = query.text("signup_redirect_url", url)
    check_return(project, url, "oauth")
    challenge = query.text_or_none("code_challenge")
    link = keep_link(project, "oauth", url, OAUTH_TOKEN_SECONDS, address, challenge, user, provider)
    return RedirectResponse(link.url or "", 302)


def oauth_factor(project: Project, pending: Pending, subject: str) -> dict[str, Any]:
    """An authentication factor of social log-in; `subject` is who logged in, as Stytch knows them."""
    provider = pending.provider or ""
    known = {"id": new_id("oauth-user-registration"), "provider_subject": f"local-{subject}"}
    return {
        "type": "oauth",
        "delivery_method": f"oauth_{provider}",
        "last_authenticated_at": timestamp(project.now()),
        f"{provider}_oauth_factor": {**known, "email_id": pending.email_id},
    }


def provider_members(factor: dict[str, Any], pending: Pending) -> dict[str, Any]:
    """What the provider said, as both kinds of projects answer it."""
    return {
        "provider_subject": factor[f"{pending.provider}_oauth_factor"]["provider_subject"],
        "provider_type": (pending.provider or "").capitalize(),
        "provider_values": {
            "access_token": "local",
            "refresh_token": "",
            "id_token": "",
            "scopes": ["openid", "email"],
        },
    }


async def authenticate_oauth(project: Project, request: Request) -> Response:
    """Log in with the token that social log-in came back with."""
    fields = await json_fields(request)
    error_type = "unable_to_auth_oauth_token"
    pending = check_link(project, "oauth", fields.text("token"), fields.text_or_none("code_verifier"), error_type)
    user = consumer_by_email(project, pending.address) or new_user(project, pending.address, verified=True)
    factor = oauth_factor(project, pending, user.user_id)
    body = logged_in(project, user, fields, factor)
    del project.link_tokens[pending.secret]
    registration = factor[f"{pending.provider}_oauth_factor"]["id"]
    session = {"user_session": body.pop("session"), "oauth_user_registration_id": registration}
    return answer({**body, **session, **provider_members(factor, pending)})


ROUTES = [
    Route("/v1/otps/email/login_or_create", backend(send_code), methods=["POST"]),
    Route("/v1/otps/email/send", backend(send_code), methods=["POST"]),
    Route("/v1/otps/authenticate", backend(authenticate_code), methods=["POST"]),
    Route("/v1/magic_links/email/login_or_create", backend(send_link), methods=["POST"]),
    Route("/v1/magic_links/email/send", backend(send_link), methods=["POST"]),
    Route("/v1/magic_links/authenticate", backend(authenticate_link), methods=["POST"]),
    Route("/v1/public/oauth/{provider}/start", public(start_oauth), methods=["GET"]),
    Route("/v1/oauth/authenticate", backend(authenticate_oauth), methods=["POST"]),
]
