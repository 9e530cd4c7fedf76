"""Which tokens come in, and what happens when one does not carry enough (step-up)."""

from functools import cache
from typing import Any, Final
from urllib.parse import quote

import anyio.to_thread
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from stytch_mcp_kit.check.challenge import Challenge, bearer, parse_challenges
from stytch_mcp_kit.check.registry import (
    MCP_AUTHORIZATION,
    MCP_OAUTH_SECURITY,
    OPENAI,
    Area,
    Needs,
    NotApplicable,
    NotReached,
    Requirement,
    Severity,
    must,
    should,
    shown,
)
from stytch_mcp_kit.check.walk import BUILT_IN_SCOPES, Walk, evidence
from stytch_mcp_kit.check.web import Answer

TOKENS: Final = Area("TK", "token", "good ones come in, forged and foreign ones do not")
SCOPES: Final = Area("SC", "scopes", "403 that names what is missing, before a tool runs")
FOREIGN_AUDIENCE: Final = "https://another.example/mcp"
DAY_SECONDS: Final = 86_400
REFUSE: Final = "Verify the token as a whole, on every request, and answer 401 with error=invalid_token."


async def good_token(walk: Walk) -> str:
    """A token that was seen to be accepted."""
    token = await walk.token()
    if token is None:
        raise NotReached("the server asks for no token")
    if (await accepted(walk)).status == 401:
        raise NotReached("the token itself is not accepted")
    return token


@evidence
async def accepted(walk: Walk) -> Answer:
    token = await walk.token()
    if token is None:
        raise NotReached("the server asks for no token")
    if walk.mint is not None and walk.log_in is not None:
        token = str((await walk.session()).access_token)
    return await walk.presented(token)


def refusal(answer: Answer, what: str) -> str | None:
    """What is wrong with an answer that should have been 401."""
    return None if answer.status == 401 else f"{what} gets {answer.says}"


@TOKENS.check(
    "TK-01",
    "a fresh token is accepted",
    must(MCP_AUTHORIZATION, "Token Handling", "2025-03-26"),
    Severity.BLOCKS,
    why="The second most frequent cause: the log-in works, then 401 in a loop.",
    fix="Log why the token is refused. Usually aud or iss is not what the authorization server really issues.",
    needs=Needs.TOKEN,
)
async def fresh(walk: Walk) -> str | None:
    answer = await accepted(walk)
    if answer.status in (401, 403):
        found = bearer(parse_challenges(answer.headers.get_list("www-authenticate")))
        said = found.parameters.get("error_description", "") if found else ""
        return f"it gets {answer.status} {shown(said)}".strip()
    return None if 200 <= answer.status < 300 else f"it gets {answer.says}"


@TOKENS.check(
    "TK-02",
    "the scheme may be written in any case",
    must("RFC 9110", "11.1, Authentication Scheme"),
    Severity.BLOCKS,
    why="Some clients write bearer.",
    fix="Compare the scheme without regard to case.",
    needs=Needs.TOKEN,
)
async def lower_case(walk: Walk) -> str | None:
    token = await good_token(walk)
    answer = await walk.presented(token, headers={"authorization": f"bearer {token}"})
    return None if answer.status not in (400, 401) else f"bearer gets {answer.status}"


@TOKENS.check(
    "TK-03",
    "a token with a changed signature is refused",
    must(MCP_AUTHORIZATION, "Token Handling; OAuth 2.1, 5.2", "2025-03-26"),
    Severity.EXPOSES,
    why="Anyone could write a token.",
    fix=REFUSE,
    needs=Needs.TOKEN,
)
async def tampered(walk: Walk) -> str | None:
    token = await good_token(walk)
    # The last characters may hold bits that count for nothing; one in the middle of the signature does not.
    place = len(token) - (len(token) - token.rfind(".")) // 2
    changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
    return refusal(await walk.presented(changed), "it")


