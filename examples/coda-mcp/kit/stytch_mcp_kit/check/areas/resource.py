"""Protected resource metadata (RFC 9728): where it is, what it says, and that it says it everywhere."""

import re
from typing import Final

from stytch_mcp_kit.check.registry import (
    MCP_AUTHORIZATION,
    MCP_DISCOVERY,
    MCP_SECURITY,
    PRACTICE,
    Area,
    NotApplicable,
    NotReached,
    Severity,
    must,
    should,
    shown,
)
from stytch_mcp_kit.check.walk import Document, Walk, initialize, same_kind
from stytch_mcp_kit.check.web import parse

RESOURCE: Final = Area("PR", "discovery", "protected resource metadata at both places, resource equal")
DAY_SECONDS: Final = 86_400
CATCH_ALL: Final = frozenset({"*", "all", "full-access", "full_access", "omni"})
STRICT: Final = ("claude", "claude-code", "vscode", "cursor")


async def found(walk: Walk) -> list[Document]:
    """The documents at all places that have one."""
    documents = [await walk.document(url) for url in await walk.places()]
    present = [document for document in documents if document.flaw is None]
    if not present:
        raise NotReached("there is no protected resource metadata")
    return present


async def protected(walk: Walk) -> None:
    """Raises NotReached where no token is asked for: then there is nothing to describe."""
    if (await walk.refused()).status == 200:
        raise NotReached("the server asks for no token")


@RESOURCE.check(
    "PR-01",
    "there is protected resource metadata",
    must(MCP_DISCOVERY, "Protected Resource Metadata Discovery Requirements", "2025-06-18"),
    Severity.BLOCKS,
    why="It is the first thing that a client fetches after the 401: it names the resource and where to log in.",
    fix="Serve a JSON object with status 200, without a token, where the challenge says and at the well-known places.",
)
async def somewhere(walk: Walk) -> str | None:
    await protected(walk)
    try:
        await walk.resource()
    except NotReached:
        documents = [await walk.document(url) for url in await walk.places()]
        return "; ".join(f"{shown(document.answer.url)}: {document.flaw}" for document in documents)
    return None


@RESOURCE.check(
    "PR-02",
    "the metadata that the challenge names is there",
    must("RFC 9728", "3.2, Response", "2025-06-18"),
    Severity.BLOCKS,
    why="It is the first thing that a client fetches after the 401.",
    fix="Serve a JSON object with status 200, without a token, at exactly the URL of resource_metadata.",
)
async def named(walk: Walk) -> str | None:
    url = await walk.named_place()
    await walk.resource()
    document = await walk.document(url)
    return f"{shown(url)}: {document.flaw}" if document.flaw else None


@RESOURCE.check(
    "PR-03",
    "the metadata is at the path-inserted place",
    should(MCP_DISCOVERY, "Protected Resource Metadata Discovery Requirements", "2025-11-25"),
    Severity.BLOCKS,
    why="Clients that do not read the header look here first.",
    fix="Serve it at /.well-known/oauth-protected-resource followed by the path of the MCP URL.",
)
async def at_path(walk: Walk) -> str | None:
    await walk.resource()
    document = await walk.document(walk.path_place)
    return f"{shown(walk.path_place)}: {document.flaw}" if document.flaw else None


@RESOURCE.check(
    "PR-04",
    "the metadata is at the root place as well",
    should(MCP_DISCOVERY, "Protected Resource Metadata Discovery Requirements", "2025-11-25"),
    Severity.DEGRADES,
    why="Clients fall back to it, and some know no other place.",
    fix="Serve the same document at /.well-known/oauth-protected-resource.",
)
async def at_root(walk: Walk) -> str | None:
    await walk.resource()
    document = await walk.document(walk.root_place)
    return f"{shown(walk.root_place)}: {document.flaw}" if document.flaw else None


@RESOURCE.check(
    "PR-05",
    "all places serve the same document",
    should(PRACTICE, "one truth"),
    Severity.DEGRADES,
    why="Which one a client reads is the client's choice.",
    fix="Serve one document at all places.",
)
async def same_everywhere(walk: Walk) -> str | None:
    first, *others = await found(walk)
    compared = {
        name: value for name, value in first.values.items() if name not in ("resource", "authorization_servers")
    }
    for other in others:
        rest = {
            name: value for name, value in other.values.items() if name not in ("resource", "authorization_servers")
        }
        if rest != compared:
            return f"{shown(other.answer.url)} differs from {shown(first.answer.url)}"
    return None


