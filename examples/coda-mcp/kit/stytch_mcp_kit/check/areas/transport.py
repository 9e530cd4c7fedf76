"""Transport and TLS: can a hosted client get to the URL at all? And: whom does the server talk to (Host, Origin)?"""

from typing import Final
from urllib.parse import urlsplit

from stytch_mcp_kit.check.messages import LATEST
from stytch_mcp_kit.check.registry import (
    CLAUDE,
    MCP_HTTP,
    MCP_SECURITY,
    OAUTH,
    PRACTICE,
    Area,
    NotApplicable,
    NotReached,
    Severity,
    must,
    should,
    shown,
)
from stytch_mcp_kit.check.walk import Walk, initialize
from stytch_mcp_kit.check.web import Answer

TRANSPORT: Final = Area("TR", "transport", "https, reachable for hosted clients, quick, no redirect")
ORIGINS: Final = Area("HO", "host and origin", "strangers' pages and names are kept out, clients are not")
HOSTED: Final = ("chatgpt", "claude")
SLOW_SECONDS: Final = 10.0
STRANGER: Final = "attacker.example"


@TRANSPORT.check(
    "TR-01",
    "the URL is https, or http on loopback",
    must(OAUTH, "1.5, Communication Security"),
    Severity.BLOCKS,
    why="Clients send no token over a connection that anyone can read, and hosted ones refuse the URL.",
    fix="Serve it behind TLS (a tunnel or a reverse proxy does) and give clients the https URL.",
)
async def https(walk: Walk) -> str | None:
    parts = urlsplit(walk.url)
    if parts.scheme == "http" and not walk.is_local:
        return f"{shown(walk.url)} is not https"
    return None


@TRANSPORT.check(
    "TR-02",
    "the certificate is valid for the host",
    must(OAUTH, "1.5, Communication Security"),
    Severity.BLOCKS,
    why="Every client ends the connection before it sends anything.",
    fix="Use a certificate of a public authority for exactly this host name, with its intermediates, and renew it.",
)
async def certificate(walk: Walk) -> str | None:
    answer = await walk.refused()
    if answer.kind == "tls":
        return answer.problem
    if urlsplit(walk.url).scheme != "https":
        raise NotApplicable("no TLS on loopback")
    return None


@TRANSPORT.check(
    "TR-03",
    "the URL has no fragment and no user name",
    must("RFC 8707", "2, Resource Parameter", "2025-06-18"),
    Severity.BLOCKS,
    why="The URL is the resource identifier that clients send to the authorization server.",
    fix="Give clients the plain URL: scheme, host, path.",
)
async def canonical(walk: Walk) -> str | None:
    parts = urlsplit(walk.given_url)
    if "#" in walk.given_url:
        return "the URL has a fragment"
    return "the URL has a user name" if "@" in parts.netloc else None


@TRANSPORT.check(
    "TR-04",
    "the URL answers without a redirect",
    should(CLAUDE, "Troubleshooting"),
    Severity.BLOCKS,
    why="On a redirect to another host clients drop the Authorization header; many follow none on POST.",
    fix="Serve the MCP URL itself, or give clients the URL that it redirects to.",
)
async def direct(walk: Walk) -> str | None:
    answer = await walk.refused()
    if 300 <= answer.status < 400:
        return f"POST answers {answer.status} to {shown(answer.headers.get('location', 'nowhere'))}"
    return None


@TRANSPORT.check(
    "TR-05",
    "the first answer comes whole, within 10 s",
    should(CLAUDE, "Troubleshooting, time limits"),
    Severity.BLOCKS,
    why="Claude gives discovery, registration and the token endpoint ten seconds each.",
    fix="Answer the 401 before anything slow is done, and do not let the server fall asleep.",
    clients=("claude", "claude-code"),
)
async def quick(walk: Walk) -> str | None:
    answer = await walk.refused()
    if answer.problem and answer.status:
        return answer.problem
    return f"it took {answer.seconds:.1f} s" if answer.seconds > SLOW_SECONDS else None


@TRANSPORT.check(
    "TR-06",
    "the host has a public address",
    should(MCP_SECURITY, "Server-Side Request Forgery"),
    Severity.BLOCKS,
    why="ChatGPT and Claude call from their own networks and refuse private addresses.",
    fix="Publish it: a tunnel, or a public address with a reverse proxy.",
    clients=HOSTED,
)
async def public(walk: Walk) -> str | None:
    addresses = await walk.addresses()
    inner = [str(address) for address in addresses if not address.is_global]
    return f"the name leads to {', '.join(inner)}" if inner else None


@TRANSPORT.check(
    "TR-07",
    "the host has an IPv4 address",
    should(CLAUDE, "IP addresses"),
    Severity.BLOCKS,
    why="Claude's servers call over IPv4 only.",
    fix="Add an A record.",
    clients=("claude",),
)
async def ipv4(walk: Walk) -> str | None:
    addresses = await walk.addresses()
    return None if any(address.version == 4 for address in addresses) else "only IPv6 addresses"


@TRANSPORT.check(
    "TR-08",
    "clients' user agents are not blocked",
    should(CLAUDE, "Troubleshooting, firewalls; the user agent of ChatGPT is unconfirmed"),
    Severity.BLOCKS,
    why="The most frequent cause of all: a bot rule at the edge stops the client, and the server never hears of it.",
    fix="Let the clients' user agents and addresses through on the MCP URL and on /.well-known/*, at the edge as well.",
    clients=HOSTED,
)
async def agents(walk: Walk) -> str | None:
    plain = await walk.refused()
    if not plain.status:
        raise NotReached("the URL does not answer")
    method, params = initialize(LATEST)
    blocked = []
    for agent in walk.user_agents:
        answer = (await walk.send(method, params, version=LATEST, headers={"user-agent": agent})).answer
        if answer.status != plain.status:
            blocked.append(f"{agent} gets {answer.says}, others {plain.status}")
    return "; ".join(blocked) or None