async def parts_of(walk: Walk) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of the token. Raises NotApplicable when it is opaque."""
    token = await good_token(walk)
    try:
        return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise NotApplicable("the token is opaque, it cannot be forged this way") from None


@TOKENS.check(
    "TK-04",
    "the same claims without a signature are refused",
    must("RFC 8725", "3.1, Perform Algorithm Verification"),
    Severity.EXPOSES,
    why="alg none: anyone could write a token.",
    fix="Accept the algorithms of the issuer only, from a list.",
    needs=Needs.TOKEN,
)
async def unsigned(walk: Walk) -> str | None:
    header, claims = await parts_of(walk)
    forged = jwt.encode(claims, "", algorithm="none", headers={"kid": header.get("kid", "x")})
    return refusal(await walk.presented(forged), "alg none")


@cache
def own_key() -> rsa.RSAPrivateKey:
    """A key that nobody published, one for all runs of a process: making it takes longer than most checks."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@TOKENS.check(
    "TK-05",
    "the same claims signed with another key are refused",
    must(MCP_AUTHORIZATION, "Token Handling; OAuth 2.1, 5.2", "2025-03-26"),
    Severity.EXPOSES,
    why="Anyone could write a token.",
    fix="Verify with the keys of the issuer, chosen by kid.",
    needs=Needs.TOKEN,
)
async def foreign_key(walk: Walk) -> str | None:
    header, claims = await parts_of(walk)
    kid = {"kid": header["kid"]} if isinstance(header.get("kid"), str) else {}
    forged = jwt.encode(claims, await anyio.to_thread.run_sync(own_key), algorithm="RS256", headers=kid)
    return refusal(await walk.presented(forged), "it")


@TOKENS.check(
    "TK-06",
    "a key that the token brings along is not used",
    must("RFC 8725", "3.10, Do Not Trust Received Claims"),
    Severity.EXPOSES,
    why="A key in the header (jwk, jku) is the attacker's.",
    fix="Take keys from the issuer's jwks_uri and from nowhere else.",
    needs=Needs.TOKEN,
)
async def embedded_key(walk: Walk) -> str | None:
    header, claims = await parts_of(walk)
    key = await anyio.to_thread.run_sync(own_key)
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    forged = jwt.encode(claims, key, algorithm="RS256", headers={"kid": header.get("kid", "x"), "jwk": jwk})
    return refusal(await walk.presented(forged), "a token with its own jwk")


@TOKENS.check(
    "TK-07",
    "a token in the query string is refused",
    must(MCP_AUTHORIZATION, "Token Requirements", "2025-03-26"),
    Severity.EXPOSES,
    why="URLs are written into logs and histories.",
    fix="Look for tokens in the Authorization header only.",
    needs=Needs.LOGIN,
)
async def query(walk: Walk) -> str | None:
    token = await good_token(walk)
    separator = "&" if "?" in walk.url else "?"
    url = f"{walk.url}{separator}access_token={quote(token)}"
    answer = (await walk.send("tools/list", version=await walk.version(), url=url)).answer
    return f"it gets {answer.status}" if 200 <= answer.status < 300 or answer.status == 403 else None


@TOKENS.check(
    "TK-08",
    "two Authorization headers are refused",
    should("RFC 9110", "5.3, Field Order"),
    Severity.EXPOSES,
    why="Two parts of a chain may each look at another one.",
    fix="Refuse a request with more than one.",
    needs=Needs.LOGIN,
)
async def repeated(walk: Walk) -> str | None:
    token = await good_token(walk)
    headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", await walk.version()),
        ("mcp-method", "tools/list"),
        ("authorization", f"Bearer {token}"),
        ("authorization", "Bearer other.than.this"),
    ]
    answer = await walk.repeat(headers)
    return None if answer.status in (400, 401) else f"they get {answer.says}"


@TOKENS.check(
    "TK-09",
    "an ID token is refused",
    must("RFC 9068", "4, Validating JWT Access Tokens"),
    Severity.EXPOSES,
    why="It tells a client who logged in, and is no permission for anything.",
    fix="Tell access tokens from ID tokens: by aud, typ, and the claims that only access tokens have.",
    needs=Needs.LOGIN,
)
async def id_token(walk: Walk) -> str | None:
    await good_token(walk)
    if walk.mint is not None:
        return refusal(await walk.judged(kind="id"), "it")
    token = (await walk.session()).tokens.get("id_token")
    if not isinstance(token, str):
        raise NotApplicable("the log-in yields no ID token")
    return refusal(await walk.presented(token), "it")


@TOKENS.check(
    "TK-10",
    "the token lives for a day at most",
    should(MCP_OAUTH_SECURITY, "Token Theft"),
    Severity.EXPOSES,
    why="A stolen token is good for that long.",
    fix="Issue tokens for an hour or less.",
    needs=Needs.TOKEN,
)
async def lifetime(walk: Walk) -> str | None:
    _, claims = await parts_of(walk)
    start, end = claims.get("iat"), claims.get("exp")
    if not isinstance(end, int | float):
        return "it has no exp"
    if not isinstance(start, int | float):
        raise NotApplicable("it has no iat")
    return f"{(end - start) / 3600:.0f} hours" if end - start > DAY_SECONDS else None


