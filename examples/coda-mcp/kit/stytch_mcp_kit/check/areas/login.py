"""Registration (RFC 7591), and a whole log-in as a client does it."""

import secrets
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from stytch_mcp_kit.check.login import Login, Session, exchange, refresh, registered
from stytch_mcp_kit.check.registry import (
    MCP_AUTHORIZATION,
    MCP_OAUTH_SECURITY,
    PRACTICE,
    Area,
    Needs,
    NotApplicable,
    NotReached,
    Severity,
    must,
    should,
    shown,
)
from stytch_mcp_kit.check.walk import Document, Walk, evidence
from stytch_mcp_kit.check.web import Answer, location, parse

REGISTRATION: Final = Area("RG", "registration", "clients register, strangers' redirect URIs do not")
LOGIN: Final = Area("LG", "log-in", "code with PKCE, token, refresh with rotation")
STRANGER: Final = "https://attacker.example/callback"
LONGEST_SECONDS: Final = 24 * 3600


def login_of(walk: Walk) -> Login:
    if not isinstance(walk.log_in, Login):
        raise NotReached("this run does not log in")
    return walk.log_in


async def registration(walk: Walk) -> Document:
    """The registration of this run's own client."""
    login = login_of(walk)
    if login.client_id is not None:
        raise NotApplicable("the client was named with --client-id")
    document = await registered(walk, (login.redirect_uri,))
    if document.flaw is not None:
        raise NotReached("no client could be registered")
    return document


@REGISTRATION.check(
    "RG-01",
    "a client can register",
    should("RFC 7591", "3.2.1, Client Information Response", "2025-03-26"),
    Severity.BLOCKS,
    why="Clients without a metadata document have no other way.",
    fix="Answer 201 (or 200) with a client_id, for public clients with a redirect URI on loopback.",
    needs=Needs.REGISTER,
)
async def registers(walk: Walk) -> str | None:
    document = await registered(walk, (login_of(walk).redirect_uri,))
    if document.flaw is not None:
        return document.flaw
    return None if document.text("client_id") else "the answer has no client_id"


@REGISTRATION.check(
    "RG-02",
    "the registered redirect URIs are those that were sent",
    should("RFC 7591", "3.2.1, Client Information Response", "2025-03-26"),
    Severity.BLOCKS,
    why="A client that finds others has to give up.",
    fix="Register and return redirect_uris unchanged.",
    needs=Needs.REGISTER,
)
async def same_redirects(walk: Walk) -> str | None:
    uris = (await registration(walk)).values.get("redirect_uris")
    return None if uris == [login_of(walk).redirect_uri] else f"redirect_uris is {shown(uris)}"


@REGISTRATION.check(
    "RG-03",
    "a public client stays public",
    should("RFC 7591", "3.2.1, Client Information Response"),
    Severity.BLOCKS,
    why="A client that asked for no secret cannot keep one, and does not send it.",
    fix="Honour token_endpoint_auth_method none, without a client_secret.",
    needs=Needs.REGISTER,
)
async def stays_public(walk: Walk) -> str | None:
    document = await registration(walk)
    method = document.values.get("token_endpoint_auth_method", "none")
    if method != "none":
        return f"token_endpoint_auth_method is {shown(method)}"
    return "there is a client_secret" if "client_secret" in document.values else None


@REGISTRATION.check(
    "RG-04",
    "a redirect URI over plain http to a stranger is refused",
    must(MCP_OAUTH_SECURITY, "Communication Security", "2025-03-26"),
    Severity.EXPOSES,
    why="Codes would travel in the open.",
    fix="Register https, and http on loopback only.",
    needs=Needs.REGISTER,
)
async def no_plain_http(walk: Walk) -> str | None:
    await registration(walk)
    document = await registered(walk, ("http://attacker.example/callback",))
    return "it was registered" if document.flaw is None else None


@REGISTRATION.check(
    "RG-05",
    "a redirect URI that is a script is refused",
    must(MCP_OAUTH_SECURITY, "Communication Security", "2025-03-26"),
    Severity.EXPOSES,
    why="The page that redirects would run it.",
    fix="Refuse javascript:, data: and the like.",
    needs=Needs.REGISTER,
)
async def no_script(walk: Walk) -> str | None:
    await registration(walk)
    document = await registered(walk, ("javascript:alert(1)",))
    return "it was registered" if document.flaw is None else None


