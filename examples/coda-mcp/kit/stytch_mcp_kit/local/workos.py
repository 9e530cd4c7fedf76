"""A stand-in for WorkOS: its environment, and the part of its user API that a move there needs.

Shapes are those of WorkOS' documentation. UNCONFIRMED: the error for a taken `external_id`, and `Retry-After`.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Literal
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stytch_mcp_kit.local.config import Config, Seed, Settings
from stytch_mcp_kit.local.state import Email, Project, User, project_of
from stytch_mcp_kit.local.tokens import timestamp
from stytch_mcp_kit.local.wire import Endpoint, Fields, Handler, bearer_token, json_fields, same

CLIENT_ID = "client_01LOCAL0000000000000000000"
API_KEY = "sk_test_local_00000000000000000000"
JWT_TEMPLATE = '{"external_id": {{ user.external_id }}}'
WRITE_WINDOW_SECONDS = 10
MOST_METADATA = 10
MOST_PER_PAGE = 100


def workos_id(kind: str) -> str:
    """An identifier as WorkOS makes them, for example `user_01...`."""
    return f"{kind}_01{uuid4().hex[:24].upper()}"


@dataclass
class AuthKitSettings(Settings):
    """Switches beside those of local Stytch; each stands for something that is UNCONFIRMED of AuthKit."""

    dcr_status: int = 201
    dcr_default_method: Literal["none", "client_secret_basic"] = "client_secret_basic"
    scope_claim: bool = False
    """Whether access tokens have the claim `scope`."""
    client_id_claim: bool = False
    openid_required: bool = True
    """Whether an authorization request without `openid` is refused."""
    rotate_refresh: bool = True
    access_token_seconds: int = 3600
    writes: int = 500
    """How many writing calls of the API are taken in ten seconds; WorkOS documents 500."""


@dataclass(frozen=True)
class AuthKitConfig(Config):
    """One environment. `domain` is its AuthKit domain, and here also the host of the API."""

    client_id: str = CLIENT_ID
    api_key: str = API_KEY
    resources: tuple[str, ...] = ()
    """Resource indicators (RFC 8707). With none, `resource` is ignored and `aud` is the client ID."""
    jwt_template: str | None = JWT_TEMPLATE
    permissions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """E-mail address -> permissions, which then stand in the person's tokens."""
    users: tuple[Seed, ...] = ()
    settings: AuthKitSettings = field(default_factory=AuthKitSettings)


class Environment(Project):
    """What an environment remembers: what a project does, with users of another kind."""

    config: AuthKitConfig
    settings: AuthKitSettings

    def reset(self) -> None:
        self.jwt_template = self.config.jwt_template
        self.writes: deque[float] = deque()
        super().reset()

    def new_client_id(self) -> str:
        return workos_id("client")

    def add_user(self, seed: Seed) -> User:
        user = User(
            user_id=workos_id("user"),
            emails=[Email(seed.email, seed.verified)],
            roles=[],
            created_at=self.now(),
            name=dict(seed.name),
            external_id=seed.external_id,
        )
        self.users[user.user_id] = user
        return user

    def by_external_id(self, external_id: str) -> User | None:
        return next((user for user in self.users.values() if user.external_id == external_id), None)

    def may_write(self) -> bool:
        """Whether this writing call is within the limit."""
        now = self.now()
        while self.writes and self.writes[0] <= now - WRITE_WINDOW_SECONDS:
            self.writes.popleft()
        if len(self.writes) >= self.settings.writes:
            return False
        self.writes.append(now)
        return True


def environment_of(request: Request) -> Environment:
    environment = project_of(request)
    assert isinstance(environment, Environment)
    return environment


def problem(status: int, code: str, message: str, *errors: str) -> JSONResponse:
    """A refusal in WorkOS' shape; `errors` are codes of their own."""
    return JSONResponse({"message": message, "code": code, "errors": [{"code": each} for each in errors]}, status)


def api(handler: Handler) -> Endpoint:
    """An endpoint for holders of the API key, within the limit for writing."""

    @wraps(handler)
    async def endpoint(request: Request) -> Response:
        environment = environment_of(request)
        if not same(bearer_token(request) or "", environment.config.api_key):
            return JSONResponse({"message": "Unauthorized"}, 401)
        if request.method != "GET" and not environment.may_write():
            limited = problem(429, "rate_limit_exceeded", "Too many requests.")
            limited.headers["retry-after"] = "1"
            return limited
        return await handler(environment, request)

    return endpoint


def user_object(user: User) -> dict[str, Any]:
    assert user.email is not None
    return {
        "object": "user",
        "id": user.user_id,
        "email": user.email.address,
        "email_verified": user.email.verified,
        "first_name": user.name.get("first_name"),
        "last_name": user.name.get("last_name"),
        "profile_picture_url": None,
        "last_sign_in_at": None,
        "external_id": user.external_id,
        "metadata": user.trusted_metadata,
        "created_at": timestamp(user.created_at),
        "updated_at": timestamp(user.created_at),
    }