def forged(name: str, title: str, requirement: Requirement, why: str, fix: str, **wishes: Any) -> None:
    """Adds a check that a token which the local issuer made to order is refused."""

    @TOKENS.check(
        name,
        title,
        requirement,
        Severity.EXPOSES,
        why=why,
        fix=fix,
        needs=Needs.ISSUER,
    )
    async def refused(walk: Walk) -> str | None:
        await good_token(walk)
        return refusal(await walk.judged(**wishes), "it")


HANDLING: Final = must(MCP_AUTHORIZATION, "Token Handling; OAuth 2.1, 5.2", "2025-03-26")
AUDIENCE: Final = must(MCP_AUTHORIZATION, "Token Audience Binding and Validation", "2025-06-18")

forged(
    "TK-11",
    "a token of another audience is refused",
    AUDIENCE,
    "A token for another server, taken there, would open this one.",
    "Compare aud with the audience that is configured, always.",
    claims={"aud": [FOREIGN_AUDIENCE]},
)
forged(
    "TK-12",
    "a token without an audience is refused",
    AUDIENCE,
    "Nobody knows for whom it was issued.",
    "Require aud.",
    claims={"aud": None},
)
forged(
    "TK-13",
    "a token of a foreign issuer is refused",
    HANDLING,
    "The same key may sign for more than one issuer, such as another project.",
    "Compare iss exactly.",
    claims={"iss": "https://issuer.another.example"},
)
forged(
    "TK-14",
    "an expired token is refused",
    must(MCP_AUTHORIZATION, "Token Handling: expired tokens", "2025-03-26"),
    "Access has to end when it was said to end.",
    "Check exp with little leeway.",
    claims={"exp": 1_000_000_000, "iat": 999_996_400, "nbf": 999_996_400},
)
forged(
    "TK-15",
    "a token without an end is refused",
    must("RFC 9068", "2.2, Data Structure: exp"),
    "It would be good for ever.",
    "Require exp.",
    claims={"exp": None},
)
forged(
    "TK-16",
    "a token that is not valid yet is refused",
    must("RFC 7519", "4.1.5, nbf"),
    "It was issued for later.",
    "Check nbf with little leeway.",
    claims={"nbf": 4_000_000_000, "exp": 4_000_003_600},
)
forged(
    "TK-17",
    "a token signed with the public key as a secret is refused",
    must("RFC 8725", "3.1, Perform Algorithm Verification"),
    "The classic confusion: everyone knows the public key.",
    "Accept the algorithms of the issuer only, from a list.",
    key="hs256_public",
)
forged(
    "TK-18",
    "a token with an unknown kid is refused",
    HANDLING,
    "A key that the issuer does not publish is nobody's.",
    "Choose keys by kid, and refuse what is unknown after one look at the issuer.",
    header={"kid": "jwk-test-mcp-check-unknown"},
)
forged(
    "TK-19",
    "a token with an unknown critical extension is refused",
    must("RFC 7515", "4.1.11, crit"),
    "crit says: who does not understand this has to refuse.",
    "Refuse tokens with crit.",
    header={"crit": ("x",), "x": "y"},
)
forged(
    "TK-20",
    "a token of another type is refused",
    should("RFC 8725", "3.11, Use Explicit Typing"),
    "typ keeps kinds of tokens apart.",
    "Accept at+jwt and JWT, or just what the issuer writes.",
    header={"typ": "logout+jwt"},
)
forged(
    "TK-21",
    "a session token is refused",
    AUDIENCE,
    "Stytch signs sessions with the same key, issuer and audience: a web session is no consent to a client.",
    "Refuse tokens with the session claim; require scope, client_id and a person as sub.",
    kind="session",
)
forged(
    "TK-22",
    "a machine-to-machine token is refused",
    AUDIENCE,
    "Stytch signs them with the same key, issuer and audience: no person stands behind them.",
    "Require client_id of a connected application and a person as sub.",
    kind="m2m",
)


# Scopes


async def only_built_in(walk: Walk) -> None:
    """Raises NotApplicable where no scope of the server's own is asked for."""
    if not set(await walk.basic_scopes()) - BUILT_IN_SCOPES:
        raise NotApplicable("no scope of the server's own is asked for")