@REGISTRATION.check(
    "RG-06",
    "Cursor's three redirect URIs can be registered",
    should(PRACTICE, "Cursor registers all three in one request"),
    Severity.BLOCKS,
    why="One of them is cursor://, which is more than MCP asks for. Who refuses it refuses Cursor.",
    fix="Allow native schemes in registration, or tell people to enter a client id in Cursor's settings.",
    clients=("cursor",),
    needs=Needs.REGISTER,
)
async def cursor(walk: Walk) -> str | None:
    await registration(walk)
    uris = tuple(walk.redirect_uris.get("cursor", ()))
    document = await registered(walk, uris)
    return f"the registration {document.flaw}" if document.flaw else None


@REGISTRATION.check(
    "RG-07",
    "an unregistered redirect URI gets no redirect",
    must(MCP_OAUTH_SECURITY, "Open Redirection", "2025-03-26"),
    Severity.EXPOSES,
    why="Otherwise anyone can have codes sent to themselves.",
    fix="Compare redirect URIs exactly, and show an error page instead of redirecting.",
    needs=Needs.REGISTER,
)
async def exact_redirect(walk: Walk) -> str | None:
    login = login_of(walk)
    request = await login.request(walk, await login.client(walk), redirect_uri=STRANGER)
    answer = await walk.web.ask("GET", request["url"])
    return "it redirects there" if location(answer).startswith(STRANGER) else None


@REGISTRATION.check(
    "RG-08",
    "the token endpoint takes forms and answers errors in JSON",
    must("RFC 6749", "5.2, Error Response"),
    Severity.BLOCKS,
    why="Clients send application/x-www-form-urlencoded, and read error to know whether to log in again.",
    fix="Accept forms; answer errors with 4xx and a JSON object that has error.",
    needs=Needs.REGISTER,
)
async def token_errors(walk: Walk) -> str | None:
    login = login_of(walk)
    code = f"mcp-check-{secrets.token_hex(8)}"
    answer = await exchange(walk, await login.client(walk), code, secrets.token_urlsafe(48), login.redirect_uri)
    values, flaw = parse(answer.body)
    if not 400 <= answer.status < 500 or answer.status == 415:
        return f"a wrong code gets {answer.says}"
    if flaw or not isinstance(values, dict):
        return f"the error is {flaw or 'no JSON object'}"
    return None if isinstance(values.get("error"), str) else "the JSON has no error"


async def session_of(walk: Walk) -> Session:
    found: Session = await walk.session()
    return found


@LOGIN.check(
    "LG-01",
    "the log-in yields an access token",
    must("RFC 6749", "5.1, Successful Response"),
    Severity.BLOCKS,
    why="It is what all this is for.",
    fix="The finding names the step that failed; the log of the authorization server has the rest.",
    needs=Needs.LOGIN,
)
async def yields(walk: Walk) -> str | None:
    login_of(walk)
    await walk.endpoint("authorization_endpoint")
    await walk.endpoint("token_endpoint")
    try:
        await session_of(walk)
    except NotReached as failed:
        if "no client could" in str(failed):
            raise
        return str(failed)
    return None


@LOGIN.check(
    "LG-02",
    "state comes back unchanged",
    must("RFC 6749", "4.1.2, Authorization Response"),
    Severity.BLOCKS,
    why="A client that sees another state suspects forgery and stops.",
    fix="Return state byte for byte.",
    needs=Needs.LOGIN,
)
async def state(walk: Walk) -> str | None:
    session = await session_of(walk)
    return None if session.response.get("state") == session.state else "it is another or missing"


@LOGIN.check(
    "LG-03",
    "iss in the response is as advertised",
    must(MCP_AUTHORIZATION, "Authorization Response Validation (RFC 9207)", "2026-07-28"),
    Severity.BLOCKS,
    why="Clients reject a response without iss when it is advertised, and one with another issuer always.",
    fix="Send iss with every response and advertise it, or do neither.",
    needs=Needs.LOGIN,
)
async def iss(walk: Walk) -> str | None:
    session = await session_of(walk)
    server = await walk.server()
    advertised = server.values.get("authorization_response_iss_parameter_supported") is True
    sent = session.response.get("iss")
    if sent is None:
        return "it is advertised, and not sent" if advertised else None
    if sent != server.values.get("issuer"):
        return f"iss is {shown(sent)}"
    return None if advertised else "it is sent, and not advertised"


