"""One call of the API: who calls, what was asked, and whether that is allowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import unquote, urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.coda import limits, paging
from local.coda.limits import LimitClass
from local.coda.model import Column, Control, Doc, Formula, Page, Table, Token, User
from local.coda.wire import PREFIX, ApiError, bad_request, not_found, read_body
from local.coda.world import World, world_of

LATEST = "latest"
# What a token that is restricted to an object may still ask.
OPEN_TO_ALL = ("/whoami",)
OPEN_TO_SCOPED = ("/mutationStatus/", "/resolveBrowserLink")


def _flag(value: Any) -> Any:
    if value not in ("true", "false"):
        raise ValueError("true or false")
    return value == "true"


def _list(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


Flag = Annotated[bool, BeforeValidator(_flag)]
Texts = Annotated[list[str], BeforeValidator(_list)]


class Query(BaseModel):
    """The parameters that an operation declares; others are refused."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class Paged(Query):
    limit: int = Field(25, ge=1)
    page_token: str | None = None


class Body(BaseModel):
    """The fields that an operation declares; others are refused, and so is a wrong type."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, allow_inf_nan=False)


Item = TypeVar("Item")
NamedT = TypeVar("NamedT", Page, Table, Column, Formula, Control)
BodyT = TypeVar("BodyT", bound=Body)
QueryT = TypeVar("QueryT", bound=Query)


@dataclass
class Call(Generic[QueryT]):
    """A call that came through."""

    world: World
    request: Request
    token: Token
    path: dict[str, str]
    parameters: dict[str, str]
    query: QueryT
    offset: int

    @property
    def origin(self) -> str:
        return f"{self.request.url.scheme}://{self.request.headers.get('host', 'localhost')}"

    @property
    def api(self) -> str:
        return f"{self.origin}{PREFIX}"

    @property
    def user(self) -> User:
        return self.world.users[self.token.email]

    @property
    def url(self) -> str:
        """Of this call, without its query."""
        return f"{self.origin}{self.request.scope['path']}"

    @property
    def href(self) -> str:
        return f"{self.url}?{urlencode(self.parameters)}" if self.parameters else self.url

    def page(
        self, items: Iterable[Item], render: Callable[[Item], Any], limit: int, key: str = "items"
    ) -> dict[str, Any]:
        path = self.request.scope["path"]
        return paging.page(self.url, path, self.parameters, self.offset, limit, items, render, key)

    def listing(self, items: Iterable[Item], render: Callable[[Item], Any]) -> dict[str, Any]:
        """A page of a list that has a `limit`; a larger one than Coda's own counts as that."""
        assert isinstance(self.query, Paged)
        limit = min(self.query.limit, self.world.settings.max_page_size)
        return self.page(items, render, limit) | {"href": self.href}

    async def body(self, model: type[BodyT]) -> BodyT:
        """The JSON body. Raises ApiError 400."""
        try:
            return model.model_validate_json(await read_body(self.request))
        except ValidationError as error:
            raise bad_request(f"body: {_first(error)}") from None

    def doc(self, write: bool = False) -> Doc:
        """The doc in the path. Raises ApiError: 404 for no doc, 403 for one that the caller may not read or write."""
        doc = find_doc(self.world, self.path["doc"])
        access = access_of(self.world, doc, self.token.email)
        if access is None or (write and access != "write"):
            raise ApiError(403, why=f"{self.token.email} has {access or 'no access'}")
        version = self.request.headers.get("x-coda-doc-version")
        if version is not None and (version != LATEST or self.world.is_stale(doc)):
            raise ApiError(400, "Doc is not yet up to date.")
        return doc

    def page_of(self, doc: Doc) -> Page:
        key = self.path["page"]
        if key in doc.gone_pages:
            raise ApiError(410)
        return by_key(doc.pages, key, "page")

    def table_of(self, doc: Doc) -> Table:
        return by_key(doc.tables, self.path["table"], "table")


def find_doc(world: World, doc_id: str) -> Doc:
    doc = world.docs.get(doc_id)
    if doc is None or doc.visible_from > world.now():
        raise ApiError(404)
    if doc.deleted:
        raise ApiError(404, "Doc has been deleted.")
    return doc