async def as_stranger(walk: Walk, **headers: str) -> int:
    """The status when the first message comes with these headers."""
    await walk.sound()
    method, params = initialize(LATEST)
    token = await walk.token_or_none()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return judged(token, (await walk.send(method, params, version=LATEST, token=token, headers=named)).answer)


def judged(token: str | None, answer: Answer) -> int:
    """The status. Raises NotReached for a 401 that only says that the token was looked for first."""
    if answer.status == 401 and token is None:
        raise NotReached("it gets 401 like everybody: what comes after the token needs a token to be seen")
    return answer.status


@ORIGINS.check(
    "HO-01",
    "a foreign Origin is refused with 403",
    must(MCP_HTTP, "Security & Endpoint", "2025-11-25"),
    Severity.EXPOSES,
    why="Otherwise any web page in a person's browser may talk to a server that the browser can reach (DNS rebinding).",
    fix="Compare the Origin header, where there is one, with the public origin and a list; answer 403 to all others.",
)
async def foreign_origin(walk: Walk) -> str | None:
    status = await as_stranger(walk, origin=f"https://{STRANGER}")
    return None if status == 403 else f"Origin https://{STRANGER} gets {status}"


@ORIGINS.check(
    "HO-02",
    "the Origin null is refused with 403",
    must(MCP_HTTP, "Security & Endpoint", "2025-11-25"),
    Severity.EXPOSES,
    why="A sandboxed frame or a local file sends null; it stands for nobody who could be allowed.",
    fix="Treat null as any other foreign origin.",
)
async def null_origin(walk: Walk) -> str | None:
    status = await as_stranger(walk, origin="null")
    return None if status == 403 else f"Origin null gets {status}"


@ORIGINS.check(
    "HO-03",
    "a foreign Origin is refused on GET as well",
    must(MCP_HTTP, "Security & Endpoint", "2025-11-25"),
    Severity.EXPOSES,
    why="All incoming connections are to be checked; older revisions open their event stream with GET.",
    fix="Check the Origin before the method is looked at.",
)
async def foreign_origin_on_get(walk: Walk) -> str | None:
    await walk.sound()
    token = await walk.token_or_none()
    headers = {"origin": f"https://{STRANGER}", "accept": "text/event-stream"}
    reply = await walk.send("", version=LATEST, token=token, headers=headers, verb="GET", head_only=True)
    status = judged(token, reply.answer)
    return None if status == 403 else f"GET with Origin https://{STRANGER} gets {status}"


@ORIGINS.check(
    "HO-04",
    "a foreign Host is refused",
    should(MCP_HTTP, "Security Warning"),
    Severity.EXPOSES,
    why="A name that an attacker points to the server's address must not reach it from a person's browser.",
    fix="Answer only for the public host name, for example with 421.",
)
async def foreign_host(walk: Walk) -> str | None:
    status = await as_stranger(walk, host=STRANGER)
    return f"Host {STRANGER} gets {status}" if 200 <= status < 300 else None


@ORIGINS.check(
    "HO-05",
    "a forwarded host changes nothing",
    should(PRACTICE, "host header injection"),
    Severity.EXPOSES,
    why="Whoever can put a name into the metadata sends people to an authorization server of their own.",
    fix="Derive all URLs from the configured public URL, never from Host, X-Forwarded-Host or Forwarded.",
)
async def forwarded_host(walk: Walk) -> str | None:
    await walk.challenge()
    headers = {"x-forwarded-host": STRANGER, "forwarded": f"host={STRANGER};proto=https", "x-original-host": STRANGER}
    method, params = initialize(LATEST)
    answer = (await walk.send(method, params, version=LATEST, headers=headers)).answer
    if any(STRANGER in value for value in answer.headers.get_list("www-authenticate")):
        return "X-Forwarded-Host shows up in the challenge"
    document = await walk.web.get((await walk.resource()).answer.url, headers)
    return "X-Forwarded-Host shows up in the metadata" if STRANGER.encode() in document.body else None


@ORIGINS.check(
    "HO-06",
    "foreign web pages get no credentialed access",
    must("Fetch standard", "CORS protocol and credentials"),
    Severity.EXPOSES,
    why="A reflected origin with credentials lets any page act with what the browser holds.",
    fix="Name allowed origins one by one in Access-Control-Allow-Origin; the MCP endpoint needs no cookies.",
)
async def credentials(walk: Walk) -> str | None:
    headers = {
        "origin": f"https://{STRANGER}",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    answer = await walk.web.ask("OPTIONS", walk.url, headers=headers)
    allowed = answer.headers.get("access-control-allow-origin", "")
    if STRANGER in allowed and answer.headers.get("access-control-allow-credentials", "").lower() == "true":
        return "a foreign origin is allowed with credentials"
    return None


@ORIGINS.check(
    "HO-07",
    "a request without an Origin is served",
    should(PRACTICE, "hosted clients send no Origin"),
    Severity.BLOCKS,
    why="Hosted clients call from servers, which send no Origin.",
    fix="Refuse an Origin that is present and wrong, never one that is absent.",
    clients=(*HOSTED, "claude-code", "cursor", "vscode"),
)
async def no_origin(walk: Walk) -> str | None:
    if (await walk.refused()).status != 403:
        return None
    method, params = initialize(LATEST)
    own = (await walk.send(method, params, version=LATEST, headers={"origin": walk.origin})).status
    return f"403 without an Origin, {own} with the server's own" if own != 403 else None
