"""How clients become known: Dynamic Client Registration (RFC 7591), metadata documents, redirect URIs."""

import hashlib
import json
import ssl
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

import anyio
import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stytch_mcp_kit.local.config import Settings
from stytch_mcp_kit.local.state import Client, Project, new_secret
from stytch_mcp_kit.local.wire import ApiError, answer, bad_request, find_client, json_fields, public

LOOPBACK_ADDRESSES = ("127.0.0.1", "::1")
LOOPBACK = (*LOOPBACK_ADDRESSES, "localhost")
SCRIPT_SCHEMES = ("javascript", "data", "vbscript", "file", "about", "blob")


def split(uri: str) -> SplitResult | None:
    """The parts of an absolute URI whose port can be read, else None."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts


def check_registrable(uri: str, settings: Settings) -> None:
    """Refuse what Stytch's error types name. UNCONFIRMED: custom schemes, a switch."""

    def refuse(kind: str, message: str) -> ApiError:
        return ApiError(400, f"connected_app_{kind}", f"{uri!r}: {message}")

    parts = split(uri)
    if parts is None or parts.fragment or any(char.isspace() or not char.isprintable() for char in uri):
        raise refuse("invalid_redirect_url", "not a redirect URL.")
    if not parts.scheme:
        raise refuse("redirect_url_must_include_scheme", "the scheme is missing.")
    if parts.scheme in ("http", "https"):
        if not parts.hostname:
            raise refuse("invalid_redirect_url", "the host is missing.")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise refuse("redirect_url_http_scheme_must_use_loopback", "http is for loopback only.")
    elif parts.scheme in SCRIPT_SCHEMES or not settings.dcr_custom_schemes:
        raise refuse("redirect_url_must_use_http_or_https_scheme", "the scheme must be http or https.")


def matches(given: str, registered: str, settings: Settings) -> bool:
    """Equal byte by byte; on a loopback address the port may differ (RFC 8252 section 7.3)."""
    if given == registered:
        return True
    left, right = split(given), split(registered)
    any_port = (*LOOPBACK_ADDRESSES, *(("localhost",) if settings.localhost_any_port else ()))
    if left is None or right is None or left.hostname not in any_port or left.scheme != "http":
        return False
    return "@" not in left.netloc and without_port(left) == without_port(right)


def without_port(parts: SplitResult) -> tuple[str, str | None, str, str, str]:
    return parts.scheme, parts.hostname, parts.path, parts.query, parts.fragment


def check_redirect(client: Client, uri: str, settings: Settings) -> None:
    if not any(matches(uri, registered, settings) for registered in client.redirect_urls):
        raise ApiError(
            400,
            "connected_app_supplied_redirect_url_not_found_in_client",
            "The redirect URL is not one of the Connected App's.",
        )


def with_params(uri: str, params: dict[str, str | None], settings: Settings) -> str:
    """`uri` with an authorization response in its query (RFC 6749 section 4.1.2)."""
    query = urlencode({name: value for name, value in params.items() if value is not None})
    has_query = "?" in uri and not settings.quirk_double_question
    return f"{uri}{'&' if has_query else '?'}{query}"


MAX_BYTES = 64 * 1024
PLAIN_JSON = {"accept": "application/json", "accept-encoding": "identity"}
SECRETS = ("client_secret", "client_secret_expires_at")


async def resolve_client(project: Project, client_id: str) -> Client:
    """The client of an authorization request; its document is fetched anew each time.

    UNCONFIRMED: Stytch's caching, its limits, and its error types here.
    """
    if not is_document_url(project, client_id):
        return find_client(project, client_id)
    check_document_url(client_id)
    document = await fetch(project, client_id)
    redirect_uris = document.get("redirect_uris")
    if document.get("client_id") != client_id:
        raise misconfigured("client_id in the document is not its URL.")
    method = document.get("token_endpoint_auth_method")
    if str(method).startswith("client_secret") or any(name in document for name in SECRETS):
        raise misconfigured("what everybody can read cannot hold a secret.")
    if not isinstance(redirect_uris, list) or not all(isinstance(uri, str) for uri in redirect_uris):
        raise misconfigured("redirect_uris in the document must be a list of strings.")
    for uri in redirect_uris:
        check_registrable(uri, project.settings)
    name, logo = document.get("client_name"), document.get("logo_uri")
    known = (app for app in project.clients.values() if app.client_id_metadata_url == client_id)
    client = next(known, None) or Client(
        client_id=project.new_client_id(),
        client_type="third_party_public",
        redirect_urls=[],
        creation_method="client_id_metadata_document",
        client_id_metadata_url=client_id,
        access_token_template_content=project.settings.dcr_access_token_template,
    )
    client.redirect_urls = redirect_uris
    client.client_name = name if isinstance(name, str) else client_id
    client.logo_url = logo if isinstance(logo, str) else None
    project.clients[client.client_id] = client
    return client