@LOGIN.check(
    "LG-04",
    "the token type is Bearer",
    must("RFC 6749", "5.1, Successful Response"),
    Severity.BLOCKS,
    why="Clients use no type that they do not know.",
    fix='token_type: "Bearer", in any case of letters.',
    needs=Needs.LOGIN,
)
async def token_type(walk: Walk) -> str | None:
    kind = (await session_of(walk)).tokens.get("token_type")
    return None if isinstance(kind, str) and kind.lower() == "bearer" else f"token_type is {shown(kind)}"


@LOGIN.check(
    "LG-05",
    "the token response is not cached",
    must("RFC 6749", "5.1, Successful Response"),
    Severity.EXPOSES,
    why="A cache in between would keep the tokens.",
    fix="Cache-Control: no-store.",
    needs=Needs.LOGIN,
)
async def no_store(walk: Walk) -> str | None:
    value = (await session_of(walk)).answer.headers.get("cache-control", "")
    return None if "no-store" in value.lower() else f"Cache-Control is {shown(value) if value else 'missing'}"


@LOGIN.check(
    "LG-06",
    "access tokens live for a day at most",
    should(MCP_OAUTH_SECURITY, "Token Theft"),
    Severity.EXPOSES,
    why="A stolen token is good for that long.",
    fix="Issue tokens for an hour or less; refresh tokens do the rest.",
    needs=Needs.LOGIN,
)
async def short_lived(walk: Walk) -> str | None:
    seconds = (await session_of(walk)).tokens.get("expires_in")
    if not isinstance(seconds, int | float):
        return f"expires_in is {shown(seconds)}"
    return f"expires_in is {seconds:g} s" if seconds > LONGEST_SECONDS else None


@LOGIN.check(
    "LG-07",
    "the token has the scopes of the challenge",
    should(MCP_AUTHORIZATION, "Scope Selection Strategy", "2025-11-25"),
    Severity.BLOCKS,
    why="With fewer the next answer is a 403, and the client is where it was.",
    fix="Let the person grant the scopes; in Stytch RBAC the person's roles have to include them.",
    needs=Needs.LOGIN,
)
async def granted(walk: Walk) -> str | None:
    session = await session_of(walk)
    scope = session.tokens.get("scope")
    if not isinstance(scope, str):
        raise NotApplicable("the token response names no scope: all was granted")
    missing = [each for each in session.asked_scopes if each not in scope.split() and each != "offline_access"]
    return f"not granted: {shown(', '.join(missing))}" if missing else None


@LOGIN.check(
    "LG-08",
    "there is a refresh token where offline_access was asked for",
    should(MCP_AUTHORIZATION, "Refresh Tokens", "2026-07-28"),
    Severity.DEGRADES,
    why="Otherwise people log in again every hour.",
    fix="Issue one when offline_access was granted.",
    clients=("claude", "claude-code", "chatgpt", "cursor", "vscode"),
    needs=Needs.LOGIN,
)
async def has_refresh_token(walk: Walk) -> str | None:
    session = await session_of(walk)
    if "offline_access" not in session.asked_scopes:
        raise NotApplicable("offline_access cannot be asked for")
    return None if isinstance(session.tokens.get("refresh_token"), str) else "there is none"


@evidence
async def refreshed(walk: Walk) -> Answer:
    """The answer to the first use of the refresh token."""
    session = await session_of(walk)
    token = session.tokens.get("refresh_token")
    if not isinstance(token, str):
        raise NotReached("there is no refresh token")
    answer = await refresh(walk, session.client_id, token)
    values, _ = parse(answer.body)
    if isinstance(values, dict):
        walk.keep_secret(*(values.get(name) for name in ("access_token", "refresh_token", "id_token")))
    return answer


