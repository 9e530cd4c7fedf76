"""A stand-in for WorkOS AuthKit as an authorization server: documents, clients, codes, tokens.

What AuthKit's page asks of a person is answered at once, with yes. Documented and not here: device codes,
introspection, userinfo, and the log-in for confidential machines; the documents do not name what is not here.
UNCONFIRMED facts are switches, see `workos.AuthKitSettings`, or stand where they matter.
"""

import secrets
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from stytch_mcp_kit.local import controls, workos
from stytch_mcp_kit.local.authorize import Question, decide
from stytch_mcp_kit.local.controls import control
from stytch_mcp_kit.local.faults import Faults, RequestLog
from stytch_mcp_kit.local.mint import overridden, signed
from stytch_mcp_kit.local.oauth import REFRESH_SECONDS, redeem, renew
from stytch_mcp_kit.local.registration import check_redirect, register, resolve_client, with_params
from stytch_mcp_kit.local.state import Client, Grant, Project, RefreshToken, User, new_secret
from stytch_mcp_kit.local.tokens import ID_TOKEN_SECONDS, profile, sign, templated
from stytch_mcp_kit.local.users import user_by_hint
from stytch_mcp_kit.local.wire import (
    OAUTH_CODES,
    ApiError,
    Fields,
    authenticate_client,
    form_fields,
    json_fields,
    public,
)
from stytch_mcp_kit.local.workos import AuthKitConfig, Environment, environment_of, workos_id

SCOPES = ("email", "offline_access", "openid", "profile")
"""All that clients may ask for: an environment has no custom scopes."""
RESERVED = ("iss", "sub", "exp", "iat", "nbf", "jti", "aud")
CODES = {**OAUTH_CODES, "invalid_target": (400, "invalid_target"), "route_not_found": (404, "not_found")}
SHARED_CONTROLS = ("/reset", "/users/", "/keys/rotate", "/clock", "/faults", "/requests", "/settings")


def create_app(config: AuthKitConfig) -> Starlette:
    """An environment of its own. Its state is `app.state.project`, and `/_test/` as local Stytch has it."""
    shared = [route for route in controls.ROUTES if route.path.removeprefix("/_test").startswith(SHARED_CONTROLS)]
    app = Starlette(
        routes=[*ROUTES, *workos.ROUTES, *shared],
        middleware=[Middleware(RequestLog), Middleware(Faults)],
        exception_handlers={ApiError: refuse, HTTPException: refuse_http},
    )
    app.state.project = Environment(config)
    return app


async def refuse(request: Request, error: Exception) -> JSONResponse:
    """RFC 6749 section 5.2."""
    assert isinstance(error, ApiError)
    status, code = CODES.get(error.error_type, (error.status, "invalid_grant"))
    body = {"error": code, "error_description": error.message}
    return JSONResponse(body, status, {"cache-control": "no-store"})


async def refuse_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"message": error.detail}, error.status_code, error.headers)


def documents(environment: Environment) -> dict[str, Any]:
    """The members both documents share."""
    domain = environment.config.domain
    return {
        "authorization_endpoint": f"{domain}/oauth2/authorize",
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "issuer": domain,
        "jwks_uri": f"{domain}/oauth2/jwks",
        "response_types_supported": ["code"],
        "scopes_supported": list(SCOPES),
        "token_endpoint": f"{domain}/oauth2/token",
        "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
    }


def metadata(environment: Environment) -> dict[str, Any]:
    """RFC 8414. No RFC 9207: authorization responses have no `iss`."""
    body = documents(environment) | {
        "client_id_metadata_document_supported": environment.settings.cimd_enabled,
        "code_challenge_methods_supported": ["S256"],
        "response_modes_supported": ["query"],
    }
    if environment.settings.dcr_enabled:
        body["registration_endpoint"] = f"{environment.config.domain}/oauth2/register"
    return body


async def authorization_server(project: Project, request: Request) -> Response:
    return JSONResponse(metadata(environment_of(request)))


async def openid_configuration(project: Project, request: Request) -> Response:
    """OpenID Connect Discovery, which at AuthKit names neither PKCE nor registration."""
    more = {"id_token_signing_alg_values_supported": ["RS256"], "subject_types_supported": ["public"]}
    return JSONResponse(documents(environment_of(request)) | more)


async def jwks(project: Project, request: Request) -> Response:
    return JSONResponse(project.keys.jwks())


async def authorize(project: Project, request: Request) -> Response:
    """302 with `code` and `state`. `login_hint` names the person by e-mail address, else the setting `auto_login`.

    What makes the redirect URI untrustworthy is answered without a redirect.
    """
    environment, query = environment_of(request), Fields(request.query_params)
    client = await resolve_client(project, query.text("client_id"))
    redirect_uri, state = query.text("redirect_uri"), query.text_or_none("state")
    check_redirect(client, redirect_uri, project.settings)
    scopes = query.text("scope", "openid").split()
    error = request_error(environment, query, scopes)
    if error is not None:
        return RedirectResponse(with_params(redirect_uri, {"error": error, "state": state}, project.settings), 302)
    user = user_by_hint(project, query.text("login_hint", project.settings.auto_login))
    question = Question(
        client,
        redirect_uri,
        list(dict.fromkeys(scopes)),
        state=state,
        nonce=query.text_or_none("nonce"),
        challenge=query.text_or_none("code_challenge"),
        resources=request.query_params.getlist("resource"),
    )
    location, _ = decide(project, user, question, consent_granted=True)
    return RedirectResponse(location, 302, {"cache-control": "no-store"})


