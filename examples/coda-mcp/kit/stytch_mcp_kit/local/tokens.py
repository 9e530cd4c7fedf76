"""The JWTs a project signs: access, ID, session and M2M tokens, all with one key set and one issuer."""

import json
import re
import secrets
from datetime import UTC, datetime
from typing import Any

import jwt
from jwt.types import Options

from stytch_mcp_kit.local.state import Client, Project, Session, User
from stytch_mcp_kit.local.wire import ApiError

SESSION_CLAIM = "https://stytch.com/session"
ORGANIZATION_CLAIM = "https://stytch.com/organization"
SESSION_JWT_SECONDS = 300
ID_TOKEN_SECONDS = 3600
SIGNATURE_ONLY: Options = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_iss": False,
    "verify_jti": False,
    "verify_nbf": False,
    "verify_sub": False,
}
"""PyJWT judges times by the machine's clock; here the project's counts."""


def issuer(project: Project, legacy: bool = False) -> str:
    """Decided by the host the request went to: the domain, or `stytch.com/<project>` on the legacy paths."""
    return f"stytch.com/{project.config.project_id}" if legacy else project.config.domain


def sign(project: Project, claims: dict[str, Any]) -> str:
    key = project.keys.current
    return jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.kid, "typ": "JWT"})


def verify(project: Project, token: str, even_expired: bool = False) -> dict[str, Any] | None:
    """The claims of an unexpired token that this project signed with a published key, by the project's clock."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = next(key for key in project.keys.published if key.kid == kid)
        claims: dict[str, Any] = jwt.decode(
            token, key.private.public_key(), algorithms=["RS256"], options=SIGNATURE_ONLY
        )
    except (jwt.PyJWTError, StopIteration):
        return None
    if not isinstance(claims.get("sub"), str):
        return None
    return claims if even_expired or unexpired(project, claims) else None


def unexpired(project: Project, claims: dict[str, Any]) -> bool:
    expiry = claims.get("exp")
    return isinstance(expiry, int | float) and expiry > project.now()


def times(project: Project, seconds: int) -> dict[str, int]:
    now = int(project.now())
    return {"exp": now + seconds, "iat": now, "nbf": now}


def organization_claim(user: User) -> dict[str, Any]:
    if user.organization is None:
        return {}
    found = user.organization
    return {ORGANIZATION_CLAIM: {"organization_id": found.organization_id, "slug": found.slug}}


def access_claims(
    project: Project,
    user: User,
    client: Client,
    scopes: list[str],
    resources: list[str],
    legacy: bool = False,
) -> dict[str, Any]:
    """Exactly the members of Stytch's Connected App access token.

    `aud` begins with the project id. UNCONFIRMED: the order of what follows, and whether resources follow.
    """
    audience = [project.config.project_id]
    if client.access_token_custom_audience:
        audience.append(client.access_token_custom_audience)
    if project.settings.aud_resources == "append":
        audience += [resource for resource in resources if resource not in audience]
    return {
        **templated(client.access_token_template_content, user),
        **organization_claim(user),
        "iss": issuer(project, legacy),
        "sub": user.user_id,
        "aud": audience,
        "client_id": client.client_id,
        **times(project, client.access_token_expiry_minutes * 60),
        "jti": secrets.token_urlsafe(33),
        "scope": " ".join(scopes),
    }


def id_claims(
    project: Project, user: User, client: Client, scopes: list[str], nonce: str | None, legacy: bool = False
) -> dict[str, Any]:
    """An ID token (OpenID Connect Core section 2); its audience is the client."""
    return {
        **templated(client.id_token_template_content, user),
        **profile(user, scopes),
        "iss": issuer(project, legacy),
        "sub": user.user_id,
        "aud": [client.client_id],
        **times(project, ID_TOKEN_SECONDS),
        **({"nonce": nonce} if nonce else {}),
    }


def session_claims(project: Project, user: User, session: Session) -> dict[str, Any]:
    return {
        **session.custom_claims,
        **organization_claim(user),
        "iss": issuer(project),
        "sub": user.user_id,
        "aud": [project.config.project_id],
        **times(project, SESSION_JWT_SECONDS),
        SESSION_CLAIM: {
            "id": session.session_id,
            "started_at": timestamp(session.started_at),
            "last_accessed_at": timestamp(session.accessed_at),
            "expires_at": timestamp(session.expires_at),
            "attributes": {"ip_address": "", "user_agent": ""},
            "authentication_factors": session.factors,
            "roles": user.roles,
        },
    }


def m2m_claims(project: Project, client_id: str, scopes: list[str], legacy: bool = False) -> dict[str, Any]:
    """An M2M token: the subject is the client. UNCONFIRMED: whether there is a `client_id` claim."""
    return {
        "iss": issuer(project, legacy),
        "sub": client_id,
        "aud": [project.config.project_id],
        **times(project, 3600),
        "scope": " ".join(scopes),
    }


def profile(user: User, scopes: list[str]) -> dict[str, Any]:
    """The standard claims that `scopes` open (OpenID Connect Core section 5.4)."""
    claims: dict[str, Any] = {}
    if "profile" in scopes:
        given, middle, family = (user.name.get(f"{part}_name", "") for part in ("first", "middle", "last"))
        whole = " ".join(part for part in (given, middle, family) if part)
        claims |= {"name": whole, "given_name": given, "middle_name": middle, "family_name": family}
        claims |= {"picture": "", "locale": ""}
    if "email" in scopes and user.email is not None:
        claims |= {"email": user.email.address, "email_verified": user.email.verified}
    if "phone" in scopes:
        claims |= {"phone_number": "", "phone_number_verified": False}
    return claims


def templated(template: str, user: User) -> dict[str, Any]:
    """Claims from a token template such as `{"ext": {{user.external_id}}}`.

    UNCONFIRMED: which members of the user Stytch offers; here user_id, email, external_id and both metadata.
    """
    if not template:
        return {}
    values: dict[str, Any] = {
        "user_id": user.user_id,
        "email": user.email.address if user.email else None,
        "external_id": user.external_id,
        "trusted_metadata": user.trusted_metadata,
        "untrusted_metadata": user.untrusted_metadata,
    }

    def value(match: re.Match[str]) -> str:
        found: Any = values
        for part in match[1].split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return json.dumps(found)

    try:
        claims = json.loads(re.sub(r"\{\{\s*(?:user|member)\.([\w.]+)\s*\}\}", value, template))
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise ApiError(400, "idp_invalid_access_token_jwt_template", "The token template is not a JSON object.")
    return claims


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC, as Stytch writes times."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
