"""One fault per check: what a server would have to do wrong for that check, and no other, to fail."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from stytch_mcp_kit.check.areas.tokens import FOREIGN_AUDIENCE
from stytch_mcp_kit.local.mint import CLIENT_ID
from tests.check.stand_in import Answered, Asked, Fault, answer

PATH_PLACE = "/.well-known/oauth-protected-resource/mcp"
ROOT_PLACE = "/.well-known/oauth-protected-resource"
SERVER_PLACE = "/.well-known/oauth-authorization-server"
OPENID_PLACE = "/.well-known/openid-configuration"
EVIL = "attacker.example"
MODERN = "2026-07-28"

FAULTS: dict[str, Fault] = {}


def before(name: str, **world: Any) -> Callable[[Callable[[Asked], httpx.Response | None]], None]:
    """The fault of a check that bends requests, or answers in place of the server."""

    def add(bend: Callable[[Asked], httpx.Response | None]) -> None:
        FAULTS[name] = Fault(before=bend, world=world)

    return add


def after(name: str, when: Callable[[Asked], bool] = lambda _: True) -> Callable[[Callable[..., Any]], None]:
    """The fault of a check that bends answers to some requests."""

    def add(bend: Callable[[Asked, Answered], httpx.Response | None]) -> None:
        FAULTS[name] = Fault(after=lambda asked, answered: bend(asked, answered) if when(asked) else None)

    return add


def is_resource(asked: Asked) -> bool:
    return asked.site == "mcp" and asked.path.startswith(ROOT_PLACE)


def is_server(asked: Asked) -> bool:
    return asked.site == "issuer" and asked.path == SERVER_PLACE


def no_token(asked: Asked) -> bool:
    return asked.has_no_token


def challenged(asked: Asked) -> bool:
    """Requests that get 401: without a token, or with one that nobody issued."""
    return asked.has_no_token or asked.has_garbage


def with_token(asked: Asked) -> bool:
    return asked.to_mcp and asked.token is not None and not asked.has_garbage


def edited(name: str, when: Callable[[Asked], bool], **members: Any) -> None:
    """Other members in a JSON document; None takes one away."""

    def bend(_: Asked, answered: Answered) -> None:
        values = {**answered.json, **members}
        answered.say({name: value for name, value in values.items() if value is not None})

    after(name, when)(bend)


def answered_with(name: str, when: Callable[[Asked], bool], status: int, values: Any = None, **headers: str) -> None:
    """An answer that the server would not give."""
    FAULTS[name] = Fault(before=lambda asked: answer(status, values, **headers) if when(asked) else None)


def let_in(name: str, when: Callable[[Asked], bool]) -> None:
    """A token that is accepted, although it should not be."""
    FAULTS[name] = Fault(before=lambda asked: asked.let_in() if asked.to_mcp and when(asked) else None)


def challenge(name: str, when: Callable[[Asked], bool], **changes: str | None) -> None:
    """Another challenge."""

    def bend(_: Asked, answered: Answered) -> None:
        if "www-authenticate" in answered.headers:
            answered.challenge(**changes)

    after(name, when)(bend)


# Transport

FAULTS["TR-01"] = Fault(world={"url": "http://notes.example.com/mcp", "public": True, "scheme": "http"})


@before("TR-02")
def _(asked: Asked) -> None:
    if asked.site == "mcp":
        error = ssl.SSLCertVerificationError("certificate has expired")
        error.verify_message = "certificate has expired"
        raise httpx.ConnectError("no connection") from error


FAULTS["TR-03"] = Fault(world={"fragment": "#tools"})
answered_with(
    "TR-04",
    lambda asked: asked.to_mcp and asked.path == "/mcp" and asked.method == "POST",
    308,
    location="https://www.example.com/mcp",
)


@before("TR-05")
def _(asked: Asked) -> None:
    if asked.rpc == "initialize" and not asked.world.clock.now:
        asked.world.clock.now = 11


FAULTS["TR-06"] = Fault(world={"public": True, "addresses": {"notes.example.com": ["10.20.30.40"]}})
FAULTS["TR-07"] = Fault(world={"public": True, "addresses": {"notes.example.com": ["2606:4700::1111"]}})
answered_with("TR-08", lambda asked: asked.to_mcp and asked.headers["user-agent"] == "Claude-User", 403)

# Challenge

answered_with(
    "CH-01", lambda asked: asked.has_no_token and asked.rpc == "initialize" and asked.asked_version == "2025-11-25", 400
)


@after("CH-02", no_token)
def _(_: Asked, answered: Answered) -> None:
    answered.headers.pop("www-authenticate", None)


@after("CH-03", challenged)
def _(_: Asked, answered: Answered) -> None:
    if "www-authenticate" in answered.headers:
        answered.headers["www-authenticate"] += ", realm=notes of ada"


challenge("CH-04", no_token, resource_metadata=None)
challenge("CH-05", challenged, resource_metadata=PATH_PLACE)
challenge("CH-06", no_token, scope=None)
challenge("CH-07", no_token, scope="openid  notes:read")
challenge("CH-08", no_token, scope="notes:read offline_access")
challenge("CH-09", no_token, error="invalid_token")
answered_with("CH-10", lambda asked: asked.has_no_token and asked.rpc == "server/discover", 400)
answered_with(
    "CH-11", lambda asked: asked.has_no_token and asked.rpc == "initialize" and asked.asked_version == "2025-03-26", 400
)
let_in("CH-12", lambda asked: asked.has_no_token and asked.rpc == "tools/call")
answered_with(
    "CH-13", lambda asked: asked.has_no_token and asked.method == "GET" and "origin" not in asked.headers, 200
)
answered_with("CH-14", lambda asked: asked.has_no_token and asked.method == "DELETE", 200)
answered_with("CH-15", lambda asked: asked.has_no_token and asked.body == b"{", 400)
answered_with("CH-16", lambda asked: asked.has_no_token and asked.body.startswith(b"["), 200, [])
challenge("CH-17", lambda asked: asked.has_garbage, error="invalid_request")
challenge("CH-18", lambda asked: asked.has_garbage, resource_metadata=None)
let_in("CH-19", lambda asked: asked.headers.get("authorization", "").startswith("Basic"))
answered_with("CH-20", lambda asked: len(asked.token or "") > 8192, 500)


@after("CH-21", lambda asked: asked.has_garbage)
def _(asked: Asked, answered: Answered) -> None:
    answered.say({"error": "invalid_token", "error_description": f"{asked.token} is unknown"})


# Protected resource metadata

answered_with("PR-01", is_resource, 404)


def names_another_place(place: str) -> Callable[[Asked, Answered], None]:
    def bend(asked: Asked, answered: Answered) -> None:
        if challenged(asked) and "www-authenticate" in answered.headers:
            answered.challenge(resource_metadata=f"{asked.world.real['mcp']}{place}")

    return bend


FAULTS["PR-02"] = Fault(after=names_another_place("/.well-known/oauth-protected-resource/other"))
FAULTS["PR-03"] = Fault(
    before=lambda asked: answer(404) if asked.path == PATH_PLACE else None, after=names_another_place(ROOT_PLACE)
)
answered_with("PR-04", lambda asked: asked.site == "mcp" and asked.path == ROOT_PLACE, 404)
edited("PR-05", lambda asked: asked.site == "mcp" and asked.path == ROOT_PLACE, resource_name="Another")


@after("PR-06", is_resource)
def _(asked: Asked, answered: Answered) -> None:
    answered.say({**answered.json, "resource": asked.world.real["mcp"]})


@after("PR-07", is_resource)
def _(_: Asked, answered: Answered) -> None:
    answered.say({**answered.json, "resource": answered.json["resource"] + "/"})


edited("PR-08", is_resource, authorization_servers=[])
edited(
    "PR-09",
    lambda asked: asked.site == "mcp" and asked.path == ROOT_PLACE,
    authorization_servers=["https://old.example.com"],
)


@after("PR-10", is_resource)
def _(_: Asked, answered: Answered) -> None:
    servers = [*answered.json["authorization_servers"], "login.example.com"]
    answered.say({**answered.json, "authorization_servers": servers})


@after("PR-11", is_resource)
def _(_: Asked, answered: Answered) -> None:
    answered.headers["content-type"] = "text/plain"


answered_with("PR-12", lambda asked: asked.site == "mcp" and asked.path == PATH_PLACE, 302, location=ROOT_PLACE)


@after("PR-13", is_resource)
def _(_: Asked, answered: Answered) -> None:
    answered.headers.pop("access-control-allow-origin", None)


@after("PR-14", is_resource)
def _(_: Asked, answered: Answered) -> None:
    answered.headers["cache-control"] = "public, max-age=864000"


edited("PR-15", is_resource, scopes_supported=None)
edited("PR-16", is_resource, scopes_supported=["notes:read", "offline_access"])
edited("PR-17", is_resource, scopes_supported=["notes:*"])
edited("PR-18", is_resource, bearer_methods_supported=["header", "query"])
answered_with("PR-19", lambda asked: asked.to_mcp and asked.path == "/mcp/", 307, location="http://127.0.0.1/mcp")
edited("PR-20", lambda asked: asked.site == "mcp" and asked.path == SERVER_PLACE, issuer="https://notes.example.com")

# The authorization server

answered_with("AS-01", lambda asked: is_server(asked) or asked.path == OPENID_PLACE, 404)


@before("AS-02")
def _(asked: Asked) -> httpx.Response | None:
    if is_server(asked):
        return answer(404)
    if asked.path == OPENID_PLACE:
        asked.path = SERVER_PLACE
    return None


@after("AS-03", is_server)
def _(_: Asked, answered: Answered) -> None:
    answered.say({**answered.json, "issuer": answered.json["issuer"] + "/"})


edited("AS-04", lambda asked: asked.path == OPENID_PLACE, issuer="https://old.example.com")


@before("AS-05")
def _(asked: Asked) -> httpx.Response | None:
    if is_server(asked):
        return answer(302, location="/moved")
    if asked.path == "/moved":
        asked.path = SERVER_PLACE
    return None


@after("AS-06", is_server)
def _(_: Asked, answered: Answered) -> None:
    answered.headers["content-type"] = "text/html"


edited("AS-07", is_server, code_challenge_methods_supported=None)
edited("AS-08", is_server, code_challenge_methods_supported=["S256", "plain"])
edited("AS-09", is_server, authorization_endpoint=None)
answered_with("AS-10", lambda asked: asked.path == "/_test/authorize" and not asked.query, 404)
edited("AS-11", is_server, token_endpoint=None)
edited("AS-12", is_server, userinfo_endpoint="http://93.184.216.34/userinfo")
edited("AS-13", is_server, userinfo_endpoint="https://169.254.169.254/userinfo")
edited("AS-14", is_server, response_types_supported=["token"])
edited("AS-15", is_server, grant_types_supported=["refresh_token"])
edited("AS-16", is_server, grant_types_supported=["authorization_code"])
edited("AS-17", is_server, scopes_supported=["openid", "notes:read", "notes:write"])
edited("AS-18", is_server, grant_types_supported=["authorization_code", "refresh_token", "password"])
edited("AS-19", is_server, token_endpoint_auth_methods_supported=["client_secret_basic"])
edited("AS-20", is_server, registration_endpoint=None, client_id_metadata_document_supported=None)
edited("AS-21", is_server, client_id_metadata_document_supported=False)
edited("AS-22", is_server, registration_endpoint=None)
edited("AS-23", is_server, scopes_supported=["openid", "offline_access"])


@after("AS-24", is_server)
def _(_: Asked, answered: Answered) -> None:
    answered.headers.pop("access-control-allow-origin", None)


# Keys


def is_keys(asked: Asked) -> bool:
    return asked.path == "/.well-known/jwks.json"


def another_key(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Callable[[Asked, Answered], None]:
    def bend(_: Asked, answered: Answered) -> None:
        keys = answered.json["keys"]
        answered.say({**answered.json, "keys": change(keys)})

    return bend


def weak_key() -> dict[str, Any]:
    key = rsa.generate_private_key(65537, 1024).public_key()
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True), "kid": "weak", "alg": "RS256"}


edited("JW-01", is_server, jwks_uri=None)
after("JW-02", is_keys)(another_key(lambda _: []))
after("JW-03", is_keys)(another_key(lambda keys: [*keys, {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}]))
after("JW-04", is_keys)(another_key(lambda keys: [*keys, *keys]))
after("JW-05", is_keys)(another_key(lambda keys: [*keys, weak_key()]))

# Registration


def is_registration(asked: Asked) -> bool:
    return asked.path == "/v1/oauth2/register"


def registers(asked: Asked, uri: str) -> bool:
    return is_registration(asked) and any(uri in each for each in asked.json["redirect_uris"])


CLIENT = {"client_id": "connected-app-test-of-the-stand-in"}
answered_with("RG-01", is_registration, 500)
edited("RG-02", is_registration, redirect_uris=["http://127.0.0.1/elsewhere"])
edited("RG-03", is_registration, client_secret="secret-of-the-stand-in")
answered_with("RG-04", lambda asked: registers(asked, "http://attacker"), 201, CLIENT)
answered_with("RG-05", lambda asked: registers(asked, "javascript"), 201, CLIENT)
answered_with("RG-06", lambda asked: registers(asked, "cursor://"), 400, {"error": "invalid_redirect_uri"})
answered_with(
    "RG-07",
    lambda asked: asked.path == "/_test/authorize" and EVIL in asked.query,
    302,
    location=f"https://{EVIL}/callback?code=1",
)


def is_token(asked: Asked, grant: str = "") -> bool:
    return asked.path == "/v1/oauth2/token" and asked.form.get("grant_type", "").startswith(grant)


def probes_errors(asked: Asked) -> bool:
    return is_token(asked) and asked.form.get("code", "").startswith("mcp-check")


answered_with("RG-08", probes_errors, 415)

# Log-in


def is_exchange(asked: Asked) -> bool:
    return is_token(asked, "authorization_code") and not probes_errors(asked)


def is_first(asked: Asked, answered: Answered) -> bool:
    return is_exchange(asked) and answered.status == 200


def returns(name: str, change: Callable[[Asked, httpx.URL], httpx.URL]) -> None:
    def bend(asked: Asked, answered: Answered) -> None:
        if "location" in answered.headers:
            answered.headers["location"] = str(change(asked, httpx.URL(answered.headers["location"])))

    after(name, lambda asked: asked.path == "/_test/authorize")(bend)


def token_says(name: str, when: Callable[[Asked], bool], **members: Any) -> None:
    def bend(_: Asked, answered: Answered) -> None:
        if answered.status == 200:
            values = {**answered.json, **members}
            answered.say({name: value for name, value in values.items() if value is not None})

    after(name, when)(bend)


answered_with("LG-01", is_exchange, 500)
returns("LG-02", lambda _, url: url.copy_set_param("state", "another"))
returns("LG-03", lambda asked, url: url.copy_set_param("iss", asked.world.real["issuer"]))
token_says("LG-04", is_exchange, token_type="mac")


@after("LG-05", is_exchange)
def _(_: Asked, answered: Answered) -> None:
    del answered.headers["cache-control"]


token_says("LG-06", is_exchange, expires_in=864_000)
token_says("LG-07", is_exchange, scope="openid")
token_says("LG-08", is_exchange, refresh_token=None)
answered_with("LG-09", lambda asked: is_token(asked, "refresh_token"), 400, {"error": "invalid_grant"})


@before("LG-10")
def _(asked: Asked) -> httpx.Response | None:
    if is_token(asked, "refresh_token"):
        same = {"access_token": "renewed-access-token", "refresh_token": asked.form["refresh_token"]}
        return answer(200, same, cache_control="no-store")
    return None


@after("LG-11", is_exchange)
def _(asked: Asked, answered: Answered) -> httpx.Response | None:
    spent = asked.world.memory.setdefault("spent", {})
    if answered.status == 200:
        spent[asked.form["code"]] = answered.json
    elif asked.form["code"] in spent:
        return answer(200, spent[asked.form["code"]])
    return None


@after("LG-12", is_exchange)
def _(_: Asked, answered: Answered) -> httpx.Response | None:
    return answer(200, {"access_token": "for-the-thief"}) if answered.json.get("error") == "pkce_mismatch" else None


@before("LG-13")
def _(asked: Asked) -> httpx.Response | None:
    if asked.path == "/_test/authorize" and asked.query and "code_challenge" not in asked.query:
        query = httpx.QueryParams(asked.query)
        return answer(302, location=f"{query['redirect_uri']}?code=without-pkce-code&state={query['state']}")
    return None


# Tokens


def of_this_log_in(asked: Asked) -> bool:
    """A token of the log-in: the local issuer's own carry another client_id."""
    return with_token(asked) and asked.claims.get("client_id") not in (None, CLIENT_ID)


