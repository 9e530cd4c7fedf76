"""Connected Apps as the project's backend manages them: `/v1/connected_apps/clients`."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stytch_mcp_kit.local.registration import check_registrable
from stytch_mcp_kit.local.state import Client, Project, new_id, new_secret
from stytch_mcp_kit.local.users import page
from stytch_mcp_kit.local.wire import ApiError, Fields, answer, backend, find_client, json_fields

TYPES = ("first_party", "first_party_public", "third_party", "third_party_public")
TEXTS = (
    "client_name",
    "client_description",
    "logo_url",
    "access_token_custom_audience",
    "access_token_template_content",
    "id_token_template_content",
)
URL_LISTS = ("redirect_urls", "post_logout_redirect_urls")
FLAGS = ("full_access_allowed", "bypass_consent_for_offline_access")


def client_object(client: Client) -> dict[str, Any]:
    last_fours = [secret[-4:] for secret in client.secrets] + [None, None]
    return {
        "client_id": client.client_id,
        "client_name": client.client_name,
        "client_description": client.client_description,
        "status": client.status,
        "full_access_allowed": client.full_access_allowed,
        "client_type": client.client_type,
        "redirect_urls": client.redirect_urls,
        "access_token_expiry_minutes": client.access_token_expiry_minutes,
        "access_token_template_content": client.access_token_template_content,
        "post_logout_redirect_urls": client.post_logout_redirect_urls,
        "bypass_consent_for_offline_access": client.bypass_consent_for_offline_access,
        "creation_method": client.creation_method,
        "id_token_template_content": client.id_token_template_content,
        "client_secret_last_four": last_fours[0],
        "next_client_secret_last_four": last_fours[1],
        "access_token_custom_audience": client.access_token_custom_audience,
        "logo_url": client.logo_url,
        "client_id_metadata_url": client.client_id_metadata_url,
    }


def public_object(client: Client) -> dict[str, Any]:
    """What the consent page may show."""
    shown = ("client_id", "client_name", "client_description", "client_type", "logo_url")
    return {name: value for name, value in client_object(client).items() if name in shown}


def apply(project: Project, client: Client, fields: Fields) -> None:
    """Set what a create or update request names; everything is read before anything is set."""
    read: dict[str, Callable[[str], Any]] = {
        **dict.fromkeys(TEXTS, lambda name: fields.text(name, "")),
        **dict.fromkeys(URL_LISTS, fields.texts),
        **dict.fromkeys(FLAGS, fields.flag),
        "access_token_expiry_minutes": lambda name: fields.number(name, 60, 5, 1440),
    }
    changes = {name: reader(name) for name, reader in read.items() if name in fields}
    for url in [*changes.get("redirect_urls", []), *changes.get("post_logout_redirect_urls", [])]:
        check_registrable(url, project.settings)
    if changes.get("full_access_allowed") and not client.first_party:
        raise ApiError(400, "invalid_connected_app_type", "Full access is for first-party apps.")
    for name, value in changes.items():
        setattr(client, name, value)


async def create(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    client_type = fields.text("client_type")
    if client_type not in TYPES:
        raise ApiError(400, "invalid_connected_app_type", f"client_type must be one of {', '.join(TYPES)}.")
    client = Client(new_id("connected-app"), client_type, [], "dashboard")
    apply(project, client, fields)
    secret = None if client.public else new_secret()
    if secret is not None:
        client.secrets = [secret]
    project.clients[client.client_id] = client
    return answer({"connected_app": {**client_object(client), "client_secret": secret}})


def named(project: Project, request: Request) -> Client:
    return find_client(project, request.path_params["client_id"])


async def get(project: Project, request: Request) -> Response:
    return answer({"connected_app": client_object(named(project, request))})


async def update(project: Project, request: Request) -> Response:
    client = named(project, request)
    apply(project, client, await json_fields(request))
    return answer({"connected_app": client_object(client)})


async def delete(project: Project, request: Request) -> Response:
    """The app goes, and with it everything it was allowed."""
    client = named(project, request)
    for user_id in project.users:
        project.forget_app(user_id, client.client_id)
    del project.clients[client.client_id]
    return answer({"client_id": client.client_id})


async def search(project: Project, request: Request) -> Response:
    fields = await json_fields(request)
    return answer(page(fields, "connected_apps", [client_object(client) for client in project.clients.values()]))


def confidential(project: Project, request: Request, rotating: bool) -> Client:
    client = named(project, request)
    if client.public:
        raise ApiError(400, "public_connected_apps_do_not_have_secrets", "Public apps have no secret.")
    if (len(client.secrets) > 1) is not rotating:
        kind = "not_rotating_secret" if rotating else "already_rotating_secret"
        raise ApiError(400, f"connected_app_{kind}", "The secret's rotation has not begun or has not ended.")
    return client


async def rotate_start(project: Project, request: Request) -> Response:
    """From here both secrets count."""
    client = confidential(project, request, rotating=False)
    client.secrets.append(new_secret())
    return answer({"connected_app": {**client_object(client), "next_client_secret": client.secrets[1]}})


async def rotate(project: Project, request: Request) -> Response:
    """From here only the new secret counts."""
    client = confidential(project, request, rotating=True)
    del client.secrets[0]
    return answer({"connected_app": client_object(client)})


async def rotate_cancel(project: Project, request: Request) -> Response:
    client = confidential(project, request, rotating=True)
    del client.secrets[1]
    return answer({"connected_app": client_object(client)})


CLIENTS = "/v1/connected_apps/clients"
ROUTES = [
    Route(CLIENTS, backend(create), methods=["POST"]),
    Route(f"{CLIENTS}/search", backend(search), methods=["POST"]),
    Route(f"{CLIENTS}/{{client_id}}", backend(get), methods=["GET"]),
    Route(f"{CLIENTS}/{{client_id}}", backend(update), methods=["PUT"]),
    Route(f"{CLIENTS}/{{client_id}}", backend(delete), methods=["DELETE"]),
    Route(f"{CLIENTS}/{{client_id}}/secrets/rotate/start", backend(rotate_start), methods=["POST"]),
    Route(f"{CLIENTS}/{{client_id}}/secrets/rotate/cancel", backend(rotate_cancel), methods=["POST"]),
    Route(f"{CLIENTS}/{{client_id}}/secrets/rotate", backend(rotate), methods=["POST"]),
]
