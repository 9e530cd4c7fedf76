"""The challenge: what a client hears before it has a token, on every method and in both eras."""

import json
from typing import Final

from stytch_mcp_kit.check.challenge import SCOPES, bearer, parse_challenges
from stytch_mcp_kit.check.messages import LATEST, LEGACY, MODERN, legacy_body
from stytch_mcp_kit.check.registry import (
    MCP_AUTHORIZATION,
    MCP_SECURITY,
    PRACTICE,
    Area,
    NotReached,
    Severity,
    must,
    should,
    shown,
)
from stytch_mcp_kit.check.walk import GARBAGE, Walk, same_kind
from stytch_mcp_kit.check.web import Answer

CHALLENGE: Final = Area("CH", "challenge", "401 on every method and revision, with metadata and scope")


async def protected(walk: Walk) -> None:
    """Raises NotReached unless the very first answer was 401: then the others tell nothing new."""
    if (await walk.refused()).status != 401:
        raise NotReached("the server did not answer 401 without a token")


def is_challenge(answer: Answer) -> bool:
    return answer.status == 401 and bearer(parse_challenges(answer.headers.get_list("www-authenticate"))) is not None


def unlike(answer: Answer, what: str) -> str | None:
    """What is wrong with an answer that should be the 401 with a challenge."""
    if answer.status != 401:
        return f"{what} gets {answer.says}"
    return None if is_challenge(answer) else f"{what} gets 401 without a Bearer challenge"


@CHALLENGE.check(
    "CH-01",
    "initialize without a token gets 401",
    must(MCP_AUTHORIZATION, "Token Handling", "2025-03-26"),
    Severity.BLOCKS,
    why="The 401 is what tells a client to log in. Anything else ends in an error, or the server is open to everyone.",
    fix="Judge the token before anything else, and answer 401 when there is none.",
)
async def unauthorized(walk: Walk) -> str | None:
    answer = await walk.refused()
    if answer.kind == "tls" or 300 <= answer.status < 400:
        raise NotReached("the URL does not answer as it should")
    if answer.status == 403 and (await walk.own_origin()).status == 401:
        raise NotReached("a request without an Origin is refused")
    if answer.status == 200:
        return "200: everyone may use this server"
    return None if answer.status == 401 else f"it gets {answer.says}"


@CHALLENGE.check(
    "CH-02",
    "the 401 has a Bearer challenge",
    must("RFC 6750", "3, The WWW-Authenticate Response Header Field", "2025-06-18"),
    Severity.BLOCKS,
    why="Claude shows an error and asks nobody to log in when the 401 has no WWW-Authenticate.",
    fix='Send WWW-Authenticate: Bearer resource_metadata="...", scope="..." with every 401.',
)
async def has_challenge(walk: Walk) -> str | None:
    await protected(walk)
    try:
        await walk.challenge()
    except NotReached as missing:
        return str(missing)
    return None


@CHALLENGE.check(
    "CH-03",
    "the challenge can be parsed",
    must("RFC 9110", "11.6.1, WWW-Authenticate"),
    Severity.BLOCKS,
    why="A strict client gives up on a value without quotes or on a parameter that comes twice.",
    fix='Write every value in double quotes, separated by commas, each name once: name="value", name="value".',
)
async def parses(walk: Walk) -> str | None:
    return ", ".join(shown(flaw) for flaw in (await walk.challenge()).flaws) or None


@CHALLENGE.check(
    "CH-04",
    "the challenge names the metadata",
    should("RFC 9728", "5.1, WWW-Authenticate Response; MUST in 2025-06-18", "2025-11-25"),
    Severity.BLOCKS,
    why="Claude starts from it. Since 2025-11-25 the well-known place alone would do for the specification.",
    fix='Add resource_metadata="https://<host>/.well-known/oauth-protected-resource/<path>".',
    clients=("claude", "claude-code", "vscode"),
)
async def names_metadata(walk: Walk) -> str | None:
    return None if (await walk.challenge()).parameters.get("resource_metadata") else "there is no resource_metadata"


@CHALLENGE.check(
    "CH-05",
    "resource_metadata is an absolute https URL",
    must("RFC 9728", "5.1, WWW-Authenticate Response", "2025-06-18"),
    Severity.BLOCKS,
    why="Claude rejects a relative or broken URL without a word, and never reaches the log-in.",
    fix="Build it from the configured public URL: scheme, host and path. https://https://... is a known slip.",
)
async def absolute_metadata(walk: Walk) -> str | None:
    url = (await walk.challenge()).parameters.get("resource_metadata")
    if not url:
        raise NotReached("the challenge names no resource_metadata")
    flaw = same_kind(walk, url)
    return f"{shown(url)} {flaw}" if flaw else None


