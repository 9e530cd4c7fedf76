"""Sessions of users and members: started by a log-in, presented as an opaque token or as a five-minute JWT."""

from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stytch_mcp_kit.local.config import FULL_ACCESS
from stytch_mcp_kit.local.members import find_member, find_organization, member_by_email, membership
from stytch_mcp_kit.local.oauth import access_token_claims
from stytch_mcp_kit.local.state import Project, Session, User, new_id, new_secret, role_of
from stytch_mcp_kit.local.tokens import (
    SESSION_CLAIM,
    SIGNATURE_ONLY,
    session_claims,
    sign,
    timestamp,
    unexpired,
    verify,
)
from stytch_mcp_kit.local.users import check_email, consumer_by_email, find_user, new_user, user_object
from stytch_mcp_kit.local.wire import ApiError, Fields, answer, backend, bad_request, is_b2b, json_fields, same

EXCHANGE_SECONDS = 300


def start_session(project: Project, user: User, minutes: int, factors: list[dict[str, Any]]) -> Session:
    now = project.now()
    session = Session(
        session_id=new_id("session"),
        user_id=user.user_id,
        token=new_secret(),
        started_at=now,
        accessed_at=now,
        expires_at=now + minutes * 60,
        factors=factors,
    )
    project.sessions[session.session_id] = session
    return session


def session_object(project: Project, session: Session) -> dict[str, Any]:
    """A session, as its kind of project writes it."""
    user = project.users[session.user_id]
    common = {
        "authentication_factors": session.factors,
        "roles": user.roles,
        "started_at": timestamp(session.started_at),
        "last_accessed_at": timestamp(session.accessed_at),
        "expires_at": timestamp(session.expires_at),
        "custom_claims": session.custom_claims,
    }
    if user.organization is not None:
        return {
            "member_session_id": session.session_id,
            "member_id": user.user_id,
            "organization_id": user.organization.organization_id,
            "organization_slug": user.organization.slug,
            **common,
        }
    attributes = {"ip_address": "", "user_agent": ""}
    return {"session_id": session.session_id, "user_id": user.user_id, "attributes": attributes, **common}


def with_session(project: Project, session: Session) -> dict[str, Any]:
    """A session with its tokens and its person."""
    user = project.users[session.user_id]
    name = "session" if user.organization is None else "member_session"
    tokens = {
        "session_token": session.token,
        "session_jwt": sign(project, session_claims(project, user, session)),
    }
    return {name: session_object(project, session), **tokens, **person(user)}


def person(user: User) -> dict[str, Any]:
    """A user or a member, as answers about one name them."""
    if user.organization is not None:
        return membership(user)
    return {"user_id": user.user_id, "user": user_object(user)}


def email_factor(project: Project, user: User, email_id: str, kind: str) -> dict[str, Any]:
    """An authentication factor of type `otp` or `magic_link`, delivered by e-mail."""
    address = next(email.address for email in user.emails if email.email_id == email_id)
    now = timestamp(project.now())
    return {
        "type": kind,
        "delivery_method": "email",
        "last_authenticated_at": now,
        "created_at": now,
        "updated_at": now,
        "email_factor": {"email_id": email_id, "email_address": address},
    }


def logged_in(
    project: Project, user: User, fields: Fields, factor: dict[str, Any], proves: str | None = None
) -> dict[str, Any]:
    """The members that every log-in answers with. `proves`: the e-mail address that is verified by it.

    `session_duration_minutes`: without it a user gets no session, a member one of an hour.
    """
    minutes = fields.number("session_duration_minutes", 0 if user.organization is None else 60, 5, 527040)
    claims = fields.mapping("session_custom_claims")
    for email in user.emails:
        email.verified = email.verified or email.email_id == proves
    user.status = "active"
    body: dict[str, Any] = {"reset_sessions": False}
    if user.organization is not None:
        body |= {"member_authenticated": True, "intermediate_session_token": ""}
    if not minutes:
        return {**body, **person(user), "session_token": "", "session_jwt": "", "session": None}
    session = start_session(project, user, minutes, [factor])
    session.custom_claims = claims
    return {**body, **with_session(project, session)}


def find_session(project: Project, fields: Fields, b2b: bool, even_expired: bool = False) -> tuple[Session, User]:
    """The live session named by exactly one of its token, a JWT and its id, of a user or (B2B) of a member.

    `even_expired`: the JWT may be past its five minutes, as long as the session is not over.
    """
    by_id = "member_session_id" if b2b else "session_id"
    given = [name for name in ("session_token", "session_jwt", by_id) if name in fields]
    if len(given) != 1:
        raise bad_request("Exactly one of session_token and session_jwt is required.")
    session: Session | None = None
    value = fields.text(given[0])
    if given[0] == "session_token":
        session = next((item for item in project.sessions.values() if same(item.token, value)), None)
    elif given[0] == by_id:
        session = project.sessions.get(value)
    else:
        claim = (verify(project, value, even_expired) or {}).get(SESSION_CLAIM)
        session = project.sessions.get(str(claim.get("id"))) if isinstance(claim, dict) else None
    user = project.users.get(session.user_id) if session else None
    if session is None or user is None or session.expires_at <= project.now():
        raise ApiError(404, "session_not_found", "The session could not be found.")
    if (user.organization is not None) is not b2b:
        raise ApiError(404, "session_not_found", "The session could not be found.")
    return session, user


