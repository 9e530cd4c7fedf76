"""Requests and answers: who calls, what was sent, how it is refused in Stytch's words or OAuth's."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stytch_mcp_kit.local.state import Client, Project, project_of

OAUTH_SHAPED = ("/oauth2/token", "/oauth2/revoke", "/oauth2/introspect")
OAUTH_CODES = {
    "unauthorized_credentials": (401, "invalid_client"),
    "connected_app_not_found": (401, "invalid_client"),
    "invalid_client_id": (401, "invalid_client"),
    "invalid_client_secret": (401, "invalid_client"),
    "oauth_invalid_scope_requested": (400, "invalid_scope"),
    "unsupported_grant_type": (400, "unsupported_grant_type"),
    "bad_request": (400, "invalid_request"),
    "pkce_expected_code_verifier": (400, "invalid_request"),
}


class ApiError(Exception):
    """A refusal with Stytch's `error_type`."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message


def request_id() -> str:
    return f"request-id-test-{uuid4()}"


def answer(body: dict[str, Any] | None = None, status: int = 200) -> JSONResponse:
    """`body` with the `request_id` and `status_code` that every answer of Stytch carries."""
    return JSONResponse({**(body or {}), "request_id": request_id(), "status_code": status}, status)


async def refuse(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    status, error_type = error.status, error.error_type
    url = f"https://stytch.com/docs/api/errors/{status}#{error_type}"
    if not request.url.path.endswith(OAUTH_SHAPED):
        return answer({"error_type": error_type, "error_message": error.message, "error_url": url}, status)
    if project_of(request).settings.token_errors == "oauth":
        status, error_type = OAUTH_CODES.get(error_type, (400, "invalid_grant"))
    response = answer({"error": error_type, "error_description": error.message, "error_uri": url}, status)
    response.headers["cache-control"] = "no-store"
    return response


async def refuse_http(request: Request, error: Exception) -> JSONResponse:
    """Unknown routes, wrong methods and oversized bodies. UNCONFIRMED: Stytch's error types for them."""
    assert isinstance(error, HTTPException)
    kinds = {404: "route_not_found", 405: "method_not_allowed", 413: "request_too_large"}
    response = await refuse(
        request, ApiError(error.status_code, kinds.get(error.status_code, "bad_request"), error.detail)
    )
    response.headers.update(error.headers or {})
    return response


def is_b2b(request: Request) -> bool:
    """Whether the request is for members of organizations."""
    return request.url.path.startswith("/v1/b2b/")


def bad_request(message: str) -> ApiError:
    """UNCONFIRMED: Stytch's error type for a malformed request."""
    return ApiError(400, "bad_request", message)


class Fields:
    """The fields of a body or a query, read by name and type."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def any(self, name: str) -> Any:
        return self.values.get(name)

    def text_or_none(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise bad_request(f"{name} must be a string.")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value = self.text_or_none(name)
        if value is not None:
            return value
        if default is None:
            raise bad_request(f"{name} is required.")
        return default

    def texts(self, name: str, default: list[str] | None = None) -> list[str]:
        value = self.values.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise bad_request(f"{name} must be a list of strings.")
        return list(value)

    def flag(self, name: str, default: bool | None = None) -> bool:
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise bad_request(f"{name} must be true or false.")
        return value

    def number(self, name: str, default: int, lowest: int = 0, highest: int = 2**31) -> int:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise bad_request(f"{name} must be a whole number between {lowest} and {highest}.")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise bad_request(f"{name} must be an object.")
        return value


async def json_fields(request: Request) -> Fields:
    """The JSON object of the body; an empty body reads as `{}`."""
    body = await request.body()
    try:
        values = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise bad_request("The body is not JSON.") from None
    if not isinstance(values, dict):
        raise bad_request("The body must be a JSON object.")
    return Fields(values)


async def form_fields(request: Request) -> Fields:
    """A form, or a JSON object where the content type says so: Stytch's OAuth endpoints take both."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        return await json_fields(request)
    form = await request.form()
    return Fields({name: value for name, value in form.items() if isinstance(value, str)})


def basic_credentials(request: Request) -> tuple[str, str] | None:
    """User and password of an HTTP Basic header (RFC 7617); None without one or if it cannot be read."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def bearer_token(request: Request) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750 section 2.1)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


Handler = Callable[[Project, Request], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())


def s256(verifier: str) -> str:
    """The `code_challenge` of a `code_verifier` (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def public(handler: Handler) -> Endpoint:
    """An endpoint anybody may call; a legacy path must name this project."""

    @wraps(handler)
    async def endpoint(request: Request) -> Response:
        project = project_of(request)
        named = request.path_params.get("project_id", project.config.project_id)
        if named != project.config.project_id:
            raise ApiError(404, "project_not_found", "The project could not be found.")
        return await handler(project, request)

    return endpoint


def backend(handler: Handler) -> Endpoint:
    """An endpoint of Stytch's API: HTTP Basic with project id and secret, else 401."""

    @wraps(handler)
    async def endpoint(request: Request) -> Response:
        project = project_of(request)
        user, password = basic_credentials(request) or ("", "")
        right_user = same(user, project.config.project_id)
        if not (same(password, project.config.secret) and right_user):
            raise ApiError(401, "unauthorized_credentials", "Unauthorized credentials.")
        return await handler(project, request)

    return endpoint


def client_credentials(project: Project, request: Request, fields: Fields) -> tuple[str, str | None]:
    """Client id and secret from the body, else from HTTP Basic (RFC 6749 section 2.3.1).

    The SDK sends the project's own Basic header along when it introspects: that is not a client's.
    """
    basic = basic_credentials(request)
    if basic is not None and basic[0] == project.config.project_id:
        basic = None
    client_id = fields.text_or_none("client_id") or (basic[0] if basic else None)
    secret = fields.text_or_none("client_secret") or (basic[1] if basic else None)
    if client_id is None:
        raise ApiError(400, "invalid_client_id", "client_id is required.")
    return client_id, secret or None


def authenticate_client(project: Project, request: Request, fields: Fields) -> Client:
    """The client that calls an OAuth endpoint; a confidential one must prove itself."""
    client_id, secret = client_credentials(project, request, fields)
    client = find_client(project, client_id)
    if not client.public and (secret is None or not any(same(secret, known) for known in client.secrets)):
        raise ApiError(401, "invalid_client_secret", "The client secret is not right.")
    return client


def find_client(project: Project, client_id: str) -> Client:
    """By its id, or by the URL of its metadata document once Stytch has seen that."""
    client = project.clients.get(client_id)
    if client is None and "://" in client_id:
        client = next((app for app in project.clients.values() if app.client_id_metadata_url == client_id), None)
    if client is None:
        raise ApiError(404, "connected_app_not_found", "The Connected App requested could not be found.")
    return client
