"""The OAuth endpoints: token, revocation (RFC 7009), introspection (RFC 7662), userinfo (OpenID Connect Core)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stytch_mcp_kit.local.state import Client, Code, Grant, Project, RefreshToken, new_secret
from stytch_mcp_kit.local.tokens import access_claims, id_claims, m2m_claims, profile, sign, verify
from stytch_mcp_kit.local.wire import (
    ApiError,
    Fields,
    answer,
    authenticate_client,
    bearer_token,
    client_credentials,
    form_fields,
    public,
    s256,
    same,
)

REFRESH_SECONDS = 90 * 24 * 3600


async def token(project: Project, request: Request) -> Response:
    """Form or JSON. A `resource` here (RFC 8707) is ignored, as Stytch was seen to do.

    UNCONFIRMED: the vocabulary of `error` and some statuses; the setting `token_errors` turns it.
    """
    fields = await form_fields(request)
    legacy = "project_id" in request.path_params
    grant_type = fields.text("grant_type")
    if grant_type == "client_credentials":
        body = client_credentials_grant(project, request, fields, legacy)
    elif grant_type == "authorization_code":
        body = code_grant(project, authenticate_client(project, request, fields), fields, legacy)
    elif grant_type == "refresh_token":
        body = refresh_grant(project, authenticate_client(project, request, fields), fields, legacy)
    else:
        raise ApiError(400, "unsupported_grant_type", f"The grant type {grant_type!r} is not supported.")
    response = answer(body)
    response.headers["cache-control"] = "no-store"
    return response


def code_grant(project: Project, client: Client, fields: Fields, legacy: bool) -> dict[str, Any]:
    grant = redeem(project, client, fields)
    return issue(project, client, grant, grant.scopes, legacy)


def redeem(project: Project, client: Client, fields: Fields) -> Grant:
    """RFC 6749 section 4.1.3 with PKCE (RFC 7636 section 4.5). A code that was presented is spent."""
    code = project.codes.get(fields.text("code"))
    if code is None or code.grant.client_id != client.client_id:
        raise ApiError(404, "idp_auth_code_not_found", "The authorization code could not be found.")
    del project.codes[fields.text("code")]
    if code.expires_at <= project.now():
        raise ApiError(400, "idp_auth_code_expired", "The authorization code has expired.")
    if fields.text("redirect_uri") != code.redirect_uri:
        raise ApiError(
            400,
            "connected_app_supplied_redirect_url_not_found_in_client",
            "redirect_uri is not the one of the authorization request.",
        )
    check_verifier(code, fields.text_or_none("code_verifier"))
    check_alive(code.grant)
    return code.grant


def check_verifier(code: Code, verifier: str | None) -> None:
    if code.challenge is None:
        if verifier is not None:
            raise ApiError(400, "pkce_did_not_expect_code_verifier", "There was no code_challenge.")
        return
    if verifier is None:
        raise ApiError(400, "pkce_expected_code_verifier", "code_verifier is required.")
    if not same(s256(verifier), code.challenge):
        raise ApiError(400, "pkce_mismatch", "code_verifier does not match code_challenge.")


def refresh_grant(project: Project, client: Client, fields: Fields, legacy: bool) -> dict[str, Any]:
    """RFC 6749 section 6. Public clients get a new refresh token each time, confidential ones keep theirs.

    UNCONFIRMED: a grace window, and what else reuse revokes (here nothing).
    """
    found, scopes = renew(project, client, fields)
    if client.public:
        found.used = True
        return issue(project, client, found.grant, scopes, legacy)
    body = issue(project, client, found.grant, scopes, legacy, with_refresh=False)
    found.expires_at = project.now() + REFRESH_SECONDS
    return {**body, "refresh_token": fields.text("refresh_token")}


def renew(project: Project, client: Client, fields: Fields) -> tuple[RefreshToken, list[str]]:
    """A refresh token that may be used now, and the scopes that are asked for, at most those it has."""
    value = fields.text("refresh_token")
    found = project.refresh_tokens.get(value)
    if found is None or found.grant.client_id != client.client_id:
        raise ApiError(404, "idp_refresh_token_not_found", "The refresh token could not be found.")
    if found.used:
        raise ApiError(400, "idp_refresh_token_already_used", "The refresh token was used before.")
    if found.expires_at <= project.now():
        raise ApiError(400, "idp_refresh_token_expired", "The refresh token has expired.")
    check_alive(found.grant)
    wanted = fields.text_or_none("scope")
    scopes = found.scopes if wanted is None else wanted.split()
    if not set(scopes) <= set(found.scopes):
        raise ApiError(400, "oauth_invalid_scope_requested", "More scopes than were granted.")
    return found, scopes


def check_alive(grant: Grant) -> None:
    if grant.revoked:
        raise ApiError(400, "connected_app_consent_revoked", "The user's consent was revoked.")


def issue(
    project: Project,
    client: Client,
    grant: Grant,
    scopes: list[str],
    legacy: bool,
    with_refresh: bool = True,
) -> dict[str, Any]:
    """A token answer: `refresh_token` only with offline_access, `id_token` only with openid."""
    user = project.users.get(grant.user_id)
    if user is None:
        raise ApiError(404, "user_not_found", "The user could not be found.")
    claims = access_claims(project, user, client, scopes, grant.resources, legacy)
    grant.issued.add(claims["jti"])
    body: dict[str, Any] = {
        "access_token": sign(project, claims),
        "expires_in": claims["exp"] - claims["iat"],
        "scope": claims["scope"],
        "token_type": "bearer",
    }
    if with_refresh and "offline_access" in grant.scopes:
        body["refresh_token"] = new_secret()
        project.refresh_tokens[body["refresh_token"]] = RefreshToken(
            grant, grant.scopes, project.now() + REFRESH_SECONDS, claims["jti"]
        )
    if "openid" in scopes:
        body["id_token"] = sign(project, id_claims(project, user, client, scopes, grant.nonce, legacy))
    return body


def client_credentials_grant(project: Project, request: Request, fields: Fields, legacy: bool) -> dict[str, Any]:
    """An M2M token, which a resource server must not take for a person's (RFC 6749 section 4.4)."""
    client_id, secret = client_credentials(project, request, fields)
    expected = project.config.m2m_clients.get(client_id)
    if expected is None or secret is None or not same(secret, expected):
        raise ApiError(400, "invalid_client_id", "The M2M client is not known or its secret is not right.")
    allowed = list(project.config.scopes)
    wanted = fields.text_or_none("scope")
    scopes = allowed if wanted is None else wanted.split()
    if not set(scopes) <= set(allowed):
        raise ApiError(400, "oauth_invalid_scope_requested", "The client may not have these scopes.")
    claims = m2m_claims(project, client_id, scopes, legacy)
    return {
        "access_token": sign(project, claims),
        "expires_in": claims["exp"] - claims["iat"],
        "scope": claims["scope"],
        "token_type": "bearer",
    }