@evidence
async def poor(walk: Walk) -> Answer:
    """The answer to a token without any scope of the server's own."""
    await only_built_in(walk)
    await good_token(walk)
    return await walk.judged(scope="openid")


def stepped_up(answer: Answer) -> Challenge | None:
    return bearer(parse_challenges(answer.headers.get_list("www-authenticate")))


@SCOPES.check(
    "SC-01",
    "a token without the scope gets 403",
    must(MCP_AUTHORIZATION, "Error Handling", "2025-03-26"),
    Severity.EXPOSES,
    why="Scopes that nobody checks protect nothing; a 401 would send the client round in circles.",
    fix="Check the scopes of the token before the operation, and answer 403.",
    needs=Needs.ISSUER,
)
async def forbidden(walk: Walk) -> str | None:
    answer = await poor(walk)
    return None if answer.status == 403 else f"it gets {answer.says}"


async def step_up(walk: Walk) -> Challenge:
    answer = await poor(walk)
    if answer.status != 403:
        raise NotReached("missing scopes get no 403")
    found = stepped_up(answer)
    if found is None or found.parameters.get("error") != "insufficient_scope":
        raise NotReached("the 403 has no challenge insufficient_scope")
    return found


@SCOPES.check(
    "SC-02",
    "the 403 says insufficient_scope",
    should(MCP_AUTHORIZATION, "Runtime Insufficient Scope Errors", "2025-11-25"),
    Severity.BLOCKS,
    why="Only then do clients ask for more; Claude ignores any other 403.",
    fix='WWW-Authenticate: Bearer error="insufficient_scope", scope="...", resource_metadata="...".',
    needs=Needs.ISSUER,
)
async def insufficient(walk: Walk) -> str | None:
    answer = await poor(walk)
    if answer.status != 403:
        raise NotReached("missing scopes get no 403")
    found = stepped_up(answer)
    if found is None:
        return "the 403 has no Bearer challenge"
    error = found.parameters.get("error")
    return None if error == "insufficient_scope" else f"error is {shown(error)}"


@SCOPES.check(
    "SC-03",
    "the 403 names the scopes",
    should(MCP_AUTHORIZATION, "Runtime Insufficient Scope Errors", "2026-07-28"),
    Severity.BLOCKS,
    why="The client asks for what is named.",
    fix="Name all scopes of the operation in one challenge.",
    needs=Needs.ISSUER,
)
async def names_scopes(walk: Walk) -> str | None:
    return None if (await step_up(walk)).scopes else "there is no scope parameter"


@SCOPES.check(
    "SC-04",
    "the 403 names the metadata",
    should(MCP_AUTHORIZATION, "Runtime Insufficient Scope Errors", "2025-11-25"),
    Severity.DEGRADES,
    why="The client may have forgotten where the authorization server is.",
    fix="Send resource_metadata with every challenge.",
    needs=Needs.ISSUER,
)
async def names_metadata(walk: Walk) -> str | None:
    return None if (await step_up(walk)).parameters.get("resource_metadata") else "there is no resource_metadata"


def scopes_of(tool: dict[str, Any]) -> set[str]:
    """What a tool's securitySchemes ask for."""
    schemes = tool.get("securitySchemes") or (tool.get("_meta") or {}).get("securitySchemes")
    if not isinstance(schemes, list):
        return set()
    named = [scheme.get("scopes") for scheme in schemes if isinstance(scheme, dict)]
    return {scope for scopes in named if isinstance(scopes, list) for scope in scopes if isinstance(scope, str)}


@evidence
async def demanding(walk: Walk) -> tuple[str, Answer]:
    """A tool that needs more than the challenge asks for, and the answer when it is called without.

    No arguments are sent, so that nothing is done even where it is let through.
    """
    await only_built_in(walk)
    basic = set(await walk.basic_scopes())
    await good_token(walk)
    for tool in await walk.tools():
        if scopes_of(tool) - basic and isinstance(tool.get("name"), str):
            return tool["name"], await called(walk, tool["name"], " ".join(["openid", *sorted(basic)]))
    raise NotApplicable("no tool asks for more than the challenge")


async def called(walk: Walk, tool: str, scope: str) -> Answer:
    assert walk.mint is not None
    token = await walk.mint(scope=scope)
    walk.keep_secret(token)
    params = {"name": tool, "arguments": {}}
    return (await walk.request("tools/call", params, token=token)).answer