def is_document_url(project: Project, client_id: str) -> bool:
    parts = split(client_id)
    if parts is None or not project.settings.cimd_enabled:
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and parts.hostname in LOOPBACK and project.settings.cimd_allow_http


def check_document_url(url: str) -> None:
    """What the draft wants of a client ID that is a URL, before anything is fetched from there."""
    parts = urlsplit(url)
    segments = parts.path.split("/")
    if parts.fragment or "@" in parts.netloc or parts.path in ("", "/") or "." in segments or ".." in segments:
        raise misconfigured("its URL needs a path, without dot segments, credentials and a fragment.")


async def fetch(project: Project, url: str) -> dict[str, Any]:
    """The document, read within a time and a size, without following redirects."""
    body = b""
    try:
        with anyio.fail_after(project.settings.cimd_seconds):
            async with (
                httpx.AsyncClient(
                    transport=project.config.cimd_transport,
                    verify=trusted(project.settings.cimd_ca),
                    timeout=project.settings.cimd_seconds,
                    trust_env=False,
                ) as http,
                http.stream("GET", url, headers=PLAIN_JSON) as response,
            ):
                if response.status_code != 200:
                    raise misconfigured(f"the document answers {response.status_code}.")
                if "content-encoding" in response.headers:
                    raise misconfigured("the document is compressed.")
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise misconfigured(f"the document is larger than {MAX_BYTES} bytes.")
    except TimeoutError:
        raise misconfigured(f"the document took longer than {project.settings.cimd_seconds} s.") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise misconfigured(f"the document cannot be fetched: {type(error).__name__}.") from None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise misconfigured("the document is not a JSON object.")
    return document


def trusted(certificates: str | None) -> ssl.SSLContext | bool:
    try:
        return ssl.create_default_context(cadata=certificates) if certificates else True
    except ssl.SSLError:
        raise bad_request("cimd_ca is not a list of certificates in PEM.") from None


def misconfigured(message: str) -> ApiError:
    return ApiError(400, "connected_app_misconfigured_client", f"Client ID metadata: {message}")


AUTH_METHODS = ("none", "client_secret_post", "client_secret_basic")


async def register(project: Project, request: Request) -> Response:
    """Register a third-party client; a public one with metadata seen before gets the same id again.

    UNCONFIRMED: the status, and members beyond the registered metadata and Stytch's documented six.
    """
    settings = project.settings
    if not settings.dcr_enabled:
        raise ApiError(
            400,
            "dynamic_client_registration_not_enabled",
            "Dynamic Client Registration is not enabled for this project.",
        )
    fields = await json_fields(request)
    redirect_uris = fields.texts("redirect_uris")
    if not redirect_uris:
        raise bad_request("redirect_uris must not be empty.")
    for uri in redirect_uris:
        check_registrable(uri, settings)
    method = fields.text("token_endpoint_auth_method", settings.dcr_default_method)
    if method not in AUTH_METHODS:
        raise bad_request(f"token_endpoint_auth_method must be one of {', '.join(AUTH_METHODS)}.")
    public_client = method == "none"
    digest = hashlib.sha256(json.dumps(fields.values, sort_keys=True).encode()).hexdigest()
    client = project.clients.get(project.registrations.get(digest, "")) if public_client else None
    if client is None:
        client = Client(
            client_id=project.new_client_id(),
            client_type="third_party_public" if public_client else "third_party",
            client_name=fields.text("client_name", "Dynamically registered client"),
            redirect_urls=redirect_uris,
            creation_method="dynamic_client_registration",
            logo_url=fields.text_or_none("logo_uri"),
            secrets=[] if public_client else [new_secret()],
            access_token_template_content=settings.dcr_access_token_template,
        )
        project.clients[client.client_id] = client
        project.registrations[digest] = client.client_id
    body: dict[str, Any] = {
        **fields.values,
        "client_id": client.client_id,
        "client_name": client.client_name,
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": client.redirect_urls,
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
    }
    if not public_client:
        body |= {"client_secret": client.secrets[0], "client_secret_expires_at": 0}
    response = answer(body, settings.dcr_status)
    response.headers["cache-control"] = "no-store"
    return response


ROUTES = [
    Route("/v1/oauth2/register", public(register), methods=["POST"]),
    Route("/v1/public/{project_id}/oauth2/register", public(register), methods=["POST"]),
]
