"""The authorization server as its metadata describes it (RFC 8414), and its keys (RFC 7517)."""

from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from stytch_mcp_kit.check.registry import (
    CLAUDE,
    MCP_AUTHORIZATION,
    MCP_DISCOVERY,
    MCP_OAUTH_SECURITY,
    MCP_REGISTRATION,
    MCP_SECURITY,
    OAUTH,
    PRACTICE,
    Area,
    NotApplicable,
    NotReached,
    Severity,
    may,
    must,
    should,
    shown,
)
from stytch_mcp_kit.check.walk import AUTHORIZATION_SERVER, Walk, same_kind
from stytch_mcp_kit.check.web import split

ISSUER: Final = Area("AS", "issuer", "issuer equal, S256, a way to register, endpoints on https")
KEYS: Final = Area("JW", "keys", "public, strong, with a kid each")
ENDPOINTS: Final = (
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "jwks_uri",
    "userinfo_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
)
PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})
LEAST_RSA_BITS: Final = 2048


@ISSUER.check(
    "AS-01",
    "the issuer's metadata can be found",
    must(MCP_DISCOVERY, "Authorization Server Metadata Discovery", "2025-06-18"),
    Severity.BLOCKS,
    why="Without it a client knows no authorization endpoint.",
    fix="Check that authorization_servers[0] is the issuer, and that its discovery is switched on and reachable.",
)
async def found(walk: Walk) -> str | None:
    documents = await walk.discovery()
    if any(document.flaw is None for document in documents):
        return None
    return "; ".join(f"{shown(document.answer.url)}: {document.flaw}" for document in documents)


@ISSUER.check(
    "AS-02",
    "the metadata is at the first place that clients ask (RFC 8414)",
    should(MCP_DISCOVERY, "Authorization Server Metadata Discovery", "2025-06-18"),
    Severity.DEGRADES,
    why="Older clients know no other place; OpenID documents often lack PKCE and registration.",
    fix="Serve /.well-known/oauth-authorization-server, with the issuer's path behind it.",
)
async def first_place(walk: Walk) -> str | None:
    await walk.server()
    document = (await walk.discovery())[0]
    return f"{shown(document.answer.url)}: {document.flaw}" if document.flaw else None


@ISSUER.check(
    "AS-03",
    "issuer is byte for byte the one of the protected resource metadata",
    must(MCP_DISCOVERY, "Authorization Server Metadata Discovery", "2026-07-28"),
    Severity.BLOCKS,
    why="Clients throw the document away otherwise. A closing slash that a URL type added is the usual cause.",
    fix="Write authorization_servers exactly as the issuer writes itself, as plain text.",
)
async def issuer_equal(walk: Walk) -> str | None:
    issuer = (await walk.server()).values.get("issuer")
    expected = await walk.issuer()
    return None if issuer == expected else f"issuer is {shown(issuer)}, the resource names {shown(expected)}"


@ISSUER.check(
    "AS-04",
    "the other discovery documents name the same issuer",
    must(MCP_DISCOVERY, "Authorization Server Metadata Discovery", "2026-07-28"),
    Severity.DEGRADES,
    why="Which one a client takes is the client's choice.",
    fix="Make all discovery documents of the issuer agree.",
)
async def others_agree(walk: Walk) -> str | None:
    used = await walk.server()
    others = [document for document in await walk.discovery() if document.flaw is None and document is not used]
    if not others:
        raise NotApplicable("there is one discovery document only")
    for other in others:
        if other.values.get("issuer") != await walk.issuer():
            return f"{shown(other.answer.url)} names {shown(other.values.get('issuer'))}"
    return None


@ISSUER.check(
    "AS-05",
    "the metadata is served without a redirect",
    should(PRACTICE, "the SDKs follow redirects within the origin only"),
    Severity.BLOCKS,
    why="Most clients stop at a redirect to another host.",
    fix="Answer 200 at the place itself.",
)
async def not_redirected(walk: Walk) -> str | None:
    for document in await walk.discovery():
        if document.answer.via and (document.flaw is None or AUTHORIZATION_SERVER in document.answer.url):
            return f"redirects to {shown(document.answer.via[0])}"
    return None


@ISSUER.check(
    "AS-06",
    "the metadata is served as application/json",
    must("RFC 8414", "3.2, Authorization Server Metadata Response"),
    Severity.BLOCKS,
    why="Some clients read nothing else.",
    fix="Send Content-Type: application/json.",
)
async def media_type(walk: Walk) -> str | None:
    kind = (await walk.server()).answer.media_type
    return None if kind == "application/json" else f"it is {shown(kind or 'nothing')}"