answered_with("TK-01", of_this_log_in, 401, {}, www_authenticate='Bearer error="invalid_token"')
answered_with("TK-02", lambda asked: asked.to_mcp and asked.headers.get("authorization", "").startswith("bearer "), 401)


def algorithm(asked: Asked) -> Any:
    return asked.header.get("alg")


def one_letter_off(asked: Asked) -> bool:
    """The signature of a token that was seen before, but for one letter."""
    seen = asked.world.memory.setdefault("seen", set())
    token = asked.token or ""
    near = any(len(token) == len(each) and sum(map(str.__ne__, token, each)) == 1 for each in seen)
    seen.add(token)
    return near


def is_forged(asked: Asked) -> bool:
    """Signed with a key of the checker's own: PyJWT writes the claims without spaces, the local issuer with."""
    if not asked.claims:
        return False
    payload = str(asked.token).split(".")[1]
    spaced = json.dumps(asked.claims).encode()
    return algorithm(asked) == "RS256" and len(payload) < len(spaced) * 4 / 3 - 8


let_in("TK-03", one_letter_off)
let_in("TK-04", lambda asked: algorithm(asked) == "none")
let_in("TK-05", lambda asked: is_forged(asked) and "jwk" not in asked.header)
let_in("TK-06", lambda asked: "jwk" in asked.header)


