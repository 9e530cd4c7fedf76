"""What a project tells about itself: discovery documents (RFC 8414, OpenID Connect), keys, RBAC policy."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stytch_mcp_kit.local.config import BUILT_IN
from stytch_mcp_kit.local.state import DEFAULT_MEMBER_ROLE, DEFAULT_ROLE, Project, role_of
from stytch_mcp_kit.local.tokens import issuer
from stytch_mcp_kit.local.wire import ApiError, answer, backend, public


def endpoints(project: Project, legacy: bool) -> dict[str, Any]:
    """The members both documents share."""
    url = project.settings.authorization_url
    if not url:
        raise ApiError(
            400,
            "authorization_endpoint_not_configured_for_project",
            "The project does not have an authorization endpoint configured.",
        )
    domain, prefix = project.config.domain, f"/v1/public/{project.config.project_id}" if legacy else "/v1"
    keys = f"{domain}{prefix if legacy else ''}/.well-known/jwks.json"
    return {
        "authorization_endpoint": url,
        "issuer": issuer(project, legacy),
        "jwks_uri": keys,
        "scopes_supported": [*BUILT_IN, *project.config.scopes],
        "token_endpoint": f"{domain}{prefix}/oauth2/token",
        "userinfo_endpoint": f"{domain}{prefix}/oauth2/userinfo",
    }


async def authorization_server(project: Project, request: Request) -> Response:
    """RFC 8414. UNCONFIRMED: Stytch's document with DCR off; here `registration_endpoint` is left out then."""
    body = {
        **endpoints(project, legacy=False),
        "client_id_metadata_document_supported": project.settings.cimd_enabled,
        "code_challenge_methods_supported": ["S256"],
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ],
        "response_types_supported": ["code", "code token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
    }
    if project.settings.dcr_enabled:
        body["registration_endpoint"] = f"{project.config.domain}/v1/oauth2/register"
    return answer(body)


async def openid_configuration(project: Project, request: Request) -> Response:
    """OpenID Connect Discovery, which at Stytch names neither PKCE nor registration."""
    return answer(
        {
            **endpoints(project, legacy="project_id" in request.path_params),
            "grant_types_supported": ["authorization_code"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }
    )


async def jwks(project: Project, request: Request) -> Response:
    return answer(project.keys.jwks())


ROUTES = [
    Route("/.well-known/oauth-authorization-server", public(authorization_server)),
    Route("/.well-known/openid-configuration", public(openid_configuration)),
    Route("/v1/public/{project_id}/.well-known/openid-configuration", public(openid_configuration)),
    Route("/.well-known/jwks.json", public(jwks)),
    Route("/v1/public/{project_id}/.well-known/jwks.json", public(jwks)),
    Route("/v1/sessions/jwks/{project_id}", public(jwks)),
    Route("/v1/b2b/sessions/jwks/{project_id}", public(jwks)),
]


def permission(scope: str) -> dict[str, Any]:
    """`notes:read` is the action `read` on the resource `notes`."""
    resource, _, action = scope.rpartition(":")
    return {"resource_id": resource or scope, "actions": [action]}


def rbac_policy(project: Project) -> dict[str, Any]:
    """The project's policy: one resource per scope prefix, one role per scope."""
    custom = project.config.scopes
    actions: dict[str, list[str]] = {}
    for scope in custom:
        found = permission(scope)
        actions.setdefault(found["resource_id"], []).extend(found["actions"])
    roles: list[dict[str, Any]] = [
        {"role_id": role, "description": "", "permissions": []} for role in (DEFAULT_ROLE, DEFAULT_MEMBER_ROLE)
    ]
    roles += [
        {"role_id": role_of(scope), "description": f"May {scope}", "permissions": [permission(scope)]}
        for scope in custom
    ]
    return {
        "roles": roles,
        "resources": [
            {"resource_id": resource, "description": "", "actions": names} for resource, names in actions.items()
        ],
        "scopes": [
            {"scope": scope, "description": text, "permissions": [permission(scope)]} for scope, text in custom.items()
        ],
    }


async def policy(project: Project, request: Request) -> Response:
    return answer({"policy": rbac_policy(project)})


async def whoami(project: Project, request: Request) -> Response:
    return answer({"project_id": project.config.project_id, "name": project.config.project_name})


ROUTES += [
    Route("/v1/rbac/policy", backend(policy), methods=["GET"]),
    Route("/v1/b2b/rbac/policy", backend(policy), methods=["GET"]),
    Route("/v1/debug/whoami", backend(whoami), methods=["GET"]),
]