@ISSUER.check(
    "AS-07",
    "PKCE with S256 is advertised",
    must(MCP_OAUTH_SECURITY, "Authorization Code Protection", "2025-11-25"),
    Severity.BLOCKS,
    why="Clients have to refuse an authorization server that does not advertise it. ChatGPT says so in its error.",
    fix='code_challenge_methods_supported: ["S256"].',
)
async def s256(walk: Walk) -> str | None:
    methods = (await walk.server()).values.get("code_challenge_methods_supported")
    if not isinstance(methods, list) or "S256" not in methods:
        return f"code_challenge_methods_supported is {shown(methods)}"
    return None


@ISSUER.check(
    "AS-08",
    "PKCE with plain is not offered",
    should(OAUTH, "Security Considerations, PKCE"),
    Severity.EXPOSES,
    why="A plain challenge protects nothing against who reads the authorization request.",
    fix="Offer S256 only.",
)
async def no_plain(walk: Walk) -> str | None:
    methods = (await walk.server()).texts("code_challenge_methods_supported") or []
    return "plain is offered" if "plain" in methods else None


@ISSUER.check(
    "AS-09",
    "there is an authorization endpoint",
    must("RFC 8414", "2, Authorization Server Metadata"),
    Severity.BLOCKS,
    why="It is where people log in.",
    fix="Configure it. With Stytch it is the Authorization URL of the project: a page that you host.",
)
async def authorization_endpoint(walk: Walk) -> str | None:
    url = (await walk.server()).text("authorization_endpoint")
    return None if url else "authorization_endpoint is missing"


@ISSUER.check(
    "AS-10",
    "the authorization endpoint answers",
    must("RFC 6749", "3.1, Authorization Endpoint"),
    Severity.BLOCKS,
    why="The client did all it can; the person sees an error page.",
    fix="Deploy the page, and point the Authorization URL to it.",
)
async def page(walk: Walk) -> str | None:
    url = await walk.endpoint("authorization_endpoint")
    answer = await walk.web.ask("GET", url, headers={"accept": "text/html"})
    if answer.status in (404, 405, 410) or answer.status >= 500 or not answer.status:
        return f"{shown(url)} answers {answer.says}"
    return None


@ISSUER.check(
    "AS-11",
    "there is a token endpoint",
    must("RFC 8414", "2, Authorization Server Metadata"),
    Severity.BLOCKS,
    why="A code is worth nothing without it.",
    fix="Advertise token_endpoint.",
)
async def token_endpoint(walk: Walk) -> str | None:
    return None if (await walk.server()).text("token_endpoint") else "token_endpoint is missing"


@ISSUER.check(
    "AS-12",
    "all endpoints are https URLs",
    must(MCP_OAUTH_SECURITY, "Communication Security", "2025-03-26"),
    Severity.EXPOSES,
    why="Codes and tokens travel there.",
    fix="Serve every endpoint of the authorization server over https.",
)
async def https(walk: Walk) -> str | None:
    server = await walk.server()
    flaws = []
    for name in ENDPOINTS:
        url = server.values.get(name)
        if url is not None:
            flaw = same_kind(walk, url) if isinstance(url, str) else "is no text"
            flaws += [f"{name} {flaw}"] if flaw else []
    return "; ".join(flaws) or None


@ISSUER.check(
    "AS-13",
    "endpoints lead to public hosts",
    must(MCP_SECURITY, "Server-Side Request Forgery"),
    Severity.EXPOSES,
    why="Clients that fetch from their own network refuse private and link-local addresses, and have to.",
    fix="Advertise the public URLs of the authorization server.",
)
async def public_endpoints(walk: Walk) -> str | None:
    server = await walk.server()
    for name in ENDPOINTS:
        url = server.text(name)
        if not url or not split(url).hostname:
            continue
        try:
            addresses = await walk.web.addresses(url)
        except (OSError, ValueError, KeyError):
            return f"{name}: the host name cannot be resolved"
        reasons = [reason for address in addresses if (reason := walk.web.forbidden(address))]
        if reasons:
            return f"{name}: {reasons[0]}"
    return None


@ISSUER.check(
    "AS-14",
    "the code flow is supported",
    must("RFC 8414", "2, response_types_supported"),
    Severity.BLOCKS,
    why="It is the only flow for clients of MCP.",
    fix='response_types_supported has to contain "code".',
)
async def code(walk: Walk) -> str | None:
    types = (await walk.server()).values.get("response_types_supported")
    return None if isinstance(types, list) and "code" in types else f"response_types_supported is {shown(types)}"