def refreshed_values(answer: Answer) -> dict[str, Any]:
    values, _ = parse(answer.body)
    return values if isinstance(values, dict) and answer.status == 200 else {}


@LOGIN.check(
    "LG-09",
    "the refresh token yields a new access token",
    must("RFC 6749", "6, Refreshing an Access Token"),
    Severity.BLOCKS,
    why="Works for an hour, then never again.",
    fix="Accept the refresh token at the token endpoint, form-encoded, with the client_id.",
    needs=Needs.LOGIN,
)
async def refreshes(walk: Walk) -> str | None:
    answer = await refreshed(walk)
    return None if refreshed_values(answer).get("access_token") else f"the token endpoint answers {answer.says}"


@LOGIN.check(
    "LG-10",
    "refresh tokens of public clients are rotated",
    must(MCP_OAUTH_SECURITY, "Token Theft"),
    Severity.EXPOSES,
    why="A stolen refresh token of a client without a secret would be good for months, unseen.",
    fix="Give a new refresh token each time and refuse the old one.",
    needs=Needs.LOGIN,
)
async def rotates(walk: Walk) -> str | None:
    session = await session_of(walk)
    values = refreshed_values(await refreshed(walk))
    if not values:
        raise NotReached("the refresh token does not work")
    if values.get("refresh_token") in (None, session.tokens["refresh_token"]):
        return "the refresh token stays the same"
    again = await refresh(walk, session.client_id, str(session.tokens["refresh_token"]))
    return "the old refresh token still works" if again.status == 200 else None


@LOGIN.check(
    "LG-11",
    "a code works once",
    must("RFC 6749", "4.1.2, Authorization Response"),
    Severity.EXPOSES,
    why="A code that was seen in a history or a log could be used again.",
    fix="Spend the code when it is presented.",
    needs=Needs.LOGIN,
)
async def code_once(walk: Walk) -> str | None:
    session = await session_of(walk)
    # Spending a code twice may revoke what it yielded, so the token is used first.
    await walk.presented(session.access_token)
    await refreshed_if_any(walk)
    answer = await exchange(walk, session.client_id, session.code, session.verifier, session.redirect_uri)
    return "it works twice" if answer.status == 200 else None


async def refreshed_if_any(walk: Walk) -> None:
    try:
        await refreshed(walk)
    except NotReached:
        return


async def second_code(walk: Walk, **changes: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """Another authorization, if it needs no person: the request and the response."""
    login = login_of(walk)
    session = await session_of(walk)
    request = await login.request(walk, session.client_id, **changes)
    answer = await walk.web.ask("GET", request["url"])
    target = location(answer)
    if answer.status in (302, 303) and target.startswith(login.redirect_uri):
        response = dict(parse_qsl(urlsplit(target).query))
        walk.keep_secret(response.get("code"))
        return request, response
    if 400 <= answer.status < 500:
        return request, {"error": str(answer.status)}
    raise NotApplicable("a second log-in would need a person")


@LOGIN.check(
    "LG-12",
    "a code does not work with another verifier",
    must(MCP_OAUTH_SECURITY, "Authorization Code Protection", "2025-03-26"),
    Severity.EXPOSES,
    why="That is all PKCE is for: who only has the code has nothing.",
    fix="Compare the S256 hash of code_verifier with code_challenge.",
    needs=Needs.LOGIN,
)
async def verifier(walk: Walk) -> str | None:
    request, response = await second_code(walk)
    if "code" not in response:
        raise NotApplicable("a second log-in would need a person")
    wrong = secrets.token_urlsafe(48)
    answer = await exchange(walk, request["client_id"], response["code"], wrong, request["redirect_uri"])
    return "it works" if answer.status == 200 else None


@LOGIN.check(
    "LG-13",
    "without PKCE there is no code",
    must(MCP_OAUTH_SECURITY, "Authorization Code Protection", "2025-03-26"),
    Severity.EXPOSES,
    why="A public client without PKCE can lose its code to another application.",
    fix="Refuse authorization requests of public clients without code_challenge.",
    needs=Needs.LOGIN,
)
async def pkce_required(walk: Walk) -> str | None:
    _, response = await second_code(walk, code_challenge=None, code_challenge_method=None)
    return "there is" if "code" in response else None