@RESOURCE.check(
    "PR-06",
    "resource is the URL that people enter, everywhere",
    must("RFC 9728", "3.3, Protected Resource Metadata Validation", "2025-06-18"),
    Severity.BLOCKS,
    why="Strict clients stop here: the document is about another resource. An origin without the path is a known slip.",
    fix="Set resource to the exact MCP URL, from the configured public URL, at every place.",
    clients=(*STRICT, "chatgpt"),
)
async def resource_equal(walk: Walk) -> str | None:
    for document in await found(walk):
        resource = document.values.get("resource")
        # A closing slash is the subject of a check of its own.
        if not isinstance(resource, str) or resource.rstrip("/") != walk.url.rstrip("/"):
            return f"resource is {shown(resource)}, entered was {shown(walk.url)}"
    return None


@RESOURCE.check(
    "PR-07",
    "resource has the same closing slash as the URL, best none",
    must("RFC 9728", "3.3, Protected Resource Metadata Validation", "2025-06-18"),
    Severity.BLOCKS,
    why="URLs are compared byte by byte. MCP asks for the form without the slash.",
    fix="Write the MCP URL without a closing slash, in the metadata and wherever people copy it from.",
    clients=STRICT,
)
async def resource_slash(walk: Walk) -> str | None:
    for document in await found(walk):
        resource = document.values.get("resource")
        if isinstance(resource, str) and resource != walk.url and resource.rstrip("/") == walk.url.rstrip("/"):
            return f"resource is {shown(resource)}, entered was {shown(walk.url)}"
    return None


@RESOURCE.check(
    "PR-08",
    "an authorization server is named",
    must(MCP_DISCOVERY, "Authorization Server Location", "2025-06-18"),
    Severity.BLOCKS,
    why="Without one a client does not know where to log in.",
    fix="List the issuer in authorization_servers.",
)
async def has_servers(walk: Walk) -> str | None:
    servers = (await walk.resource()).values.get("authorization_servers")
    if not isinstance(servers, list) or not servers:
        return f"authorization_servers is {shown(servers)}"
    return None if all(isinstance(server, str) for server in servers) else "authorization_servers has other than text"


@RESOURCE.check(
    "PR-09",
    "all places name the same authorization servers",
    should(PRACTICE, "one truth"),
    Severity.EXPOSES,
    why="A forgotten document would send some clients to an old or foreign authorization server.",
    fix="Serve one document at all places.",
)
async def same_servers(walk: Walk) -> str | None:
    first, *others = [document.values.get("authorization_servers") for document in await found(walk)]
    return None if all(other == first for other in others) else "authorization_servers differ from place to place"


@RESOURCE.check(
    "PR-10",
    "authorization servers are https URLs without query or fragment",
    must("RFC 8414", "2, issuer", "2025-06-18"),
    Severity.BLOCKS,
    why="The discovery URLs are built from the issuer; a host name without a scheme leads nowhere.",
    fix="Write the issuer exactly as the authorization server does, with https://.",
)
async def server_urls(walk: Walk) -> str | None:
    for issuer in await walk.issuers():
        flaw = same_kind(walk, issuer)
        if flaw:
            return f"{shown(issuer)} {flaw}"
        if "?" in issuer or "#" in issuer:
            return f"{shown(issuer)} has a query or a fragment"
    return None


@RESOURCE.check(
    "PR-11",
    "the metadata is served as application/json",
    must("RFC 9728", "3.2, Response", "2025-06-18"),
    Severity.BLOCKS,
    why="Some clients read nothing else.",
    fix="Send Content-Type: application/json.",
)
async def media_type(walk: Walk) -> str | None:
    types = {document.answer.media_type for document in await found(walk)}
    others = types - {"application/json"}
    return f"it is {shown(', '.join(sorted(others)) or 'nothing')}" if others else None


@RESOURCE.check(
    "PR-12",
    "the metadata is served without a redirect",
    should(PRACTICE, "the SDKs follow redirects within the origin only"),
    Severity.BLOCKS,
    why="A redirect to another host or to https ends the walk of most clients.",
    fix="Answer 200 at the place itself.",
)
async def not_redirected(walk: Walk) -> str | None:
    for url in await walk.places():
        answer = (await walk.document(url)).answer
        if answer.via:
            return f"{shown(url)} redirects to {shown(answer.via[0])}"
    return None


@RESOURCE.check(
    "PR-13",
    "browsers may read the metadata",
    should("RFC 9728", "3.1, Protected Resource Metadata Request; CORS as in RFC 8414"),
    Severity.DEGRADES,
    why="Clients that run in a web page, such as MCP Inspector's, cannot read it otherwise.",
    fix="Send Access-Control-Allow-Origin: * with the documents under /.well-known.",
    clients=("inspector",),
)
async def cors(walk: Walk) -> str | None:
    url = (await walk.resource()).answer.url
    answer = await walk.web.get(url, {"origin": "https://inspector.example"})
    allowed = answer.headers.get("access-control-allow-origin")
    if allowed in ("*", "https://inspector.example"):
        return None
    return f"Access-Control-Allow-Origin is {shown(allowed) if allowed else 'missing'}"


