"""Every way in, with inputs that are almost right: the whole of what is fuzzed."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st

from tests.fake_issuer import CLIENT_ID, KEY_ID, PROJECT_ID, public_jwk, rsa_key
from tests.fuzz import judges, signin
from tests.fuzz.good import MESSAGES, OTHER_HEADERS, SETTINGS
from tests.fuzz.inputs import DEEP, NASTY, OCTETS, TEXT, dumped, json_like, lines, octets, pairs_like, quoted, torn
from tests.fuzz.server import ACCESS_DOMAIN, AUD_TAG, OIDC_ISSUER, STATIC_TOKEN, WORKOS_DOMAIN, good_token, issuer
from tests.fuzz.subject import Subject, nested, repeated

KIB = 1024
# What uvicorn lets through in front of the application, in one header or one target.
HEADER, TARGET = 64 * KIB, 64 * KIB


def _headers(good: dict[bytes, bytes], others: tuple[bytes, ...] = ()) -> st.SearchStrategy[bytes]:
    odd = st.sampled_from([b"*/*;q=", b"text/event-stream, " * 40, b'"', b"\xff\xfe", b"a" * 5000, b"=?base64?4pyT?="])
    extra = st.lists(st.tuples(st.sampled_from([*good, *others]), odd), max_size=1)
    return st.tuples(pairs_like(good, others), extra).map(lambda both: lines([*both[0], *both[1]], b":"))


def _part(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def _told(name: bytes, strategy: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """An answer of another server: which, its status, the body."""
    status = st.sampled_from([b"200", b"200", b"200", b"200", b"404", b"429", b"500", b"302", b"204"])
    return st.tuples(status, strategy).map(lambda drawn: name + b" " + drawn[0] + b"\n" + drawn[1])


# Tokens and the header that carries them.

CLAIMS = issuer().claims()
JOSE = {"alg": "RS256", "kid": KEY_ID, "typ": "at+jwt"}
_LONG = st.sampled_from([b"a.b.", b"eyJ", b".", b"=", b"\xc3\xa9"]).map(lambda unit: unit * (8192 // len(unit)))
_JWS = st.tuples(
    json_like(JOSE, ("crit", "b64", "jwk", "zip", "x5c", "jku")), json_like(CLAIMS, ("nonce", "cnf")), OCTETS
).map(lambda parts: b".".join(map(_part, parts)))
_TAMPERED = torn(st.sampled_from([good_token().encode(), STATIC_TOKEN.encode()]))
TOKENS = Subject(
    "tokens",
    judges.tokens,
    OCTETS | _JWS | _JWS | _TAMPERED | _LONG,
    (good_token().encode(), STATIC_TOKEN.encode(), _part(dumped(JOSE)) + b"." + _part(dumped(CLAIMS)) + b".AAAA"),
    (
        repeated(b"."),
        repeated(b"a", b"a.b."),
        lambda size: _part(dumped(JOSE)) + b"." + _part(nested(b"[", b"]")(size * 3 // 4)) + b".AAAA",
        lambda size: _part(b'{"alg":"' + b"a" * (size * 3 // 4) + b'"}') + b".e30.",
    ),
    largest=8 * KIB,
    inputs=150,
)
_CREDENTIALS = {
    b"authorization": b"Bearer $TOKEN",
    b"cf-access-jwt-assertion": b"$TOKEN",
}
AUTHORIZATION = Subject(
    "authorization",
    judges.authorization,
    _headers(_CREDENTIALS, (b"cookie", b"proxy-authorization", b"origin"))
    | st.tuples(
        st.sampled_from([b"Bearer", b"bearer", b"BEARER", b"Basic", b"DPoP", b"", b"Bearer\t"]), st.just(b" "), OCTETS
    ).map(lambda parts: b"authorization:" + b"".join(parts).replace(b"\n", b"")),
    (b"authorization:Bearer $TOKEN", b"authorization: bearer $STATIC\ncf-access-jwt-assertion:$TOKEN", b"cookie:a=b"),
    (
        repeated(b"authorization:Bearer a\n"),
        repeated(b" ", b"authorization:Bearer", b"a"),
        repeated(b"a", b"authorization:"),
    ),
    largest=HEADER,
    inputs=100,
)
_ACCESS = {"type": "app", "email": "ada@example.com", "aud": [AUD_TAG], "iss": ACCESS_DOMAIN}
_CLAIM_SETS: tuple[dict[str, Any], ...] = (
    CLAIMS,
    {**CLAIMS, "iss": OIDC_ISSUER, "azp": "a", "email": "ada@example.com", "email_verified": True},
    {**CLAIMS, "iss": WORKOS_DOMAIN, "sub": "user_1", "external_id": "user-1", "permissions": ["notes:write"]},
    {**CLAIMS, "sub": "member-1", "https://stytch.com/organization": {"organization_id": "organization-live-1"}},
    {**CLAIMS, **_ACCESS},
    {**CLAIMS, **_ACCESS, "common_name": "ci.access", "sub": ""},
)
SIGNED = Subject(
    "claims",
    judges.claims,
    st.sampled_from(_CLAIM_SETS).flatmap(lambda good: json_like(good, ("nonce", "typ", "act", "common_name", "email"))),
    tuple(map(dumped, _CLAIM_SETS)),
    (
        lambda size: dumped({**CLAIMS, "scope": "a " * (size // 2)}),
        lambda size: dumped({**CLAIMS, "aud": [PROJECT_ID, *["a"] * (size // 5)]}),
        lambda size: dumped(CLAIMS)[:-1] + b',"a":' + nested(b"[", b"]")(size) + b"}",
    ),
    largest=5 * KIB,
    inputs=8,
)

# Requests as a whole.

ACCEPTED = Subject(
    "headers",
    judges.headers,
    _headers(judges.HEADERS, OTHER_HEADERS),
    (
        lines(list(judges.HEADERS.items()), b":"),
        lines([*judges.HEADERS.items(), *((name, b"1") for name in OTHER_HEADERS)], b":"),
        lines(list({**judges.HEADERS, b"mcp-protocol-version": b"2025-11-25"}.items()), b":"),
    ),
    tuple(
        repeated(unit, lines([*judges.HEADERS.items()], b":") + before)
        for unit, before in (
            (b"application/json, ", b"\naccept:"),
            (b";q=0", b"\naccept:application/json"),
            (b"a=b; ", b"\ncookie:"),
            (b"=?base64?", b"\nmcp-param-text:"),
            (b"a:b\n", b"\n"),
            (b"0", b"\ncontent-length:"),
        )
    ),
    largest=HEADER,
    inputs=150,
)
TARGETS = Subject(
    "targets",
    judges.targets,
    st.tuples(
        st.sampled_from([b"GET", b"POST", b"DELETE", b"OPTIONS", b"HEAD", b"PUT", b"TRACE", b"get"]),
        st.sampled_from([b"/mcp", b"/mcp/", b"/health", b"/ready", b"/.well-known/", b"/oauth/", b"/", b"*"]),
        OCTETS | st.sampled_from([b"oauth-protected-resource", b"oauth-authorization-server/mcp", b"style.css", b""]),
        quoted(pairs_like({b"access_token": good_token().encode(), b"a": b"b"})),
    ).map(lambda drawn: drawn[0] + b" " + drawn[1] + drawn[2] + b"?" + drawn[3]),
    (
        b"GET /mcp?access_token=" + good_token().encode(),
        b"GET /.well-known/oauth-protected-resource/mcp",
        b"GET /.well-known/oauth-authorization-server?a=%ff",
        b"OPTIONS /oauth/style.css",
        b"GET /ready",
    ),
    (
        repeated(b"a=b&", b"GET /mcp?"),
        repeated(b"%", b"GET /mcp?"),
        repeated(b"%ff", b"GET /mcp?"),
        repeated(b"/", b"GET /mcp"),
        repeated(b";", b"GET /mcp?a"),
    ),
    largest=TARGET,
    inputs=150,
)
_BODY = st.sampled_from(MESSAGES).flatmap(lambda good: json_like(good, ("result", "error", "_meta")))
_BATCH = st.lists(_BODY, max_size=3).map(lambda parts: b"[" + b",".join(parts) + b"]")
_ARGUMENTS = (
    b'2025-11-25\n{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":',
    b"}}",
)
BODIES = Subject(
    "bodies",
    judges.bodies,
    st.tuples(
        st.sampled_from([*judges.REVISIONS, b""]),
        _BODY | _BODY | _BODY | _BATCH | DEEP.map(lambda deep: dumped(MESSAGES[0]).replace(b'"hello"', deep)),
    ).map(b"\n".join),
    tuple(revision + b"\n" + dumped(message) for revision in judges.REVISIONS[1:] for message in MESSAGES),
    (
        nested(b"[", b"]", *_ARGUMENTS),
        nested(b'{"a":', b"}", *_ARGUMENTS),
        repeated(b'"a",', _ARGUMENTS[0] + b"[", b"1]" + _ARGUMENTS[1]),
        repeated(b"9", *_ARGUMENTS),
        repeated(b"\\u0000", _ARGUMENTS[0] + b'"', b'"' + _ARGUMENTS[1]),
        repeated(b" ", _ARGUMENTS[0], b"1" + _ARGUMENTS[1]),
    ),
    largest=1024 * KIB,
    inputs=200,
)

# What an issuer answers.

_JWK = public_jwk(rsa_key("current"), KEY_ID)
_METADATA = {**issuer().metadata(), "issuer": OIDC_ISSUER, "jwks_uri": "https://idp.example.org/tenant/keys"}
_KEYS = st.lists(json_like(_JWK, ("d", "p", "x5c", "crv", "oth")), min_size=1, max_size=4).map(
    lambda keys: b'{"keys":[' + b",".join(keys) + b"]}"
)
_WIDE = st.sampled_from([2048, 16_384, 65_536, 200_000]).map(
    lambda bits: dumped({"keys": [{**_JWK, "n": _part(b"\xff" * (bits // 8)).decode()}]})
)
_EMAILS = {"emails": [{"email": "ada@example.com", "verified": True}]}
DOCUMENTS = Subject(
    "documents",
    judges.documents,
    st.one_of(
        _told(b"jwks", _KEYS | _WIDE | json_like({"keys": [_JWK]})),
        _told(b"metadata", json_like(issuer().metadata())),
        _told(b"oidc", json_like(_METADATA)),
        _told(b"oidc", TEXT.map(lambda url: dumped({**_METADATA, "jwks_uri": f"https://{url}"}))),
        _told(b"oidc-jwks", _KEYS),
        _told(b"user", json_like(_EMAILS)),
        _told(b"workos", json_like({"email": "ada@example.com", "email_verified": True})),
        _told(b"apps", json_like({"connected_apps": [{"connected_app_id": CLIENT_ID}]})),
    ),
    (
        b"jwks 200\n" + dumped({"keys": [_JWK]}),
        b"metadata 200\n" + dumped(issuer().metadata()),
        b"oidc 200\n" + dumped(_METADATA),
        b"user 200\n" + dumped(_EMAILS),
        b"workos 404\n" + dumped({"email": "ada@example.com", "email_verified": True}),
        b"apps 200\n" + dumped({"connected_apps": [{"connected_app_id": CLIENT_ID}]}),
    ),
    (
        nested(b"[", b"]", b'jwks 200\n{"keys":', b"}"),
        repeated(b"{},", b'jwks 200\n{"keys":[', b"{}]}"),
        lambda size: b"jwks 200\n" + dumped({"keys": [{**_JWK, "n": "_" * size}]}),
        lambda size: b"jwks 200\n" + dumped({"keys": [{**_JWK, "e": "_" * size}]}),
        repeated(b'"S256",', b'metadata 200\n{"code_challenge_methods_supported":[', b"1]}"),
        lambda size: b"oidc 200\n" + dumped({**_METADATA, "jwks_uri": "https://a/" + "%" * size}),
    ),
    largest=64 * KIB,
    inputs=10,
)

# The sign-in page.

AUTHORIZE = Subject(
    "authorize",
    judges.authorize,
    quoted(pairs_like(signin.QUERY, (b"request", b"request_uri", b"response_mode"))),
    (
        b"&".join(name + b"=" + value.replace(b" ", b"+") for name, value in signin.QUERY.items()),
        b"client_id=%ed%a0%80&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2F",
    ),
    (
        repeated(b"resource=a&"),
        repeated(b"%41", b"scope="),
        repeated(b"+a", b"prompt="),
        repeated(b":", b"redirect_uri=a"),
        repeated(b"[", b"redirect_uri=https://"),
        repeated(b"%", b"client_id="),
    ),
    largest=TARGET,
    inputs=150,
)
_FORM = {
    b"csrf": signin.CSRF.encode(),
    b"email": b"ada@example.com",
    b"kind": b"email-code",
    b"code": signin.CODE.encode(),
    b"action": b"verify",
    b"decision": b"allow",
    b"question": b"a",
    b"app": CLIENT_ID.encode(),
}
_BROWSER = {
    b"cookie": b"$OPEN; $MAILED; $SESSION",
    b"content-type": b"application/x-www-form-urlencoded",
    b"origin": b"null",
    b"sec-fetch-site": b"same-origin",
    b"x-forwarded-for": b"192.0.2.1, 10.0.0.1",
}
_COOKIES = st.sampled_from(
    [b"$OPEN", b"$OPEN; $MAILED", b"$ALONE; $LINKED", b"$OPEN; $GOOGLE; $SESSION", b"$ALONE; $SESSION", b"$SESSION"]
)
_PAGES = tuple(
    page.replace(b"TX", signin.TX.encode())
    for page in (
        b"login/TX",
        b"sent/TX",
        b"switch/TX",
        b"consent/TX",
        b"with/google/TX",
        b"callback?stytch_token_type=magic_links&token=good",
        b"callback?stytch_token_type=oauth&token=bad",
        b"connections",
        b"logout",
    )
)


@st.composite
def _visits(draw: st.DrawFn) -> bytes:
    page = draw(st.sampled_from(_PAGES)) + draw(st.sampled_from([b"", b"", b"", b"/", b"?a=%ff", b"%00", b"&token=a"]))
    method = draw(st.sampled_from([b"GET", b"POST", b"POST", b"HEAD", b"PUT"]))
    addresses = (b"::1%eth0", b"fe80::1%\xff, fd00::1", b"[::ffff:10.0.0.1]", b"1.2.3.4:80", b"," * 500)
    forwarded = draw(st.sampled_from([b"192.0.2.1", *addresses]) | OCTETS)
    browser = {**_BROWSER, b"cookie": draw(_COOKIES), b"x-forwarded-for": forwarded}
    given = draw(pairs_like(browser, (b"cf-connecting-ip", b"cookie", b"referer"))) if draw(st.booleans()) else []
    head = lines(given or list(browser.items()), b":")
    return method + b" " + page + b"\n" + head + b"\n\n" + draw(quoted(pairs_like(_FORM)))


FORMS = Subject(
    "forms",
    judges.forms,
    _visits(),
    tuple(
        b"%s %s\n%s\n\n%s"
        % (
            b"POST" if page.startswith((b"login", b"sent", b"switch", b"consent", b"logout")) else b"GET",
            page,
            lines(list(_BROWSER.items()), b":"),
            b"&".join(b"=".join(pair) for pair in _FORM.items()),
        )
        for page in _PAGES
    ),
    tuple(
        repeated(unit, before)
        for unit, before in (
            (b"1,", b"GET connections\nx-forwarded-for:"),
            (b"__Host-signin-t-a=b; ", b"GET connections\ncookie:"),
            (b"__Host-signin-t-a=gAAAA; ", b"GET callback\ncookie:"),
            (b"%", b"GET callback?token="),
            (b"a", b"GET login/"),
        )
    ),
    largest=HEADER,
    inputs=80,
)

# Settings.

_VALUES = st.sampled_from([*map(octets, NASTY), b",", b"|", b"*", b"\xff", b"0x10", b"1_000", b" 8000 ", b"https://"])
ENVIRONMENT = Subject(
    "settings",
    judges.environment,
    st.tuples(pairs_like(SETTINGS), st.lists(st.tuples(st.sampled_from([*SETTINGS]), _VALUES), max_size=3)).map(
        lambda both: lines(list(dict([*both[0], *both[1]]).items()), b"=")
    ),
    (lines(list(SETTINGS.items()), b"="), b"PUBLIC_URL=http://127.0.0.1:8000\nAUTH_MODE=cloudflare-access"),
    tuple(
        repeated(unit, lines([*SETTINGS.items(), (name, b"")], b"="))
        for name, unit in (
            (b"ALLOWED_EMAILS", b"a@b,"),
            (b"ALLOWED_ORIGINS", b"https://a."),
            (b"PUBLIC_URL", b"-a"),
            (b"TRUSTED_PROXIES", b"::,"),
            (b"PORT", b"9"),
            (b"OIDC_ISSUER", b"https://a/"),
        )
    ),
    largest=64 * KIB,
    inputs=5,
)
ENV_FILE = Subject(
    "env file",
    judges.env_file,
    torn(pairs_like(SETTINGS).map(lambda pairs: lines(pairs, b"="))) | OCTETS,
    (lines(list(SETTINGS.items()), b"="), b"export PUBLIC_URL='https://a.example' # so\nPORT=${HOST}\n"),
    # No growing: the file is the operator's own, and python-dotenv takes its time with a long one.
    inputs=5,
)
_LINE = {b"1": b"ci", b"2": b"0" * 64, b"3": b"notes:read notes:write", b"4": b"2027-12-31"}
BEARER = Subject(
    "bearer lines",
    judges.bearer_lines,
    torn(pairs_like(_LINE).map(lambda pairs: b"|".join(value for _, value in pairs))) | OCTETS,
    (b"|".join(_LINE.values()), b"ci|" + STATIC_TOKEN.encode() + b"|", b"a|" + b"F" * 64 + b"||0001-01-01"),
    (repeated(b"|"), repeated(b"a ", b"ci|" + b"0" * 64 + b"|"), repeated(b"a"), repeated(b"-1", b"ci|a|b|")),
    inputs=50,
)

# What other servers say to `check`.

_CHALLENGE = b'Bearer realm="a", resource_metadata="https://a/b", scope="c d", error="invalid_token"'
CHALLENGES = Subject(
    "challenges",
    judges.challenges,
    torn(
        st.lists(st.sampled_from([_CHALLENGE, b"Basic", b"Digest a=b,c=d", b'Bearer a="\\"']) | OCTETS).map(b",".join)
    ),
    (_CHALLENGE, b"Basic, " + _CHALLENGE + b"\nNegotiate abc=="),
    (repeated(b'"'), repeated(b"\\", b'a="'), repeated(b","), repeated(b"a=b,", b"Bearer "), repeated(b" ", b"Bearer")),
    largest=HEADER,
    inputs=50,
)

ALL = (
    TOKENS,
    AUTHORIZATION,
    SIGNED,
    ACCEPTED,
    TARGETS,
    BODIES,
    DOCUMENTS,
    AUTHORIZE,
    FORMS,
    ENVIRONMENT,
    ENV_FILE,
    BEARER,
    CHALLENGES,
)