def request_error(environment: Environment, query: Fields, scopes: list[str]) -> str | None:
    """UNCONFIRMED: what becomes of a scope that AuthKit does not know; here `invalid_scope`."""
    if query.text("response_type", "code") != "code":
        return "unsupported_response_type"
    if query.text("code_challenge_method", "S256") != "S256":
        return "invalid_request"
    if not set(scopes) <= set(SCOPES) or (environment.settings.openid_required and "openid" not in scopes):
        return "invalid_scope"
    return None


async def token(project: Project, request: Request) -> Response:
    environment, fields = environment_of(request), await form_fields(request)
    client = authenticate_client(project, request, fields)
    grant_type = fields.text("grant_type")
    if grant_type == "authorization_code":
        grant = redeem(project, client, fields)
        body = issue(environment, client, grant, audience(environment, grant, fields))
    elif grant_type == "refresh_token":
        found, _ = renew(project, client, fields)
        body = issue(environment, client, found.grant, audience(environment, found.grant, fields))
        if environment.settings.rotate_refresh:
            found.used = True
        else:
            body["refresh_token"] = fields.text("refresh_token")
    else:
        raise ApiError(400, "unsupported_grant_type", f"The grant type {grant_type!r} is not supported here.")
    return JSONResponse(body, headers={"cache-control": "no-store", "pragma": "no-cache"})


def audience(environment: Environment, grant: Grant, fields: Fields) -> str:
    """RFC 8707 section 2.2: of an indicator that is not set up, nothing is issued."""
    resource = fields.text_or_none("resource") or next(iter(grant.resources), None)
    if not environment.config.resources or resource is None:
        return environment.config.client_id
    if resource not in environment.config.resources:
        raise ApiError(400, "invalid_target", f"The resource {resource!r} is not set up in this environment.")
    return resource


def issue(environment: Environment, client: Client, grant: Grant, aud: str) -> dict[str, Any]:
    """A token answer: `refresh_token` only with offline_access, `id_token` only with openid."""
    user = environment.users.get(grant.user_id)
    if user is None:
        raise ApiError(400, "user_not_found", "The user does not exist any more.")
    claims = access_claims(environment, user, client.client_id, grant.scopes, aud)
    body: dict[str, Any] = {
        "access_token": sign(environment, claims),
        "expires_in": claims["exp"] - claims["iat"],
        "token_type": "bearer",
    }
    if "offline_access" in grant.scopes:
        body["refresh_token"] = new_secret()
        expires_at = environment.now() + REFRESH_SECONDS
        environment.refresh_tokens[body["refresh_token"]] = RefreshToken(grant, grant.scopes, expires_at, claims["jti"])
    if "openid" in grant.scopes:
        body["id_token"] = sign(environment, id_claims(environment, user, client.client_id, grant.scopes, grant.nonce))
    return body


def common_claims(environment: Environment, sub: str, aud: str, seconds: int) -> dict[str, Any]:
    now = int(environment.now())
    return {"iss": environment.config.domain, "sub": sub, "aud": aud, "exp": now + seconds, "iat": now}


def access_claims(environment: Environment, user: User, client_id: str, scopes: list[str], aud: str) -> dict[str, Any]:
    """The documented claims of a Connect access token; the template adds others and overrides none of these."""
    settings, config = environment.settings, environment.config
    added = templated(environment.jwt_template or "", user)
    permissions = config.permissions.get(user.email.address if user.email else "")
    return {
        **{name: value for name, value in added.items() if name not in RESERVED and value is not None},
        **common_claims(environment, user.user_id, aud, settings.access_token_seconds),
        "sid": workos_id("app_consent"),
        "jti": secrets.token_hex(13),
        **({"scope": " ".join(scopes)} if settings.scope_claim else {}),
        **({"client_id": client_id} if settings.client_id_claim else {}),
        **({"permissions": list(permissions)} if permissions is not None else {}),
    }


def id_claims(
    environment: Environment, user: User, client_id: str, scopes: list[str], nonce: str | None
) -> dict[str, Any]:
    claims = common_claims(environment, user.user_id, client_id, ID_TOKEN_SECONDS)
    return {**profile(user, scopes), **claims, **({"nonce": nonce} if nonce else {})}


async def mint(project: Project, request: Request) -> Response:
    """Any token a test may want: `kind` (access, m2m, id), `email`, `aud`; `claims`, `header`, `key` as in `mint`."""
    environment, fields = environment_of(request), await json_fields(request)
    user = user_by_hint(project, fields.text("email", project.settings.auto_login))
    resource = next(iter(environment.config.resources), environment.config.client_id)
    aud, kind = fields.text("aud", resource), fields.text("kind", "access")
    if kind == "m2m":
        machine = workos_id("client")
        claims = common_claims(environment, machine, aud, 3600) | {"jti": secrets.token_hex(13), "scope": ""}
    elif kind == "id":
        claims = id_claims(environment, user, workos_id("client"), list(SCOPES), nonce="n")
    else:
        claims = access_claims(environment, user, workos_id("client"), list(SCOPES), aud)
    claims = overridden(claims, fields.mapping("claims"))
    token = signed(project, claims, fields.mapping("header"), fields.text("key", "current"), None)
    return JSONResponse({"token": token})


ROUTES = [
    Route("/.well-known/oauth-authorization-server", public(authorization_server)),
    Route("/.well-known/openid-configuration", public(openid_configuration)),
    Route("/oauth2/jwks", public(jwks)),
    Route("/oauth2/register", public(register), methods=["POST"]),
    Route("/oauth2/authorize", public(authorize), methods=["GET"]),
    Route("/oauth2/token", public(token), methods=["POST"]),
    Route("/_test/mint", control(mint), methods=["POST"]),
]