def by_key(things: dict[str, NamedT], key: str, kind: str) -> NamedT:
    """A thing by its id, else the first of that name. Raises ApiError 404."""
    thing = things.get(key) or next((one for one in things.values() if one.name == key), None)
    if thing is None:
        raise not_found(kind)
    return thing


def access_of(world: World, doc: Doc, email: str) -> str | None:
    """What a user may do in a doc: write, comment or readonly; None: nothing."""
    if doc.owner == email:
        return "write"
    given = {one.access for one in doc.permissions.values() if _is_meant(world, one.principal, email)}
    return next((access for access in ("write", "comment", "readonly") if access in given), None)


def _is_meant(world: World, principal: dict[str, Any], email: str) -> bool:
    match principal:
        case {"type": "email", "email": address}:
            return bool(address == email)
        case {"type": "domain", "domain": domain}:
            return email.endswith(f"@{domain}")
        case {"type": "group", "groupId": group_id}:
            return group_id in world.groups and email in world.groups[group_id].emails
        case {"type": "workspace", "workspaceId": workspace_id}:
            return workspace_id in world.workspaces and email in world.workspaces[workspace_id].members
        case _:
            return principal.get("type") == "anyone"


def operation(
    method: str,
    path: str,
    handler: Callable[[Call[QueryT]], Awaitable[Response]],
    limit: LimitClass = "reading",
    query: type[QueryT] = Query,  # type: ignore[assignment]
    exclusive_token: bool = False,
) -> Route:
    """An operation of the API: known token, within its limit, within its reach, no undeclared parameter.

    `exclusive_token`: a page token beside other parameters is refused, with the issues named.
    """

    async def endpoint(request: Request) -> Response:
        world = world_of(request)
        world.settle()
        token = authenticate(world, request)
        request.scope["coda.limit"] = limit
        wait = limits.take(world, token.email, limit)
        if wait is not None:
            if world.settings.retry_after:
                request.scope["coda.retry_after"] = limits.whole_seconds(wait)
            raise ApiError(429, why=f"{limit}: {limits.rate(world, limit)}")
        values = {name: unquote(value) for name, value in request.path_params.items()}
        check_reach(world, token, method, request.scope["path"].removeprefix(PREFIX), values)
        parameters, offset = dict(request.query_params), 0
        if "pageToken" in parameters and "page_token" in query.model_fields:
            if exclusive_token and len(parameters) > 1:
                raise _issues(sorted(parameters.keys() - {"pageToken"}))
            parameters, offset = paging.question(request.scope["path"], parameters["pageToken"])
        try:
            asked = query.model_validate(parameters)
        except ValidationError as error:
            if exclusive_token:
                raise _issues([str(each["loc"][0]) for each in error.errors()]) from None
            raise bad_request(f"query: {_first(error)}") from None
        return await handler(Call(world, request, token, values, parameters, asked, offset))

    return Route(f"{PREFIX}{path}", endpoint, methods=[method])


def authenticate(world: World, request: Request) -> Token:
    """The token of `Authorization: Bearer` (RFC 6750 section 2.1). Raises ApiError 401."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    token = world.tokens.get(value.strip()) if scheme.lower() == "bearer" else None
    request.scope["coda.credential"] = token.name if token else "unknown" if scheme else None
    if token is None:
        raise ApiError(401)
    return token


def check_reach(world: World, token: Token, method: str, path: str, values: dict[str, str]) -> None:
    """Raises ApiError 403 for what a restricted token does not cover."""
    if path in OPEN_TO_ALL:
        return
    if ("r" if method == "GET" else "w") not in token.operations:
        raise ApiError(403, why=f"the token is for {token.operations}")
    if token.doc is None or path.startswith(OPEN_TO_SCOPED):
        return
    if values.get("doc") != token.doc or not path.startswith("/docs/"):
        raise ApiError(403, why=f"the token reaches doc {token.doc} only")
    if token.table is None:
        return
    doc = find_doc(world, token.doc)
    if "table" not in values or by_key(doc.tables, values["table"], "table").table_id != token.table:
        raise ApiError(403, why=f"the token reaches table {token.table} only")


def _issues(names: list[str]) -> ApiError:
    issue = {"code": "unrecognized_keys", "keys": names, "path": [], "message": f"Unrecognized keys: {names}"}
    return ApiError(400, issues=[issue], why=f"query: {names}")


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