@RESOURCE.check(
    "PR-14",
    "the metadata is not cached for longer than a day",
    should("RFC 9111", "5.2, Cache-Control"),
    Severity.DEGRADES,
    why="After a change, for example of the authorization server, clients go to the old place for that long.",
    fix="Send Cache-Control with a short max-age, for example 60 to 300 seconds.",
)
async def caching(walk: Walk) -> str | None:
    for document in await found(walk):
        directives = document.answer.headers.get("cache-control", "").lower()
        ages = re.findall(r"(?:s-maxage|max-age)\s*=\s*\"?(\d{1,12})", directives)
        if any(int(age) > DAY_SECONDS for age in ages) or "immutable" in directives:
            return f"Cache-Control: {shown(directives)}"
    return None


@RESOURCE.check(
    "PR-15",
    "scopes_supported is there",
    should("RFC 9728", "2, Protected Resource Metadata"),
    Severity.DEGRADES,
    why="Clients that find no scope in the challenge take these.",
    fix="List the minimal set of scopes.",
)
async def has_scopes(walk: Walk) -> str | None:
    scopes = (await walk.resource()).values.get("scopes_supported")
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        return f"scopes_supported is {shown(scopes)}"
    return None


@RESOURCE.check(
    "PR-16",
    "scopes_supported has no offline_access",
    should(MCP_AUTHORIZATION, "Refresh Tokens", "2026-07-28"),
    Severity.DEGRADES,
    why="Refresh tokens are no affair of the resource.",
    fix="Leave it to the authorization server's metadata.",
)
async def no_offline_access(walk: Walk) -> str | None:
    return "it does" if "offline_access" in ((await walk.resource()).texts("scopes_supported") or []) else None


@RESOURCE.check(
    "PR-17",
    "scopes_supported has no catch-all",
    should(MCP_SECURITY, "Scope Minimization"),
    Severity.EXPOSES,
    why="Clients ask for all that is listed, and the person allows it unread.",
    fix="Publish the few scopes that basic use needs; challenge for more when more is needed.",
)
async def no_catch_all(walk: Walk) -> str | None:
    scopes = (await walk.resource()).texts("scopes_supported") or []
    broad = [scope for scope in scopes if scope.lower() in CATCH_ALL or scope.endswith((":*", "/*", ".*"))]
    return shown(", ".join(broad)) if broad else None


@RESOURCE.check(
    "PR-18",
    "tokens are taken in the header only",
    must(MCP_AUTHORIZATION, "Token Requirements", "2025-03-26"),
    Severity.EXPOSES,
    why="A token in a URL ends up in logs and histories.",
    fix='bearer_methods_supported: ["header"].',
)
async def header_only(walk: Walk) -> str | None:
    methods = (await walk.resource()).texts("bearer_methods_supported")
    if methods is None:
        raise NotApplicable("the metadata has no bearer_methods_supported")
    return None if methods == ["header"] else f"bearer_methods_supported is {shown(methods)}"


@RESOURCE.check(
    "PR-19",
    "a closing slash on the URL makes no redirect",
    should(MCP_AUTHORIZATION, "Canonical Server URI"),
    Severity.DEGRADES,
    why="People paste URLs with and without. A redirect turns POST into GET, or https into http behind a proxy.",
    fix="Serve both forms alike, or answer 404 to the other one.",
)
async def slash(walk: Walk) -> str | None:
    other = walk.url.rstrip("/") if walk.url.endswith("/") else f"{walk.url}/"
    method, params = initialize()
    answer = (await walk.send(method, params, version="2025-11-25", url=other)).answer
    if 300 <= answer.status < 400:
        return f"{shown(other)} gets {answer.status} to {shown(answer.headers.get('location', 'nowhere'))}"
    return None


@RESOURCE.check(
    "PR-20",
    "the MCP host's own authorization server metadata is the issuer's",
    should("RFC 8414", "3.3, Authorization Server Metadata Validation"),
    Severity.DEGRADES,
    why="Clients of 2025-03-26 look there. A document with another issuer, or a redirect, sends them astray.",
    fix="Serve the issuer's document unchanged, or 404.",
)
async def re_served(walk: Walk) -> str | None:
    url = f"{walk.origin}/.well-known/oauth-authorization-server"
    issuers = await walk.issuers()
    answer = await walk.web.ask("GET", url, headers={"accept": "application/json"})
    if 300 <= answer.status < 400:
        return f"it redirects to {shown(answer.headers.get('location', 'nowhere'))}"
    if answer.status != 200:
        raise NotApplicable(f"{shown(url)} answers {answer.says}")
    values, flaw = parse(answer.body)
    if flaw or not isinstance(values, dict):
        return flaw or "no JSON object"
    return None if values.get("issuer") in issuers else f"its issuer is {shown(values.get('issuer'))}"