@CHALLENGE.check(
    "CH-06",
    "the challenge says which scope to ask for",
    should(MCP_AUTHORIZATION, "Scope Selection Strategy", "2025-11-25"),
    Severity.DEGRADES,
    why="Without it clients ask for every scope of scopes_supported, or for none.",
    fix='Add scope="..." with what the operation needs.',
)
async def names_scope(walk: Walk) -> str | None:
    return None if (await walk.challenge()).scopes else "the 401 has no scope parameter"


@CHALLENGE.check(
    "CH-07",
    "the scope is written as scopes are",
    must("RFC 6749", "3.3, Access Token Scope"),
    Severity.BLOCKS,
    why="Clients send the value as it is to the authorization server, which refuses what is no scope.",
    fix="Scope names separated by single spaces, without commas or quotes.",
)
async def scope_syntax(walk: Walk) -> str | None:
    scope = (await walk.challenge()).parameters.get("scope")
    if scope is None:
        raise NotReached("the challenge has no scope")
    if not SCOPES.fullmatch(scope) or "," in scope:
        return f"scope={shown(scope)!r}"
    return None


@CHALLENGE.check(
    "CH-08",
    "the challenge does not ask for offline_access",
    should(MCP_AUTHORIZATION, "Refresh Tokens", "2026-07-28"),
    Severity.DEGRADES,
    why="Refresh tokens are between the client and the authorization server; the resource needs none.",
    fix="Take offline_access out of the challenge; clients add it when the authorization server offers it.",
)
async def no_offline_access(walk: Walk) -> str | None:
    return "it does" if "offline_access" in (await walk.challenge()).scopes else None


@CHALLENGE.check(
    "CH-09",
    "no error where there was no token",
    should("RFC 6750", "3.1, Error Codes"),
    Severity.DEGRADES,
    why="error=invalid_token tells a client that its token is bad; some then throw away what they have.",
    fix="Leave error and error_description out when the request had no Authorization header.",
)
async def no_error(walk: Walk) -> str | None:
    error = (await walk.challenge()).parameters.get("error")
    return f"error={shown(error)!r} although no token was sent" if error else None


@CHALLENGE.check(
    "CH-10",
    "server/discover without a token gets the same 401",
    must(MCP_AUTHORIZATION, "Token Handling", "2026-07-28"),
    Severity.BLOCKS,
    why="Current clients begin with it. A 400 or 404 looks like an old server, not like one that asks for a token.",
    fix="Judge the token before the revision and the method.",
)
async def discover(walk: Walk) -> str | None:
    await walk.challenge()
    return unlike(await walk.refused(MODERN), "server/discover")


@CHALLENGE.check(
    "CH-11",
    "every older revision gets the same 401",
    must(MCP_AUTHORIZATION, "Token Handling", "2025-03-26"),
    Severity.BLOCKS,
    why="Clients of each revision have to hear the challenge.",
    fix="Judge the token before the revision.",
)
async def older_revisions(walk: Walk) -> str | None:
    await walk.challenge()
    flaws = [unlike(await walk.refused(version), f"initialize of {version}") for version in LEGACY if version != LATEST]
    return "; ".join(flaw for flaw in flaws if flaw) or None


@CHALLENGE.check(
    "CH-12",
    "tools/list and tools/call without a token get 401",
    must(MCP_SECURITY, "Session Hijacking, verify all inbound requests"),
    Severity.EXPOSES,
    why="A server that asks only on initialize lets everyone call tools.",
    fix="Judge the token of every request.",
)
async def every_message(walk: Walk) -> str | None:
    await walk.challenge()
    flaws = []
    for version in (LATEST, MODERN):
        for method, params in (("tools/list", None), ("tools/call", {"name": "mcp-check-no-such-tool"})):
            answer = (await walk.send(method, params, version=version)).answer
            flaws.append(unlike(answer, f"{method} of {version}"))
    return "; ".join(flaw for flaw in flaws if flaw) or None


@CHALLENGE.check(
    "CH-13",
    "GET and HEAD without a token get 401",
    must(MCP_SECURITY, "Session Hijacking, verify all inbound requests"),
    Severity.EXPOSES,
    why="The event stream of older revisions carries what belongs to somebody.",
    fix="Judge the token before the method.",
)
async def get(walk: Walk) -> str | None:
    await walk.challenge()
    flaws = []
    for method in ("GET", "HEAD"):
        answer = await walk.web.ask(method, walk.url, headers={"accept": "text/event-stream"}, head_only=True)
        flaws.append(None if answer.status == 405 else unlike(answer, method))
    return "; ".join(flaw for flaw in flaws if flaw) or None