@SCOPES.check(
    "SC-05",
    "a tool that needs more gets 403 before it runs",
    should(MCP_AUTHORIZATION, "Runtime Insufficient Scope Errors", "2025-11-25"),
    Severity.BLOCKS,
    why="Claude reads no step-up from a result: only from HTTP 403.",
    fix="Compare the tool's scopes with the token's before the tool is dispatched.",
    needs=Needs.ISSUER,
)
async def tool_step_up(walk: Walk) -> str | None:
    tool, answer = await demanding(walk)
    found = stepped_up(answer)
    if answer.status == 403 and found and found.parameters.get("error") == "insufficient_scope":
        return None
    return f"{shown(tool)} gets {answer.says}{'' if found else ' without a challenge'}"


@SCOPES.check(
    "SC-06",
    "the scopes that a 403 names are enough",
    should(MCP_AUTHORIZATION, "Runtime Insufficient Scope Errors", "2026-07-28"),
    Severity.BLOCKS,
    why="Otherwise the client steps up again and again, and gives up.",
    fix="Name all scopes of the operation in one challenge, not just one that is missing.",
    needs=Needs.ISSUER,
)
async def enough(walk: Walk) -> str | None:
    tool, answer = await demanding(walk)
    found = stepped_up(answer)
    if answer.status != 403 or not found or not found.scopes:
        raise NotReached("no step-up names scopes")
    again = await called(walk, tool, " ".join(["openid", *found.scopes]))
    return (
        f"with {shown(' '.join(found.scopes))} {shown(tool)} still gets {again.status}"
        if again.status
        in (
            401,
            403,
        )
        else None
    )


@SCOPES.check(
    "SC-07",
    "write includes read",
    must(MCP_AUTHORIZATION, "Step-Up Authorization Flow, scope hierarchies", "2026-07-28"),
    Severity.DEGRADES,
    why="A client that was granted write should not be sent back for read.",
    fix="Account for the hierarchy of scopes when a token is judged.",
    needs=Needs.ISSUER,
)
async def hierarchy(walk: Walk) -> str | None:
    await only_built_in(walk)
    basic = await walk.basic_scopes()
    await good_token(walk)
    offered = {scope for tool in await walk.tools() for scope in scopes_of(tool)}
    pairs = [scope for scope in basic if scope.endswith(":read") and f"{scope.removesuffix('read')}write" in offered]
    if not pairs:
        raise NotApplicable("there is no pair of read and write")
    wider = f"{pairs[0].removesuffix('read')}write"
    answer = await walk.judged(scope=f"openid {wider}")
    return f"{shown(wider)} without {shown(pairs[0])} gets {answer.status}" if answer.status in (401, 403) else None


@SCOPES.check(
    "SC-08",
    "tools say which scopes they need",
    should(OPENAI, "Authentication, per-tool securitySchemes"),
    Severity.DEGRADES,
    why="ChatGPT asks a person to log in only for tools that declare it.",
    fix='Give each tool securitySchemes: [{"type": "oauth2", "scopes": [...]}].',
    clients=("chatgpt",),
    needs=Needs.TOKEN,
)
async def schemes(walk: Walk) -> str | None:
    if await walk.token() is None:
        raise NotApplicable("the server asks for no token")
    without = [tool.get("name") for tool in await walk.tools() if not isinstance(tool.get("securitySchemes"), list)]
    return f"not so: {shown(without)}" if without else None


@SCOPES.check(
    "SC-09",
    "securitySchemes are mirrored in _meta",
    should(OPENAI, "Authentication, per-tool securitySchemes"),
    Severity.DEGRADES,
    why="SDKs drop members that they do not know; _meta passes through.",
    fix="Put the same list into _meta.securitySchemes.",
    clients=("chatgpt",),
    needs=Needs.TOKEN,
)
async def mirrored(walk: Walk) -> str | None:
    if await walk.token() is None:
        raise NotApplicable("the server asks for no token")
    with_schemes = [tool for tool in await walk.tools() if isinstance(tool.get("securitySchemes"), list)]
    if not with_schemes:
        raise NotReached("no tool has securitySchemes")
    other = [
        tool.get("name")
        for tool in with_schemes
        if not isinstance(tool.get("_meta"), dict) or tool["_meta"].get("securitySchemes") != tool["securitySchemes"]
    ]
    return f"not so: {shown(other)}" if other else None