@before("TK-07")
def _(asked: Asked) -> None:
    if asked.to_mcp and "access_token=" in asked.query:
        asked.query = ""
        asked.let_in()


@before("TK-08")
def _(asked: Asked) -> None:
    if asked.to_mcp and len(asked.headers.get_list("authorization")) > 1:
        asked.let_in()


let_in("TK-09", lambda asked: bool(asked.claims) and not {"scope", "https://stytch.com/session"} & set(asked.claims))


@before("TK-10")
def _(asked: Asked) -> None:
    if asked.path == "/_test/mint" and asked.json == {}:
        asked.body = json.dumps({"claims": {"exp": int(time.time()) + 3 * 86_400}}).encode()


let_in("TK-11", lambda asked: asked.claims.get("aud") == [FOREIGN_AUDIENCE])
let_in("TK-12", lambda asked: bool(asked.claims) and "aud" not in asked.claims)
let_in("TK-13", lambda asked: asked.claims.get("iss") == "https://issuer.another.example")
let_in("TK-14", lambda asked: asked.claims.get("exp", time.time()) < time.time() - 60)
let_in("TK-15", lambda asked: bool(asked.claims) and "exp" not in asked.claims)
let_in("TK-16", lambda asked: asked.claims.get("nbf", 0) > time.time() + 60)
let_in("TK-17", lambda asked: algorithm(asked) == "HS256")
let_in("TK-18", lambda asked: asked.header.get("kid") == "jwk-test-mcp-check-unknown")
let_in("TK-19", lambda asked: "crit" in asked.header)
let_in("TK-20", lambda asked: asked.header.get("typ") == "logout+jwt")
let_in("TK-21", lambda asked: "https://stytch.com/session" in asked.claims)
let_in("TK-22", lambda asked: str(asked.claims.get("sub", "")).startswith("m2m-client"))

