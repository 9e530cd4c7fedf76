"""Sessions: started by a log-in, presented as an opaque token or as a JWT that lives five minutes."""

from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stytch_mcp_kit.local.config import FULL_ACCESS
from stytch_mcp_kit.local.oauth import access_token_claims
from stytch_mcp_kit.local.state import Project, Session, User, new_id, new_secret
from stytch_mcp_kit.local.tokens import (
    SESSION_CLAIM,
    SIGNATURE_ONLY,
    session_claims,
    sign,
    timestamp,
    unexpired,
    verify,
)
from stytch_mcp_kit.local.users import check_email, consumer_by_email, new_user, user_object
from stytch_mcp_kit.local.wire import ApiError, Fields, answer, backend, bad_request, json_fields

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
    return {
        "session_id": session.session_id,
        "user_id": session.user_id,
        "authentication_factors": session.factors,
        "roles": project.users[session.user_id].roles,
        "started_at": timestamp(session.started_at),
        "last_accessed_at": timestamp(session.accessed_at),
        "expires_at": timestamp(session.expires_at),
        "attributes": {"ip_address": "", "user_agent": ""},
        "custom_claims": session.custom_claims,
    }


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


def logged_in(project: Project, user: User, fields: Fields, factor: dict[str, Any]) -> dict[str, Any]:
    """The members that every log-in answers with; without `session_duration_minutes` there is no session."""
    body: dict[str, Any] = {"user_id": user.user_id, "user": user_object(user), "reset_sessions": False}
    minutes = fields.number("session_duration_minutes", 0, 5, 527040)
    if not minutes:
        return {**body, "session_token": "", "session_jwt": "", "session": None}
    session = start_session(project, user, minutes, [factor])
    session.custom_claims = fields.mapping("session_custom_claims")
    return {**body, **tokens_of(project, user, session), "session": session_object(project, session)}


def tokens_of(project: Project, user: User, session: Session) -> dict[str, Any]:
    return {
        "session_token": session.token,
        "session_jwt": sign(project, session_claims(project, user, session)),
    }


def find_session(project: Project, fields: Fields) -> tuple[Session, User]:
    """The live session named by exactly one of session_token, session_jwt and session_id."""
    given = [name for name in ("session_token", "session_jwt", "session_id") if name in fields]
    if len(given) != 1:
        raise bad_request("Exactly one of session_token and session_jwt is required.")
    session: Session | None = None
    value = fields.text(given[0])
    if given[0] == "session_token":
        session = next((item for item in project.sessions.values() if item.token == value), None)
    elif given[0] == "session_id":
        session = project.sessions.get(value)
    else:
        claim = (verify(project, value) or {}).get(SESSION_CLAIM)
        session = project.sessions.get(claim["id"]) if isinstance(claim, dict) else None
    user = project.users.get(session.user_id) if session else None
    if session is None or user is None or session.expires_at <= project.now():
        raise ApiError(404, "session_not_found", "The session could not be found.")
    return session, user


async def authenticate(project: Project, request: Request) -> Response:
    """Confirm a session; `session_duration_minutes` makes it last from now."""
    fields = await json_fields(request)
    session, user = find_session(project, fields)
    if user.organization is not None:
        raise ApiError(404, "session_not_found", "The session could not be found.")
    minutes = fields.number("session_duration_minutes", 0, 5, 527040)
    session.accessed_at = project.now()
    if minutes:
        session.expires_at = project.now() + minutes * 60
    body = {"session": session_object(project, session), "user": user_object(user), "verdict": None}
    return answer({**body, **tokens_of(project, user, session)})


async def revoke(project: Project, request: Request) -> Response:
    session, _ = find_session(project, await json_fields(request))
    del project.sessions[session.session_id]
    return answer()


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
    user = consumer_by_email(project, check_email(address)) or new_user(project, address, verified=True)
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
    if claims is None or user is None or claims["jti"] in project.exchanged:
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
    Route("/v1/sessions/authenticate", backend(authenticate), methods=["POST"]),
    Route("/v1/sessions/revoke", backend(revoke), methods=["POST"]),
    Route("/v1/sessions/attest", backend(attest), methods=["POST"]),
    Route("/v1/sessions/exchange_access_token", backend(exchange_access_token), methods=["POST"]),
]