async def authenticate(project: Project, request: Request) -> Response:
    """Confirm a session, by a JWT also after its expiry; `session_duration_minutes` makes it last from now."""
    fields = await json_fields(request)
    session, user = find_session(project, fields, is_b2b(request), even_expired=True)
    verdict = judge(project, user, fields)
    minutes = fields.number("session_duration_minutes", 0, 5, 527040)
    session.accessed_at = project.now()
    if minutes:
        session.expires_at = project.now() + minutes * 60
    body = {name: value for name, value in with_session(project, session).items() if not name.endswith("_id")}
    return answer({**body, "verdict": verdict})


def judge(project: Project, user: User, fields: Fields) -> dict[str, Any] | None:
    """The answer to `authorization_check`, if there is one. UNCONFIRMED: the error type of a refusal."""
    if "authorization_check" not in fields:
        return None
    check = Fields(fields.mapping("authorization_check"))
    scope = f"{check.text('resource_id')}:{check.text('action')}"
    here = user.organization is None or check.text("organization_id") == user.organization.organization_id
    if not here or scope not in project.config.scopes or not user.may(scope):
        raise ApiError(403, "session_authorization_error", "The person may not do that.")
    return {"authorized": True, "granting_roles": [role_of(scope)]}


async def revoke(project: Project, request: Request) -> Response:
    """End a session; in B2B `member_id` ends all of a member's."""
    fields = await json_fields(request)
    if is_b2b(request) and "member_id" in fields:
        member_id = fields.text("member_id")
        for session in sessions_of(project, member_id):
            del project.sessions[session.session_id]
        return answer()
    session, _ = find_session(project, fields, is_b2b(request))
    del project.sessions[session.session_id]
    return answer()


def sessions_of(project: Project, user_id: str) -> list[Session]:
    live = (session for session in project.sessions.values() if session.expires_at > project.now())
    return [session for session in live if session.user_id == user_id]


async def get(project: Project, request: Request) -> Response:
    """A person's live sessions."""
    query = Fields(request.query_params)
    if is_b2b(request):
        user = find_member(project, query.text("organization_id"), query.text("member_id"))
    else:
        user = find_user(project, query.text("user_id"))
    name = "member_sessions" if is_b2b(request) else "sessions"
    return answer({name: [session_object(project, session) for session in sessions_of(project, user.user_id)]})


async def attest(project: Project, request: Request) -> Response:
    """A session from another issuer's JWT, verified with the key of a trusted-token profile.

    UNCONFIRMED: how Stytch maps its claims; here `email` names the user.
    """
    fields = await json_fields(request)
    pem = project.config.trusted_token_profiles.get(fields.text("profile_id"))
    try:
        claims = jwt.decode(fields.text("token"), pem or "", algorithms=["RS256"], options=SIGNATURE_ONLY)
    except (jwt.PyJWTError, ValueError):
        claims = {}
    address = claims.get("email")
    if not isinstance(address, str) or not unexpired(project, claims):
        raise ApiError(401, "trusted_auth_token_not_accepted", "The trusted auth token is not accepted.")
    check_email(address)
    if is_b2b(request):
        organization = find_organization(project, fields.text("organization_id"))
        user = member_by_email(project, organization, address)
    else:
        user = consumer_by_email(project, address) or new_user(project, address, verified=True)
    factor = {
        "type": "trusted_auth_token",
        "delivery_method": "trusted_token_exchange",
        "last_authenticated_at": timestamp(project.now()),
        "trusted_auth_token_factor": {"token_id": str(claims.get("jti", ""))},
    }
    return answer(logged_in(project, user, fields, factor))


async def exchange_access_token(project: Project, request: Request) -> Response:
    """A session from an access token with `full_access`, at most five minutes old, once."""
    fields = await json_fields(request)
    claims = access_token_claims(project, fields.text("access_token"))
    user = project.users.get(claims["sub"]) if claims else None
    known = user is not None and (user.organization is not None) is is_b2b(request)
    if claims is None or user is None or not known or claims["jti"] in project.exchanged:
        raise ApiError(404, "idp_access_token_not_found", "The access token could not be found.")
    if FULL_ACCESS not in claims["scope"].split():
        raise ApiError(400, "oauth_access_token_exchange_missing_full_access", "The scope full_access is missing.")
    if project.now() - claims["iat"] > EXCHANGE_SECONDS:
        raise ApiError(400, "oauth_access_token_exchange_token_too_old", "The access token is too old.")
    project.exchanged.add(claims["jti"])
    factor = {
        "type": "oauth",
        "delivery_method": "oauth_access_token_exchange",
        "oauth_access_token_exchange_factor": {"client_id": claims["client_id"]},
    }
    return answer(logged_in(project, user, fields, factor))


ROUTES = [
    Route(f"{prefix}/sessions{suffix}", backend(handler), methods=[method])
    for prefix in ("/v1", "/v1/b2b")
    for suffix, handler, method in (
        ("", get, "GET"),
        ("/authenticate", authenticate, "POST"),
        ("/revoke", revoke, "POST"),
        ("/attest", attest, "POST"),
        ("/exchange_access_token", exchange_access_token, "POST"),
    )
]