ROUTES = [
    Route("/v1/oauth2/token", public(token), methods=["POST"]),
    Route("/v1/public/{project_id}/oauth2/token", public(token), methods=["POST"]),
]


def access_token_claims(project: Project, token: str) -> dict[str, Any] | None:
    """The claims of a live access token: signed here, not expired, not revoked."""
    claims = verify(project, token)
    if claims is None or "client_id" not in claims or not isinstance(claims.get("scope"), str):
        return None
    return None if claims.get("jti") in project.revoked else claims


async def revoke(project: Project, request: Request) -> Response:
    """Always 200 for an authenticated client (RFC 7009 section 2.2).

    A refresh token takes along the access token issued with it; local JWT checks never see either.
    """
    fields = await form_fields(request)
    client = authenticate_client(project, request, fields)
    token = fields.text("token")
    refresh = project.refresh_tokens.get(token)
    if refresh is not None and refresh.grant.client_id == client.client_id:
        del project.refresh_tokens[token]
        project.revoked.add(refresh.jti)
    claims = verify(project, token)
    if claims is not None and claims.get("client_id") == client.client_id and isinstance(claims.get("jti"), str):
        project.revoked.add(claims["jti"])
    return answer()


async def introspect(project: Project, request: Request) -> Response:
    fields = await form_fields(request)
    client = authenticate_client(project, request, fields)
    return answer(introspected(project, client, fields.text("token")))


def introspected(project: Project, client: Client, token: str) -> dict[str, Any]:
    """What the client may know of the token; only its own tokens are active to it."""
    refresh = project.refresh_tokens.get(token)
    if refresh is not None and refresh.grant.client_id == client.client_id:
        live = not refresh.used and not refresh.grant.revoked and refresh.expires_at > project.now()
        found = {"active": True, "client_id": client.client_id, "scope": " ".join(refresh.scopes)}
        found |= {"sub": refresh.grant.user_id, "exp": int(refresh.expires_at), "token_type": "refresh_token"}
        return found if live else {"active": False}
    claims = access_token_claims(project, token)
    if claims is None or claims["client_id"] != client.client_id:
        return {"active": False}
    return {**claims, "active": True, "token_type": "access_token"}


async def userinfo(project: Project, request: Request) -> Response:
    """Claims by the scopes of the access token; 401 for anything else."""
    token = bearer_token(request)
    claims = access_token_claims(project, token) if token else None
    user = project.users.get(claims["sub"]) if claims else None
    if claims is None or user is None:
        raise ApiError(401, "unauthorized_credentials", "Unauthorized credentials.")
    return answer({"sub": user.user_id, **profile(user, claims["scope"].split())})


ROUTES += [
    Route(f"{prefix}/oauth2/{name}", public(handler), methods=methods)
    for prefix in ("/v1", "/v1/public/{project_id}")
    for name, handler, methods in (
        ("revoke", revoke, ["POST"]),
        ("introspect", introspect, ["POST"]),
        ("userinfo", userinfo, ["GET", "POST"]),
    )
]