@CHALLENGE.check(
    "CH-14",
    "DELETE without a token gets 401",
    must(MCP_SECURITY, "Session Hijacking, verify all inbound requests"),
    Severity.EXPOSES,
    why="A stranger could end other people's sessions.",
    fix="Judge the token before the method.",
)
async def delete(walk: Walk) -> str | None:
    await walk.challenge()
    answer = await walk.web.ask("DELETE", walk.url, headers={"mcp-session-id": "mcp-check"})
    return None if answer.status == 405 else unlike(answer, "DELETE")


@CHALLENGE.check(
    "CH-15",
    "a body that is no JSON gets 401 first",
    should(PRACTICE, "authorize before parsing"),
    Severity.EXPOSES,
    why="Strangers should not reach the parser.",
    fix="Judge the token before the body is read.",
)
async def not_json(walk: Walk) -> str | None:
    await walk.challenge()
    return unlike((await walk.send("x", body=b"{", version=LATEST)).answer, "a body that is no JSON")


@CHALLENGE.check(
    "CH-16",
    "a batch without a token gets 401",
    must(MCP_AUTHORIZATION, "Token Handling", "2025-03-26"),
    Severity.EXPOSES,
    why="2025-03-26 had batches: a list of requests must not come in by another door.",
    fix="Judge the token before the body is read.",
)
async def batch(walk: Walk) -> str | None:
    await walk.challenge()
    messages = [json.loads(legacy_body("tools/list", None, LATEST, number=1))]
    return unlike((await walk.send("x", body=json.dumps(messages).encode(), version="2025-03-26")).answer, "a batch")


@CHALLENGE.check(
    "CH-17",
    "a bad token gets 401 with error invalid_token",
    must("RFC 6750", "3.1, Error Codes", "2025-03-26"),
    Severity.BLOCKS,
    why="On invalid_token clients refresh or log in again; without it they show an error.",
    fix='Answer 401 with error="invalid_token" when a token was sent and is not good.',
)
async def bad_token(walk: Walk) -> str | None:
    await walk.challenge()
    answer = await walk.bad_token()
    flaw = unlike(answer, "a token that nobody issued")
    if flaw:
        return flaw
    found = bearer(parse_challenges(answer.headers.get_list("www-authenticate")))
    assert found is not None
    error = found.parameters.get("error")
    return None if error == "invalid_token" else f"error is {shown(error)}"


@CHALLENGE.check(
    "CH-18",
    "the challenge to a bad token names the metadata too",
    should("RFC 9728", "5.1, WWW-Authenticate Response"),
    Severity.DEGRADES,
    why="A client whose token ended has to find its way again.",
    fix="Send the same resource_metadata and scope with every 401.",
)
async def bad_token_metadata(walk: Walk) -> str | None:
    expected = (await walk.challenge()).parameters.get("resource_metadata")
    if not expected:
        raise NotReached("the challenge names no resource_metadata")
    found = bearer(parse_challenges((await walk.bad_token()).headers.get_list("www-authenticate")))
    if found is None:
        raise NotReached("a bad token gets no challenge")
    return None if found.parameters.get("resource_metadata") == expected else "resource_metadata is another or missing"


@CHALLENGE.check(
    "CH-19",
    "another scheme than Bearer gets the Bearer challenge",
    must("RFC 9110", "15.5.2, 401 Unauthorized"),
    Severity.EXPOSES,
    why="Credentials of another kind are no access token.",
    fix="Accept Bearer only.",
)
async def basic(walk: Walk) -> str | None:
    await walk.challenge()
    headers = {"authorization": "Basic bWNwOmNoZWNr"}
    answer = (await walk.send("tools/list", version=LATEST, headers=headers)).answer
    return unlike(answer, "Authorization: Basic")


@CHALLENGE.check(
    "CH-20",
    "an oversized token gets a plain refusal",
    should(PRACTICE, "bounded input"),
    Severity.EXPOSES,
    why="A 5xx says that the server choked on it.",
    fix="Refuse tokens above some KiB before they are parsed.",
)
async def oversized(walk: Walk) -> str | None:
    await walk.challenge()
    answer = (await walk.send("tools/list", version=LATEST, token="a" * 12_000)).answer
    return None if 400 <= answer.status < 500 else f"12 KB of token get {answer.says}"


@CHALLENGE.check(
    "CH-21",
    "a refused token is not repeated in the answer",
    should(PRACTICE, "no token in output"),
    Severity.EXPOSES,
    why="Answers end up in logs and error reports.",
    fix="Say what is wrong with the token, never the token.",
)
async def no_echo(walk: Walk) -> str | None:
    answer = await walk.bad_token()
    if not answer.status:
        raise NotReached("the URL does not answer")
    headers = " ".join(f"{name}: {value}" for name, value in answer.headers.multi_items())
    return "it is" if GARBAGE.encode() in answer.body or GARBAGE in headers else None