def not_found(user_id: str) -> JSONResponse:
    return problem(404, "entity_not_found", f"User not found: '{user_id}'.")


def apply(environment: Environment, user: User, fields: Fields) -> JSONResponse | None:
    """Set what a request names, or say what is wrong with it."""
    external_id = fields.text_or_none("external_id")
    other = environment.by_external_id(external_id) if external_id else None
    if other is not None and other is not user:
        return problem(400, "user_update_error", "Could not set external_id.", "external_id_not_available")
    metadata = fields.mapping("metadata")
    if len(metadata) > MOST_METADATA or not all(isinstance(value, str) for value in metadata.values()):
        return problem(422, "unprocessable_entity", "metadata takes ten texts at most.", "metadata_invalid")
    if "external_id" in fields:
        user.external_id = external_id
    if "metadata" in fields:
        user.trusted_metadata = metadata
    for name in ("first_name", "last_name"):
        if name in fields:
            user.name[name] = fields.text(name, "")
    if "email_verified" in fields and user.email is not None:
        user.email.verified = fields.flag("email_verified")
    return None


async def create(project: Project, request: Request) -> Response:
    environment, fields = environment_of(request), await json_fields(request)
    email = fields.text("email")
    if "@" not in email:
        return problem(422, "unprocessable_entity", "email must be an e-mail address.", "email_invalid")
    if next(environment.users_by_email(email), None) is not None:
        return problem(400, "user_creation_error", "Could not create user.", "email_not_available")
    user = User(workos_id("user"), [Email(email, False)], [], environment.now())
    refused = apply(environment, user, fields)
    if refused is not None:
        return refused
    environment.users[user.user_id] = user
    return JSONResponse(user_object(user), 201)


async def get(project: Project, request: Request) -> Response:
    user = project.users.get(request.path_params["user_id"])
    return JSONResponse(user_object(user)) if user else not_found(request.path_params["user_id"])


async def get_by_external_id(project: Project, request: Request) -> Response:
    external_id = request.path_params["external_id"]
    user = environment_of(request).by_external_id(external_id)
    return JSONResponse(user_object(user)) if user else not_found(external_id)


async def update(project: Project, request: Request) -> Response:
    user = project.users.get(request.path_params["user_id"])
    if user is None:
        return not_found(request.path_params["user_id"])
    return apply(environment_of(request), user, await json_fields(request)) or JSONResponse(user_object(user))


async def delete(project: Project, request: Request) -> Response:
    removed = project.remove_user(request.path_params["user_id"])
    return Response(status_code=204) if removed else not_found(request.path_params["user_id"])


async def search(project: Project, request: Request) -> Response:
    """By `email`, a page at a time: `limit`, and `after` the last one seen."""
    query = Fields(request.query_params)
    email, after, limit = query.text("email", ""), query.text("after", ""), query.text("limit", "10")
    if not limit.isdecimal() or not 1 <= int(limit) <= MOST_PER_PAGE:
        return problem(422, "unprocessable_entity", f"limit must be from 1 to {MOST_PER_PAGE}.", "limit_invalid")
    found = list(project.users_by_email(email)) if email else list(project.users.values())
    ids = [user.user_id for user in found]
    start = ids.index(after) + 1 if after in ids else 0
    shown = found[start : start + int(limit)]
    more = shown[-1].user_id if start + int(limit) < len(found) else None
    metadata = {"before": after or None, "after": more}
    return JSONResponse({"object": "list", "data": [user_object(user) for user in shown], "list_metadata": metadata})


async def get_template(project: Project, request: Request) -> Response:
    environment = environment_of(request)
    if environment.jwt_template is None:
        return problem(404, "entity_not_found", "There is no JWT template.")
    return JSONResponse({"object": "jwt_template", "content": environment.jwt_template})


async def set_template(project: Project, request: Request) -> Response:
    environment_of(request).jwt_template = (await json_fields(request)).text("content")
    return await get_template(project, request)


USERS = "/user_management/users"
ROUTES = [
    Route(USERS, api(create), methods=["POST"]),
    Route(USERS, api(search), methods=["GET"]),
    Route(f"{USERS}/external_id/{{external_id}}", api(get_by_external_id), methods=["GET"]),
    Route(f"{USERS}/{{user_id}}", api(get), methods=["GET"]),
    Route(f"{USERS}/{{user_id}}", api(update), methods=["PUT"]),
    Route(f"{USERS}/{{user_id}}", api(delete), methods=["DELETE"]),
    Route("/user_management/jwt_template", api(get_template), methods=["GET"]),
    Route("/user_management/jwt_template", api(set_template), methods=["PUT"]),
]