@ISSUER.check(
    "AS-15",
    "authorization_code is among the grant types",
    must("RFC 8414", "2, grant_types_supported"),
    Severity.BLOCKS,
    why="A client that reads the list asks for nothing else.",
    fix="Add it to grant_types_supported.",
)
async def code_grant(walk: Walk) -> str | None:
    grants = (await walk.server()).texts("grant_types_supported")
    if grants is None:
        raise NotApplicable("grant_types_supported is not given: authorization_code is its default")
    return None if "authorization_code" in grants else f"grant_types_supported is {shown(grants)}"


@ISSUER.check(
    "AS-16",
    "refresh tokens are among the grant types",
    should(MCP_AUTHORIZATION, "Refresh Tokens", "2026-07-28"),
    Severity.DEGRADES,
    why="People have to log in again whenever the access token ends.",
    fix="Support the grant refresh_token and list it.",
)
async def refresh_grant(walk: Walk) -> str | None:
    grants = (await walk.server()).texts("grant_types_supported") or []
    return None if "refresh_token" in grants else f"grant_types_supported is {shown(grants)}"


@ISSUER.check(
    "AS-17",
    "offline_access can be asked for",
    should(MCP_AUTHORIZATION, "Refresh Tokens", "2026-07-28"),
    Severity.DEGRADES,
    why="Claude asks for it only where it is listed; without it the connection ends with the access token.",
    fix="List offline_access in the scopes_supported of the authorization server.",
    clients=("claude", "claude-code", "chatgpt"),
)
async def offline_access(walk: Walk) -> str | None:
    scopes = (await walk.server()).texts("scopes_supported")
    if scopes is None:
        raise NotApplicable("the authorization server lists no scopes")
    return None if "offline_access" in scopes else "scopes_supported has no offline_access"


@ISSUER.check(
    "AS-18",
    "the implicit and password grants are gone",
    should(OAUTH, "10, Differences from OAuth 2.0"),
    Severity.EXPOSES,
    why="Both hand out tokens where they can be taken.",
    fix="Switch them off.",
)
async def no_old_grants(walk: Walk) -> str | None:
    grants = (await walk.server()).texts("grant_types_supported") or []
    old = [grant for grant in grants if grant in ("implicit", "password")]
    return f"{', '.join(old)} offered" if old else None


@ISSUER.check(
    "AS-19",
    "public clients may use the token endpoint",
    should(CLAUDE, "Authentication"),
    Severity.BLOCKS,
    why="Clients have no secret. Claude uses metadata documents only where none is advertised; ChatGPT needs it too.",
    fix='token_endpoint_auth_methods_supported has to contain "none".',
    clients=("claude", "claude-code", "chatgpt", "vscode"),
)
async def public_clients(walk: Walk) -> str | None:
    methods = (await walk.server()).values.get("token_endpoint_auth_methods_supported")
    if isinstance(methods, list) and "none" in methods:
        return None
    return f"token_endpoint_auth_methods_supported is {shown(methods)}"


@ISSUER.check(
    "AS-20",
    "there is a way to register",
    must(MCP_REGISTRATION, "Client Registration Approaches", "2025-11-25"),
    Severity.BLOCKS,
    why="A client that nobody registered has no client_id.",
    fix="Switch on client ID metadata documents, dynamic registration, or both. With Stytch both are off at first.",
)
async def registration(walk: Walk) -> str | None:
    server = await walk.server()
    if server.values.get("client_id_metadata_document_supported") is True or server.text("registration_endpoint"):
        return None
    return "neither client_id_metadata_document_supported nor registration_endpoint"


@ISSUER.check(
    "AS-21",
    "client ID metadata documents are supported",
    should(MCP_REGISTRATION, "Client ID Metadata Documents", "2025-11-25"),
    Severity.DEGRADES,
    why="ChatGPT, Claude and VS Code prefer them: no registrations pile up, and the client's domain is known.",
    fix="Switch them on and advertise client_id_metadata_document_supported: true.",
    clients=("chatgpt", "claude", "claude-code", "vscode"),
)
async def cimd(walk: Walk) -> str | None:
    await _registers(walk)
    value = (await walk.server()).values.get("client_id_metadata_document_supported")
    return None if value is True else f"client_id_metadata_document_supported is {shown(value)}"


@ISSUER.check(
    "AS-22",
    "dynamic client registration is supported",
    may(MCP_REGISTRATION, "Dynamic Client Registration; deprecated since 2026-07-28", "2025-03-26"),
    Severity.DEGRADES,
    why="Cursor knows no other way by itself.",
    fix="Switch it on and advertise registration_endpoint, as long as you want such clients.",
    clients=("cursor",),
)
async def dcr(walk: Walk) -> str | None:
    await _registers(walk)
    return None if (await walk.server()).text("registration_endpoint") else "registration_endpoint is missing"


