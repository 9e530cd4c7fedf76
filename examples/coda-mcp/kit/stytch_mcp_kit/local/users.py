"""Users of a Consumer project, and the Connected Apps they allowed."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stytch_mcp_kit.local.state import DEFAULT_ROLE, Email, Project, User, new_id, role_of
from stytch_mcp_kit.local.tokens import timestamp
from stytch_mcp_kit.local.wire import ApiError, Fields, answer, backend, bad_request, json_fields


def user_object(user: User) -> dict[str, Any]:
    names = {part: user.name.get(part, "") for part in ("first_name", "middle_name", "last_name")}
    return {
        "user_id": user.user_id,
        "emails": [
            {"email_id": email.email_id, "email": email.address, "verified": email.verified} for email in user.emails
        ],
        "status": user.status,
        "phone_numbers": [],
        "webauthn_registrations": [],
        "providers": [],
        "totps": [],
        "crypto_wallets": [],
        "biometric_registrations": [],
        "is_locked": False,
        "roles": user.roles,
        "name": names,
        "created_at": timestamp(user.created_at),
        "password": None,
        "trusted_metadata": user.trusted_metadata,
        "untrusted_metadata": user.untrusted_metadata,
        "external_id": user.external_id,
    }


def find_user(project: Project, user_id: str) -> User:
    """By id or external id. Members are no Users: a project is one kind or the other."""
    for user in project.users.values():
        if user.organization is None and user_id in (user.user_id, user.external_id):
            return user
    raise ApiError(404, "user_not_found", "The user could not be found.")


def new_user(project: Project, address: str | None, verified: bool = False) -> User:
    """A user who may use every custom scope, like a seeded one."""
    user = User(
        user_id=new_id("user"),
        emails=[Email(address, verified)] if address else [],
        roles=[DEFAULT_ROLE, *map(role_of, project.config.scopes)],
        created_at=project.now(),
    )
    project.users[user.user_id] = user
    return user


def check_email(address: str) -> str:
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or any(char.isspace() for char in address):
        raise ApiError(400, "invalid_email", "The e-mail address is not valid.")
    return address


def consumer_by_email(project: Project, address: str) -> User | None:
    return next((user for user in project.users_by_email(address) if user.organization is None), None)


def user_by_hint(project: Project, address: str) -> User:
    user = next(project.users_by_email(address), None)
    if user is None:
        raise ApiError(404, "user_not_found", f"There is no user {address!r}.")
    return user


def apply(user: User, fields: Fields) -> None:
    """Set what a create or update request names."""
    if "name" in fields:
        user.name = {key: value for key, value in fields.mapping("name").items() if isinstance(value, str)}
    for attribute in ("trusted_metadata", "untrusted_metadata"):
        if attribute in fields:
            # Merged at the top level; null takes a key away.
            merged = {**getattr(user, attribute), **fields.mapping(attribute)}
            setattr(user, attribute, {name: value for name, value in merged.items() if value is not None})
    if "external_id" in fields:
        user.external_id = fields.text("external_id")
    if "roles" in fields:
        user.roles = list(dict.fromkeys([DEFAULT_ROLE, *fields.texts("roles")]))


async def create(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    address = fields.text_or_none("email")
    if address is not None and consumer_by_email(project, check_email(address)) is not None:
        raise ApiError(400, "duplicate_email", "A user with this e-mail address exists.")
    apply(User("", [], [], 0), fields)  # refuse before anything is made
    user = new_user(project, address)
    apply(user, fields)
    body = {"user_id": user.user_id, "email_id": user.email.email_id if user.email else "", "phone_id": ""}
    return answer({**body, "status": user.status, "user": user_object(user)})


async def get(project: Project, request: Request) -> Response:
    return answer(user_object(find_user(project, request.path_params["user_id"])))


async def update(project: Project, request: Request) -> Response:
    user = find_user(project, request.path_params["user_id"])
    apply(user, await json_fields(request))
    found = user_object(user)
    same_again = {name: found[name] for name in ("user_id", "emails", "phone_numbers", "crypto_wallets")}
    return answer({**same_again, "user": found})


async def delete(project: Project, request: Request) -> Response:
    user = find_user(project, request.path_params["user_id"])
    project.remove_user(user.user_id)
    return answer({"user_id": user.user_id})


USER_FILTERS: dict[str, Callable[[User], list[str]]] = {
    "user_id": lambda user: [user.user_id],
    "email_address": lambda user: [email.address for email in user.emails],
    "email_id": lambda user: [email.email_id for email in user.emails],
    "email_verified": lambda user: [str(email.verified) for email in user.emails],
    "status": lambda user: [user.status],
}


async def search(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    people = [user for user in project.users.values() if user.organization is None]
    return answer(page(fields, "results", [user_object(user) for user in matching(fields, people, USER_FILTERS)]))


Item = TypeVar("Item")


def matching(fields: Fields, items: list[Item], filters: Mapping[str, Callable[[Item], list[str]]]) -> list[Item]:
    """Those that meet all operands of `query`, with `OR` any; without operands all. Unknown filters are refused."""
    query = Fields(fields.mapping("query"))
    operands, operator = query.any("operands") or [], query.text("operator", "AND")
    if not isinstance(operands, list) or not all(isinstance(operand, dict) for operand in operands):
        raise bad_request("operands must be a list of objects.")
    if operator not in ("AND", "OR"):
        raise bad_request("operator must be AND or OR.")

    def meets(item: Item, operand: dict[str, Any]) -> bool:
        wanted = operand.get("filter_value")
        values = {str(value).lower() for value in (wanted if isinstance(wanted, list) else [wanted])}
        return not values.isdisjoint(value.lower() for value in filters[operand["filter_name"]](item))

    for operand in operands:
        if Fields(operand).text("filter_name") not in filters:
            raise bad_request(f"The filter {operand['filter_name']!r} is not known here.")
    if not operands:
        return items
    decide = all if operator == "AND" else any
    return [item for item in items if decide(meets(item, operand) for operand in operands)]


def page(fields: Fields, name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """One page of a search; the cursor is the position to go on from."""
    limit = fields.number("limit", 100, 1, 1000)
    cursor = fields.text("cursor", "0")
    if not cursor.isdecimal() or len(cursor) > 9:
        raise bad_request("The cursor is not one of ours.")
    end = int(cursor) + limit
    metadata = {"total": len(items), "next_cursor": str(end) if end < len(items) else None}
    return {name: items[int(cursor) : end], "results_metadata": metadata}


def allowed_apps(project: Project, user: User) -> list[dict[str, Any]]:
    """The apps with a consent that still stands, and the scopes they were granted."""
    apps = []
    for client in project.clients.values():
        grants = [
            grant
            for grant in project.grants
            if (grant.user_id, grant.client_id) == (user.user_id, client.client_id) and not grant.revoked
        ]
        if grants:
            scopes = dict.fromkeys(scope for grant in grants for scope in grant.scopes)
            apps.append(
                {
                    "connected_app_id": client.client_id,
                    "name": client.client_name,
                    "description": client.client_description,
                    "client_type": client.client_type,
                    "scopes_granted": " ".join(scopes),
                    "logo_url": client.logo_url,
                }
            )
    return apps


def revoke_app(project: Project, user: User, client_id: str) -> None:
    if client_id not in project.clients:
        raise ApiError(404, "connected_app_not_found", "The Connected App requested could not be found.")
    project.forget_app(user.user_id, client_id)


async def connected_apps(project: Project, request: Request) -> Response:
    user = find_user(project, request.path_params["user_id"])
    return answer({"connected_apps": allowed_apps(project, user)})


async def revoke(project: Project, request: Request) -> Response:
    user = find_user(project, request.path_params["user_id"])
    revoke_app(project, user, request.path_params["client_id"])
    return answer()


ROUTES = [
    Route("/v1/users", backend(create), methods=["POST"]),
    Route("/v1/users/search", backend(search), methods=["POST"]),
    Route("/v1/users/{user_id}", backend(get), methods=["GET"]),
    Route("/v1/users/{user_id}", backend(update), methods=["PUT"]),
    Route("/v1/users/{user_id}", backend(delete), methods=["DELETE"]),
    Route("/v1/users/{user_id}/connected_apps", backend(connected_apps), methods=["GET"]),
    Route("/v1/users/{user_id}/connected_apps/{client_id}/revoke", backend(revoke), methods=["POST"]),
]