# Scopes


def has_scope(scope: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.to_mcp and asked.claims.get("scope") == scope


BASIC = "openid notes:read"
let_in("SC-01", has_scope("openid"))
challenge("SC-02", has_scope("openid"), error=None)
challenge("SC-03", has_scope("openid"), scope=None)
challenge("SC-04", has_scope("openid"), resource_metadata=None)
answered_with(
    "SC-05",
    lambda asked: has_scope(BASIC)(asked) and asked.rpc == "tools/call",
    200,
    {"jsonrpc": "2.0", "id": 1, "result": {"isError": True, "content": []}},
)
challenge("SC-06", lambda asked: has_scope(BASIC)(asked) and asked.rpc == "tools/call", scope="notes:read")
answered_with("SC-07", has_scope("openid notes:write"), 403)


def tools(name: str, change: Callable[[list[dict[str, Any]]], Any], when: Callable[[Asked], bool] = with_token) -> None:
    """Other tools in every list."""

    def bend(asked: Asked, answered: Answered) -> None:
        if asked.rpc == "tools/list" and "tools" in answered.result:
            found = answered.json
            changed = change(found["result"]["tools"])
            found["result"]["tools"] = found["result"]["tools"] if changed is None else changed
            answered.say(found)

    after(name, when)(bend)


def each_tool(name: str, change: Callable[[dict[str, Any]], Any], tool: str = "whoami") -> None:
    """One tool is another."""
    tools(name, lambda found: [change(each) or each if each["name"] == tool else each for each in found])


tools("SC-08", lambda found: [{**each, "securitySchemes": None} for each in found])
tools("SC-09", lambda found: [{**each, "_meta": {}} for each in found])

# Protocol


def result(name: str, when: Callable[[Asked], bool], **members: Any) -> None:
    """Other members in a result; None takes one away."""

    def bend(_: Asked, answered: Answered) -> None:
        if answered.result:
            found = answered.json
            changed = {**found["result"], **members}
            found["result"] = {name: value for name, value in changed.items() if value is not None}
            answered.say(found)

    after(name, lambda asked: with_token(asked) and when(asked))(bend)


def status(name: str, when: Callable[[Asked], bool], code: int, values: Any = None) -> None:
    """Another status with a token that is let in."""

    def bend(_: Asked, answered: Answered) -> httpx.Response | None:
        return None if answered.status in (401, 403) else answer(code, values if values is not None else answered.json)

    after(name, lambda asked: with_token(asked) and when(asked))(bend)


def modern(method: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.rpc == method and asked.headers.get("mcp-protocol-version") == MODERN


def error(code: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no"}}


status("PT-01", lambda asked: asked.rpc in ("initialize", "server/discover"), 500)
status("PT-02", lambda asked: asked.rpc == "server/discover", 404, error(-32601))
result("PT-03", lambda asked: asked.rpc == "server/discover", supportedVersions=["2025-11-25"])
status("PT-04", lambda asked: asked.rpc == "initialize", 400, error(-32022))
result("PT-05", lambda asked: asked.rpc == "initialize" and asked.asked_version == "2025-06-18", protocolVersion="1.0")
status("PT-06", lambda asked: asked.rpc == "initialize" and asked.asked_version == "2099-01-01", 400, error(-32602))
result("PT-07", lambda asked: asked.rpc == "initialize", serverInfo={"name": "notes"})
status("PT-08", lambda asked: asked.rpc == "notifications/initialized", 200, {})


@before("PT-09")
def _(asked: Asked) -> None:
    if asked.headers.get("mcp-protocol-version") == "1999-01-01":
        asked.headers["mcp-protocol-version"] = "2025-11-25"


status(
    "PT-10",
    lambda asked: asked.rpc == "tools/list" and "mcp-protocol-version" not in asked.headers,
    400,
    error(-32600),
)
status(
    "PT-11",
    lambda asked: asked.rpc == "tools/list" and asked.headers.get("mcp-protocol-version") == "2099-01-01",
    404,
    error(-32601),
)


@before("PT-12")
def _(asked: Asked) -> None:
    if asked.rpc and asked.asked_version == MODERN and "mcp-method" not in asked.headers:
        asked.headers["mcp-method"] = asked.rpc


@before("PT-13")
def _(asked: Asked) -> None:
    if asked.headers.get("mcp-method") == "prompts/list":
        asked.headers["mcp-method"] = "tools/list"


@before("PT-14")
def _(asked: Asked) -> None:
    if asked.headers.get("mcp-name") == "another":
        asked.headers["mcp-name"] = asked.params["name"]


def without_capabilities(asked: Asked) -> bool:
    meta = asked.params.get("_meta", {})
    return modern("tools/list")(asked) and bool(meta) and "io.modelcontextprotocol/clientCapabilities" not in meta


status("PT-15", without_capabilities, 200, {"jsonrpc": "2.0", "id": 1, "result": {"tools": []}})
status("PT-16", lambda asked: asked.rpc == "mcp-check/no-such-method", 200, error(-32601))
result("PT-17", modern("tools/list"), resultType=None)
result("PT-18", modern("tools/list"), ttlMs=None)
result("PT-19", modern("tools/list"), cacheScope="public")
status("PT-20", lambda asked: asked.method == "GET", 500)


def broken(asked: Asked) -> bool:
    return asked.method == "POST" and asked.body.startswith(b'{"jsonrpc"') and not asked.json


status("PT-21", broken, 500)
status("PT-22", lambda asked: asked.body.startswith(b"[["), 500)
status("PT-23", lambda asked: asked.body.startswith(b"[{"), 200, [])
status("PT-24", lambda asked: asked.headers.get("accept") == "*/*", 406)


@after("PT-25", modern("tools/list"))
def _(_: Asked, answered: Answered) -> None:
    if answered.status == 200:
        answered.headers["content-type"] = "text/event-stream"
        answered.body = b"event: message\ndata: " + answered.body + b"\n\n"


@after("PT-26", lambda asked: asked.rpc == "initialize")
def _(_: Asked, answered: Answered) -> None:
    if answered.status == 200:
        answered.headers["mcp-session-id"] = "session-of-all-people-1"


def opens_session(asked: Asked, answered: Answered) -> None:
    if asked.rpc == "initialize" and answered.status == 200:
        answered.headers["mcp-session-id"] = f"session-of-{time.monotonic_ns():030}"


def session_lets_in(asked: Asked) -> None:
    if asked.has_no_token and asked.rpc == "tools/list" and "mcp-session-id" in asked.headers:
        asked.let_in()


FAULTS["PT-27"] = Fault(before=session_lets_in, after=opens_session)
status(
    "PT-28",
    lambda asked: asked.rpc == "tools/call" and asked.params.get("name") == "mcp-check-no-such-tool",
    200,
    {"jsonrpc": "2.0", "id": 1, "result": {"content": []}},
)
FAULTS["PT-28"] = Fault(
    after=lambda asked, answered: (
        answer(200, {"jsonrpc": "2.0", "id": 1, "result": {"content": []}})
        if with_token(asked)
        and asked.params.get("name") == "mcp-check-no-such-tool"
        and "mcp-name" in asked.headers
        and asked.headers["mcp-name"] != "another"
        else None
    )
)
tools("PT-29", lambda found: found[1:], lambda asked: asked.headers.get("mcp-protocol-version") == "2025-06-18")

# Tools and health

tools("TL-01", lambda _: [])
each_tool("TL-02", lambda tool: {**tool, "name": "who am i"})
each_tool("TL-03", lambda tool: {**tool, "description": " "})
each_tool("TL-04", lambda tool: {**tool, "title": None})
each_tool("TL-05", lambda tool: {**tool, "inputSchema": {"type": "string"}})
each_tool("TL-06", lambda tool: {**tool, "outputSchema": {"type": "object", "properties": 5}})
each_tool(
    "TL-07",
    lambda tool: {**tool, "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}}},
)
each_tool("TL-08", lambda tool: {**tool, "annotations": {"readOnlyHint": True}})
each_tool("TL-09", lambda tool: {**tool, "annotations": {**tool["annotations"], "destructiveHint": True}})
tools("TL-10", lambda found: [tool for tool in found if tool["name"] != "fetch"])
each_tool("TL-11", lambda tool: {**tool, "inputSchema": {"type": "object", "required": ["query", "limit"]}}, "search")
each_tool("TL-12", lambda tool: {**tool, "annotations": {**tool["annotations"], "readOnlyHint": False}}, "fetch")


@after("TL-13", with_token)
def _(asked: Asked, answered: Answered) -> None:
    if asked.rpc == "tools/call" and asked.params.get("name") == "search" and answered.result:
        found = answered.json
        found["result"]["structuredContent"] = {"results": [{"id": "1", "title": "One"}]}
        answered.say(found)


# Host and origin


def drops(name: str, header: str, when: Callable[[Asked], bool]) -> None:
    """A header that the server does not look at."""

    def bend(asked: Asked) -> None:
        if asked.to_mcp and when(asked):
            del asked.headers[header]

    before(name)(bend)


def origin(asked: Asked) -> str:
    return str(asked.headers.get("origin", ""))


drops("HO-01", "origin", lambda asked: asked.method == "POST" and EVIL in origin(asked))
drops("HO-02", "origin", lambda asked: origin(asked) == "null")
drops("HO-03", "origin", lambda asked: asked.method == "GET" and EVIL in origin(asked))


@before("HO-04")
def _(asked: Asked) -> None:
    if asked.to_mcp and asked.headers["host"] == EVIL:
        asked.headers["host"] = asked.world.real["mcp"].partition("://")[2]


@after("HO-05", lambda asked: "x-forwarded-host" in asked.headers)
def _(asked: Asked, answered: Answered) -> None:
    if "www-authenticate" in answered.headers:
        answered.challenge(resource_metadata=f"https://{asked.headers['x-forwarded-host']}{PATH_PLACE}")


answered_with(
    "HO-06",
    lambda asked: asked.method == "OPTIONS",
    204,
    access_control_allow_origin=f"https://{EVIL}",
    access_control_allow_credentials="true",
)
answered_with("HO-07", lambda asked: asked.to_mcp and "origin" not in asked.headers, 403)

answered_with("HE-01", lambda asked: asked.path == "/health", 503, {"status": "down"})
edited("HE-02", lambda asked: asked.path == "/health", oauth_compliant=False, reason="the keys cannot be fetched")
answered_with("HE-03", lambda asked: asked.path == "/ready", 503, {"ready": False})