async def _registers(walk: Walk) -> None:
    """Raises NotReached when there is no way at all: that is said once."""
    if await registration(walk):
        raise NotReached("there is no way to register")


@ISSUER.check(
    "AS-23",
    "the scopes of the challenge are known to the authorization server",
    should("RFC 8414", "2, scopes_supported"),
    Severity.BLOCKS,
    why="Clients ask for them, and the authorization server refuses what it does not know.",
    fix="Create the scopes there (with Stytch: RBAC), or challenge for others.",
)
async def scopes_known(walk: Walk) -> str | None:
    known = (await walk.server()).texts("scopes_supported")
    if known is None:
        raise NotApplicable("the authorization server lists no scopes")
    unknown = [scope for scope in (await walk.challenge()).scopes if scope not in known]
    return f"unknown there: {shown(', '.join(unknown))}" if unknown else None


@ISSUER.check(
    "AS-24",
    "browsers may read the metadata",
    should(PRACTICE, "clients that run in a web page"),
    Severity.DEGRADES,
    why="MCP Inspector's web page cannot log in otherwise.",
    fix="Send Access-Control-Allow-Origin: * with the discovery documents.",
    clients=("inspector",),
)
async def cors(walk: Walk) -> str | None:
    answer = await walk.web.get((await walk.server()).answer.url, {"origin": "https://inspector.example"})
    allowed = answer.headers.get("access-control-allow-origin")
    if allowed in ("*", "https://inspector.example"):
        return None
    return f"Access-Control-Allow-Origin is {shown(allowed) if allowed else 'missing'}"


@KEYS.check(
    "JW-01",
    "the issuer says where its keys are",
    should("RFC 8414", "2, jwks_uri"),
    Severity.BLOCKS,
    why="A resource server that judges tokens by itself needs them.",
    fix="Advertise jwks_uri.",
)
async def jwks_uri(walk: Walk) -> str | None:
    return None if (await walk.server()).text("jwks_uri") else "jwks_uri is missing"


async def key_list(walk: Walk) -> list[dict[str, Any]]:
    keys = (await walk.keys()).values.get("keys")
    if not isinstance(keys, list) or not keys:
        raise NotReached("there is no key")
    return [key for key in keys if isinstance(key, dict)]


@KEYS.check(
    "JW-02",
    "the keys can be fetched",
    must("RFC 7517", "5, JWK Set Format"),
    Severity.BLOCKS,
    why="No token can be judged without them.",
    fix="Serve a JSON object with a list keys that is not empty.",
)
async def fetched(walk: Walk) -> str | None:
    document = await walk.keys()
    if document.flaw:
        return document.flaw
    keys = document.values.get("keys")
    return None if isinstance(keys, list) and keys else f"keys is {shown(keys)}"


@KEYS.check(
    "JW-03",
    "no private or shared key is published",
    must("RFC 7517", "9.2, Security Considerations"),
    Severity.EXPOSES,
    why="Whoever reads it can sign any token.",
    fix="Publish public parts only, and replace this key now.",
)
async def only_public(walk: Walk) -> str | None:
    names = [key.get("kid") for key in await key_list(walk) if PRIVATE_MEMBERS & set(key) or key.get("kty") == "oct"]
    return f"kid {shown(names)}" if names else None


@KEYS.check(
    "JW-04",
    "every key has a kid of its own",
    should("RFC 7517", "4.5, kid"),
    Severity.DEGRADES,
    why="Without it a resource server has to guess, and a rotation fails.",
    fix="Give each key a unique kid.",
)
async def kids(walk: Walk) -> str | None:
    names = [key.get("kid") for key in await key_list(walk)]
    if not all(isinstance(name, str) and name for name in names):
        return "a key has no kid"
    return None if len(set(names)) == len(names) else "a kid comes twice"


@KEYS.check(
    "JW-05",
    "the keys are usable and strong",
    must("RFC 7518", "3.3, RSASSA-PKCS1-v1_5: at least 2048 bits"),
    Severity.EXPOSES,
    why="A short key can be factored, a broken one verifies nothing.",
    fix="Use RSA with 2048 bits or more, or P-256.",
)
async def usable(walk: Walk) -> str | None:
    for key in await key_list(walk):
        if key.get("kty") == "oct" or key.get("use") == "enc":
            continue
        try:
            public = jwt.PyJWK({name: value for name, value in key.items() if name not in PRIVATE_MEMBERS}).key
        except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
            return f"kid {shown(key.get('kid'))} cannot be read ({type(error).__name__})"
        if isinstance(public, RSAPublicKey) and public.key_size < LEAST_RSA_BITS:
            return f"kid {shown(key.get('kid'))} has {public.key_size} bits"
    return None
