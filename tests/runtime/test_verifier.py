"""Every kind of token that comes to a resource server, and what becomes of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from stytch_mcp.protect import issuers, reasons, verifier
from stytch_mcp.protect.gate import Gate
from stytch_mcp.protect.issuers import STYTCH_ORGANIZATION, STYTCH_SESSION, Principal
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.metadata import IssuerMetadata
from stytch_mcp.protect.origins import PublicUrl
from stytch_mcp.protect.reasons import Reason, Refused
from stytch_mcp.protect.scopes import ScopePolicy, ScopeTable
from stytch_mcp.protect.verifier import Verifier
from tests.asgi import request
from tests.fake_issuer import (
    CLIENT_ID,
    DOMAIN,
    KEY_ID,
    MEMBER_ID,
    ORGANIZATION_ID,
    PROJECT_ID,
    USER_ID,
    Clock,
    FakeIssuer,
    encode,
    public_jwk,
    rsa_key,
    sign,
)

pytestmark = pytest.mark.anyio

Make = Callable[[FakeIssuer], str]

NOW = int(Clock()())
ABSENT = object()
M2M_ID = "m2m-client-live-77777777-7777-4777-8777-777777777777"
ORGANIZATION = {"organization_id": ORGANIZATION_ID, "slug": "acme"}
OTHER_ID = "jwk-live-88888888-8888-4888-8888-888888888888"


def claims(**changes: Any) -> Make:
    """The good token with other claims; None takes a claim away."""
    return lambda issuer: issuer.token(**changes)


def raw_claims(**changes: Any) -> Make:
    """The same, written by hand: with what PyJWT would not write, and with null."""
    return lambda issuer: sign(good_header(), {**issuer.claims(), **changes})


def header(**changes: Any) -> Make:
    """The good token with other header parameters; ABSENT takes one away."""
    parameters = {name: value for name, value in {**good_header(), **changes}.items() if value is not ABSENT}
    return lambda issuer: sign(parameters, issuer.claims())


def good_header() -> dict[str, Any]:
    return {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}


def text(token: str) -> Make:
    return lambda _: token


def payload(written: str) -> Make:
    """A good signature over any payload."""
    return lambda _: sign(good_header(), written)


def part(index: int, change: Callable[[str], str]) -> Make:
    """The good token with one of its three parts changed after it was signed."""

    def make(issuer: FakeIssuer) -> str:
        parts = issuer.token().split(".")
        parts[index] = change(parts[index])
        return ".".join(parts)

    return make


def written_with(name: str, first: str, last: str) -> Make:
    """A payload in which one member stands twice."""

    def make(issuer: FakeIssuer) -> str:
        rest = json.dumps({key: value for key, value in issuer.claims().items() if key != name})
        return sign(good_header(), f'{{"{name}":{first},{rest[1:-1]},"{name}":{last}}}')

    return make


def hs256_with_the_public_key(issuer: FakeIssuer) -> str:
    pem = rsa_key("current").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = {"alg": "HS256", "typ": "JWT", "kid": KEY_ID}, issuer.claims()
    signed = ".".join(encode(json.dumps(each).encode()) for each in parts)
    return f"{signed}.{encode(hmac.digest(pem, signed.encode(), 'sha256'))}"


def es256(issuer: FakeIssuer) -> str:
    return issuer.token(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")


def tampered_payload(issuer: FakeIssuer) -> str:
    head, _, signature = issuer.token().split(".")
    return f"{head}.{encode(json.dumps(issuer.claims(scope='notes:write')).encode())}.{signature}"


def jwk_of_the_attacker() -> dict[str, Any]:
    return public_jwk(rsa_key("other"), OTHER_ID)


def other_key(**changes: Any) -> Make:
    """Signed by somebody else, who tells where to find the key."""
    return lambda issuer: sign({**good_header(), **changes}, issuer.claims(), key="other")


REFUSED: dict[Reason, dict[str, Make]] = {
    reasons.TOO_LONG: {
        "8 KiB and a byte": text("a" * 8193),
        "60 kB": text("a" * 60_000),
        "1 MB": text("a.b.c" * 200_000),
        "60 kB of good claims": claims(padding="x" * 60_000),
    },
    reasons.MALFORMED: {
        "empty": text(""),
        "garbage": text("garbage"),
        "8 KiB of garbage": text("a" * 8192),
        "another garbage": text("%%%"),
        "two dots only": text(".."),
        "one part": lambda issuer: issuer.token().partition(".")[0],
        "two parts": lambda issuer: issuer.token().rpartition(".")[0],
        "four parts": lambda issuer: issuer.token() + ".AAAA",
        "five parts, as in an encrypted token": text("e30.AAAA.AAAA.AAAA.AAAA"),
        "NUL": lambda issuer: issuer.token() + "\0",
        "NUL alone": text("\0"),
        "a new line at the end": lambda issuer: issuer.token() + "\n",
        "a space inside": part(1, lambda written: f"{written[:9]} {written[9:]}"),
        "white space": text(" \t "),
        "padding": part(2, lambda written: written + "=="),
        "base64, not base64url": part(2, lambda written: written[:-4] + "+/+/"),
        "unicode": text("é.ü.ß"),
        "digits of another script": text("١.٢.٣"),
        "emoji": text("🔑.🔑.🔑"),
        "a header that is no JSON": part(0, lambda _: encode(b"{")),
        "a header that is a list": part(0, lambda _: encode(b"[]")),
        "a header that is not UTF-8": part(0, lambda _: encode(b'{"alg":"\xff"}')),
        "a payload that is no JSON": payload("{"),
        "a payload that is a list": payload("[1]"),
        "a payload that is null": payload("null"),
        "a payload with a number of 5,000 digits": payload('{"exp":' + "9" * 5000 + "}"),
        "an impossible length of base64": part(1, lambda _: "AAAAA"),
        "a payload outside the signature": header(b64=False),
    },
    reasons.WRONG_ALGORITHM: {
        "none without a signature": lambda issuer: issuer.token(key="", algorithm="none"),
        "none with the old signature": header(alg="none"),
        "None in other letters": header(alg="nOnE"),
        "HS256 with the public key as secret": hs256_with_the_public_key,
        "RS512": lambda issuer: issuer.token(algorithm="RS512"),
        "RS256 in lower case": header(alg="rs256"),
        "PS256": lambda issuer: issuer.token(algorithm="PS256"),
        "ES256": es256,
        "no alg": header(alg=ABSENT),
        "alg is a list": header(alg=["RS256"]),
        "alg is null": header(alg=None),
    },
    reasons.CRITICAL_HEADER: {
        "crit with an unknown extension": header(crit=["exp"], exp=0),
        "crit with an extension that PyJWT knows": header(crit=["b64"], b64=True),
        "crit is empty": header(crit=[]),
        "crit is a string": header(crit="b64"),
        "crit is null": header(crit=None),
    },
    reasons.WRONG_TYPE: {
        "typ logout+jwt": header(typ="logout+jwt"),
        "typ is empty": header(typ=""),
        "typ with a space": header(typ="JWT "),
        "typ is a number": header(typ=1),
        "typ is a list": header(typ=["JWT"]),
        "typ of a DPoP proof": header(typ="dpop+jwt"),
    },
    reasons.UNKNOWN_ISSUER: {
        "no iss": claims(iss=None),
        "another iss": claims(iss="https://stytch.com/project-live-00000000"),
        "iss with a slash": claims(iss=f"{DOMAIN}/"),
        "iss in capitals": claims(iss=DOMAIN.upper()),
        "iss over http": claims(iss=DOMAIN.replace("https", "http")),
        "iss with our domain in front": claims(iss=f"{DOMAIN}.evil.example"),
        "iss is empty": claims(iss=""),
        "iss is a list": raw_claims(iss=[DOMAIN]),
        "iss is a number": raw_claims(iss=7),
        "iss twice, the last one foreign": written_with("iss", f'"{DOMAIN}"', '"https://evil.example"'),
    },
    reasons.NO_KEY_ID: {
        "no kid": header(kid=ABSENT),
        "kid is empty": header(kid=""),
        "kid is a number": header(kid=66),
        "kid is a list": header(kid=[KEY_ID]),
        "kid is null": header(kid=None),
    },
    reasons.UNKNOWN_KEY: {
        "kid unknown": header(kid=OTHER_ID),
        "kid like a path": header(kid="../../../../dev/null"),
        "kid like a path to our key": header(kid=f"/{KEY_ID}"),
        "kid like a URL": header(kid="https://evil.example/jwks.json"),
        "kid like SQL": header(kid="x' UNION SELECT 'k"),
        "kid with a space at the end": header(kid=f"{KEY_ID} "),
        "an unknown kid, and the key itself in jwk": other_key(kid=OTHER_ID, jwk=jwk_of_the_attacker()),
    },
    reasons.WRONG_SIGNATURE: {
        "another key under our kid": other_key(),
        "another key, itself in jwk": other_key(jwk=jwk_of_the_attacker()),
        "another key, itself behind jku": other_key(jku="https://evil.example/jwks.json"),
        "another key, itself behind x5u": other_key(x5u="https://evil.example/key.pem"),
        "another key, itself in x5c": other_key(x5c=["MIIB"]),
        "a tampered payload": tampered_payload,
        "a tampered header": part(0, lambda _: encode(json.dumps({**good_header(), "cty": "JWT"}).encode())),
        "an empty signature": part(2, lambda _: ""),
        "a short signature": part(2, lambda _: "AAAA"),
        "zeros as signature": part(2, lambda _: encode(bytes(256))),
        "the signature of another token": lambda issuer: (
            issuer.token().rpartition(".")[0] + "." + issuer.token(jti="x").rpartition(".")[2]
        ),
    },
    reasons.MISSING_CLAIM: {
        "no exp": claims(exp=None),
        "no iat": claims(iat=None),
        "no nbf": claims(nbf=None),
        "no aud": claims(aud=None),
        "no sub": claims(sub=None),
        "exp is null": raw_claims(exp=None),
        "aud is null": raw_claims(aud=None),
        "aud is an empty list": claims(aud=[]),
        "aud is an empty string": claims(aud=""),
        "aud is an empty object": claims(aud={}),
        "aud is zero": claims(aud=0),
    },
    reasons.WRONG_AUDIENCE: {
        "aud of another project": claims(aud=["project-live-00000000-0000-4000-8000-000000000000"]),
        "aud is another string": claims(aud="https://notes.example.com/mcp"),
        "aud has ours only in part": claims(aud=[f"{PROJECT_ID}x", PROJECT_ID[:-1]]),
        "aud is our client": claims(aud=[CLIENT_ID]),
        "an ID token, whose audience is the client": claims(client_id=None, scope=None, aud=[CLIENT_ID], nonce="n"),
        "aud is a number": claims(aud=1),
        "aud is an object with ours": claims(aud={PROJECT_ID: True}),
        "aud is a list with a number": claims(aud=[PROJECT_ID, 1]),
        "aud is a list of lists": claims(aud=[[PROJECT_ID]]),
        "aud twice, the last one foreign": written_with("aud", f'"{PROJECT_ID}"', '"other"'),
    },
    reasons.WRONG_CLAIM: {
        "exp is a string": claims(exp=str(NOW + 3600)),
        "exp is true": claims(exp=True),
        "exp is a list": claims(exp=[NOW + 3600]),
        "exp is NaN": claims(exp=float("nan")),
        "exp is infinite": claims(exp=float("inf")),
        "exp is too large for a float": claims(exp=10**400),
        "exp is beyond whole seconds": claims(exp=2**53),
        "nbf is a string": claims(nbf="now"),
        "nbf is false": claims(nbf=False),
        "nbf is infinite": claims(nbf=float("-inf")),
        "iat is a string": claims(iat=str(NOW)),
        "iat is an object": claims(iat={}),
        "sub is a number": claims(sub=33333333),
        "sub is a list": claims(sub=[USER_ID]),
        "jti is a number": claims(jti=1),
    },
    reasons.EXPIRED: {
        "expired": claims(exp=NOW - 3600),
        "expired 31 s ago": claims(exp=NOW - 31),
        "expired 30 s ago": claims(exp=NOW - 30),
        "exp is zero": claims(exp=0),
        "exp is negative": claims(exp=-1),
    },
    reasons.NOT_YET_VALID: {
        "nbf and iat in 31 s": claims(nbf=NOW + 31, iat=NOW + 31),
        "nbf tomorrow": claims(nbf=NOW + 86_400, exp=NOW + 90_000),
        "nbf in 31 s": claims(nbf=NOW + 31),
        "iat in 31 s": claims(iat=NOW + 31),
        "iat next year": claims(iat=NOW + 31_536_000, exp=NOW + 31_540_000),
    },
    reasons.WRONG_TOKEN_KIND: {
        "a session JWT": claims(client_id=None, scope=None, **{STYTCH_SESSION: {"id": "session-live-1"}}),
        "a session JWT with a scope": claims(**{STYTCH_SESSION: {"id": "session-live-1"}}),
        "a session JWT whose session is null": raw_claims(**{STYTCH_SESSION: None}),
        "an M2M token": claims(sub=M2M_ID, client_id=M2M_ID, scope="notes:read"),
        "an M2M token that names no client": claims(sub=M2M_ID, client_id=None, scope="notes:read"),
        "an M2M token for a user": claims(client_id=M2M_ID),
        "an M2M token as subject": claims(sub=M2M_ID),
        "an ID token": claims(client_id=None, scope=None, nonce="n-0S6_WzA2Mj", email="ada@example.com"),
        "no scope": claims(scope=None),
        "scope is a list": claims(scope=["notes:read"]),
        "scope is a number": claims(scope=1),
        "scope is null": raw_claims(scope=None),
        "no client_id": claims(client_id=None),
        "client_id is a number": claims(client_id=1),
        "client_id is a list": claims(client_id=[CLIENT_ID]),
        "client_id is empty": claims(client_id=""),
        "client_id is the bare prefix": claims(client_id="connected-app-"),
        "client_id of something else": claims(client_id=f"x-{CLIENT_ID}"),
        "sub is empty": claims(sub=""),
        "sub is the bare prefix": claims(sub="user-"),
        "sub of something else": claims(sub="service-live-1"),
        "sub is half a character": claims(sub="user-\ud800"),
        "a member without an organization": claims(sub=MEMBER_ID),
        "a member whose organization is a string": claims(sub=MEMBER_ID, **{STYTCH_ORGANIZATION: ORGANIZATION_ID}),
        "a member whose organization is a list": claims(sub=MEMBER_ID, **{STYTCH_ORGANIZATION: [ORGANIZATION]}),
        "a member whose organization is empty": claims(sub=MEMBER_ID, **{STYTCH_ORGANIZATION: {}}),
        "a member whose organization has no name": claims(
            sub=MEMBER_ID, **{STYTCH_ORGANIZATION: {"organization_id": ""}}
        ),
        "a member whose organization is a number": claims(
            sub=MEMBER_ID, **{STYTCH_ORGANIZATION: {"organization_id": 5}}
        ),
        "the bare prefix of a member": claims(sub="member-", **{STYTCH_ORGANIZATION: ORGANIZATION}),
    },
}

ACCEPTED: dict[str, Make] = {
    "a consumer": claims(),
    "a B2B member": claims(sub=MEMBER_ID, **{STYTCH_ORGANIZATION: ORGANIZATION}),
    "aud is our string": claims(aud=PROJECT_ID),
    "aud has ours among others": claims(aud=["other", PROJECT_ID]),
    "typ at+jwt": header(typ="at+jwt"),
    "typ application/at+jwt": header(typ="application/at+jwt"),
    "typ jwt": header(typ="jwt"),
    "typ AT+JWT": header(typ="AT+JWT"),
    "no typ": header(typ=ABSENT),
    "our own key and a jku": header(jku="https://evil.example/jwks.json"),
    "expired 29 s ago": claims(exp=NOW - 29),
    "nbf in 29 s": claims(nbf=NOW + 29),
    "nbf in 30 s": claims(nbf=NOW + 30),
    "iat in 29 s": claims(iat=NOW + 29),
    "iat in 30 s": claims(iat=NOW + 30),
    "nbf and iat long ago": claims(nbf=NOW - 86_400, iat=NOW - 86_400),
    "times with fractions": claims(exp=NOW + 0.5, nbf=NOW - 0.5, iat=NOW - 0.25),
    "no jti": claims(jti=None),
    "an empty scope": claims(scope=""),
    "an organization on a user": claims(**{STYTCH_ORGANIZATION: ORGANIZATION}),
    "nearly 8 KiB": lambda issuer: issuer.token(padding="x" * ((8190 - len(issuer.token(padding=""))) * 3 // 4)),
    "iss twice, the last one ours": written_with("iss", '"https://evil.example"', f'"{DOMAIN}"'),
}

TABLE = [
    pytest.param(reason, make, id=f"{reason.code}: {name}")
    for reason, cases in REFUSED.items()
    for name, make in cases.items()
]


def verifier_of(issuer: FakeIssuer) -> Verifier:
    preset = issuers.stytch(DOMAIN, PROJECT_ID)
    keys = Keys(preset, IssuerMetadata(preset, issuer.client, issuer.clock), issuer.client, issuer.clock)
    return Verifier([(preset, keys)], now=issuer.now, clock=issuer.clock)


async def refusal(judge: Verifier, token: str) -> Refused:
    with pytest.raises(Refused) as caught:
        await judge.verify(token)
    return caught.value


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was verified, in order: what is remembered is not among them."""
    seen: list[str] = []
    verify = verifier._verify

    def counting(token: str, *others: Any) -> Any:
        seen.append(token)
        return verify(token, *others)

    monkeypatch.setattr(verifier, "_verify", counting)
    return seen


@pytest.mark.parametrize(("reason", "make"), TABLE)
async def test_a_token_that_is_refused_and_why(issuer: FakeIssuer, reason: Reason, make: Make) -> None:
    refused = await refusal(verifier_of(issuer), make(issuer))
    assert (refused.reason.code, refused.reason.status) == (reason.code, 401)
    assert refused.reason.error == "invalid_token"


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED)
async def test_a_token_that_is_accepted(issuer: FakeIssuer, make: Make) -> None:
    principal = await verifier_of(issuer).verify(make(issuer))
    assert principal.issuer == DOMAIN
    assert principal.can_step_up


def test_the_table_has_every_reason_of_a_token_and_at_least_seventy_rows() -> None:
    of_tokens = {reason for reason in reasons.ALL if reason.error == "invalid_token"}
    assert set(REFUSED) == of_tokens - {reasons.BEARER_ENDED, reasons.REVOKED, reasons.OAUTH_IS_OFF}
    assert len(TABLE) >= 70


async def test_no_key_of_a_token_is_ever_fetched(issuer: FakeIssuer) -> None:
    judge = verifier_of(issuer)
    for make in REFUSED[reasons.WRONG_SIGNATURE].values():
        await refusal(judge, make(issuer))
    assert {request.url.host for request in issuer.seen} == {DOMAIN.removeprefix("https://")}


@pytest.mark.parametrize("shape", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("where", ["header", "crit", "payload", "iss"])
async def test_deep_json_is_refused_whichever_depth_the_interpreter_bears(
    issuer: FakeIssuer, where: str, shape: str
) -> None:
    judge = verifier_of(issuer)
    await judge.verify(issuer.token())
    close = {"[": "]", '{"a":': "}", '[{"a":': "}]"}[shape]
    good = json.dumps(issuer.claims())[1:-1]
    head = json.dumps(good_header())[1:-1]
    for depth in (10, 100, 300, *range(440, 500), *range(880, 1000), 1100):
        deep = shape * depth + "1" + close * depth
        parts = {
            "header": (f'{{{head},"x":{deep}}}', f"{{{good}}}"),
            "crit": (f'{{{head},"crit":{deep}}}', f"{{{good}}}"),
            "payload": (f"{{{head}}}", f'{{{good},"x":{deep}}}'),
            "iss": (f"{{{head}}}", f'{{"iss":{deep}}}'),
        }[where]
        refused = await refusal(judge, ".".join([*(encode(each.encode()) for each in parts), "AAAA"]))
        assert refused.reason.status == 401


async def test_the_principal_of_a_consumer(issuer: FakeIssuer) -> None:
    principal = await verifier_of(issuer).verify(issuer.token(email="ada@example.com"))
    assert principal == Principal(
        subject=USER_ID,
        client_id=CLIENT_ID,
        issuer=DOMAIN,
        scopes=frozenset({"openid", "notes:read"}),
        expires_at=NOW + 3600,
        organization=None,
        emails=frozenset(),
        can_step_up=True,
        claims=issuer.claims(email="ada@example.com"),
    )
    assert "jti" not in repr(principal)


async def test_the_principal_of_a_member(issuer: FakeIssuer) -> None:
    principal = await verifier_of(issuer).verify(ACCEPTED["a B2B member"](issuer))
    assert (principal.subject, principal.organization) == (MEMBER_ID, ORGANIZATION_ID)


@pytest.mark.parametrize("verified", [True, False, "true", 1, None])
async def test_only_an_address_that_the_token_calls_verified_counts(issuer: FakeIssuer, verified: object) -> None:
    token = issuer.token(email="ada@example.com", email_verified=verified)
    principal = await verifier_of(issuer).verify(token)
    assert principal.emails == (frozenset({"ada@example.com"}) if verified is True else frozenset())


async def test_an_address_that_is_no_text_does_not_count(issuer: FakeIssuer) -> None:
    principal = await verifier_of(issuer).verify(issuer.token(email=["ada@example.com"], email_verified=True))
    assert principal.emails == frozenset()


async def test_a_refusal_tells_the_log_whose_token_it_was_and_the_client_nothing(issuer: FakeIssuer) -> None:
    refused = await refusal(verifier_of(issuer), issuer.token(aud="https://secret.internal"))
    assert (refused.issuer, refused.client_id) == (DOMAIN, CLIENT_ID)
    assert refused.detail == "aud is 'https://secret.internal'"
    assert "secret" not in refused.reason.description


@pytest.mark.parametrize(("client_id", "logged"), [(None, None), ([1], None), ("x" * 500, "x" * 120)])
async def test_an_odd_client_id_does_not_fill_the_log(issuer: FakeIssuer, client_id: object, logged: object) -> None:
    refused = await refusal(verifier_of(issuer), issuer.token(key=rsa_key("other"), client_id=client_id))
    assert refused.client_id == logged


async def test_a_refusal_for_its_time_names_the_client_too(issuer: FakeIssuer) -> None:
    refused = await refusal(verifier_of(issuer), issuer.token(exp=NOW - 100))
    assert (refused.issuer, refused.client_id, refused.detail) == (DOMAIN, CLIENT_ID, "exp was 100 s ago")


# What is remembered.


async def test_verified_claims_are_remembered_for_sixty_seconds(issuer: FakeIssuer, judged: list[str]) -> None:
    judge, token = verifier_of(issuer), issuer.token()
    first = await judge.verify(token)
    issuer.clock.forward(60)
    assert await judge.verify(token) is first
    assert len(judged) == 1
    issuer.clock.forward(0.5)
    await judge.verify(token)
    assert len(judged) == 2


async def test_using_a_remembered_token_does_not_prolong_its_minute(issuer: FakeIssuer, judged: list[str]) -> None:
    judge, token = verifier_of(issuer), issuer.token()
    for _ in range(4):
        await judge.verify(token)
        issuer.clock.forward(25)
    assert len(judged) == 2


async def test_time_is_judged_on_a_remembered_token(issuer: FakeIssuer, judged: list[str]) -> None:
    judge, token = verifier_of(issuer), issuer.token()
    await judge.verify(token)
    issuer.now.forward(3600 + 29.9)
    await judge.verify(token)
    issuer.now.forward(0.1)
    assert (await refusal(judge, token)).reason is reasons.EXPIRED
    issuer.now.forward(-3600 - 30 - 30)
    await judge.verify(token)
    issuer.now.forward(-0.5)
    assert (await refusal(judge, token)).reason is reasons.NOT_YET_VALID
    assert len(judged) == 1


async def test_refused_tokens_are_not_remembered(issuer: FakeIssuer, judged: list[str]) -> None:
    judge, token = verifier_of(issuer), issuer.token(key=rsa_key("other"))
    await refusal(judge, token)
    await refusal(judge, token)
    assert len(judged) == 2
    assert not judge._remembered


async def test_tokens_are_remembered_by_their_whole_text_and_not_kept(issuer: FakeIssuer) -> None:
    judge, token = verifier_of(issuer), issuer.token()
    await judge.verify(token)
    assert list(judge._remembered) == [hashlib.blake2b(token.encode()).digest()]
    assert token not in repr(vars(judge))


async def test_at_most_2048_tokens_are_remembered_and_the_oldest_goes_first(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = verifier_of(issuer)
    principal = await judge.verify(issuer.token())
    judge._remembered.clear()
    seen: list[str] = []

    async def accept(_: Verifier, token: str) -> Principal:
        seen.append(token)
        return principal

    monkeypatch.setattr(Verifier, "_judge", accept)
    for number in range(2049):
        await judge.verify(str(number))
    assert len(judge._remembered) == 2048
    await judge.verify("1")
    assert len(seen) == 2049
    await judge.verify("0")
    assert seen[-1] == "0"
    assert len(judge._remembered) == 2048


# What is logged.


async def test_no_part_of_any_token_is_in_any_log_record(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    judge = verifier_of(issuer)
    scopes = ScopePolicy(ScopeTable(()), required=(), basic=("openid",), per_tool=False)

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    gate = Gate(app, app, PublicUrl("https://notes.example.com"), judge.verify, scopes, max_body_bytes=1024)
    caplog.set_level(logging.DEBUG)
    makes = [make for cases in REFUSED.values() for make in cases.values()]
    tokens = [make(issuer).encode("utf-8", "replace").decode("latin-1") for make in [*makes, *ACCEPTED.values()]]
    with capture_logs() as logs:
        for token in tokens:
            answer = await request(gate, "GET", "/mcp", headers=[("authorization", f"Bearer {token}")])
            assert answer.status in (200, 401)
            assert "Traceback" not in answer.body.decode()
    logged = repr(logs) + caplog.text + "".join(capfd.readouterr())
    assert sum(entry["event"] == "refused" for entry in logs) >= len(makes) - 5
    assert "Traceback" not in logged
    assert not [piece for token in tokens for piece in token.split(".") if len(piece) > 15 and piece in logged]


# Whatever anybody writes.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FUZZ = settings(derandomize=True, deadline=None, database=None, max_examples=150)


async def _outcome(judge: Verifier, token: str) -> Principal | Reason:
    try:
        return await judge.verify(token)
    except Refused as refused:
        return refused.reason


def outcome(issuer: FakeIssuer, *tokens: str) -> list[Principal | Reason]:
    """What becomes of these tokens once the keys are loaded."""

    async def run() -> list[Principal | Reason]:
        judge = verifier_of(issuer)
        return [await _outcome(judge, token) for token in (issuer.token(), *tokens)][1:]

    return anyio.run(run)


@FUZZ
@given(st.text() | st.text("ab.-_", max_size=12) | st.binary().map(lambda octets: octets.decode("latin-1")))
def test_any_text_is_refused_with_401(token: str) -> None:
    [answer] = outcome(FakeIssuer(), token)
    assert isinstance(answer, Reason)
    assert answer.status == 401


@FUZZ
@given(st.data())
def test_a_good_token_with_other_characters_is_refused_or_says_the_same(data: st.DataObject) -> None:
    issuer = FakeIssuer()
    token = issuer.token()
    start = data.draw(st.integers(0, len(token)))
    end = data.draw(st.integers(start, min(len(token), start + 4)))
    changed = token[:start] + data.draw(st.text("AQgw-_.=é", max_size=4)) + token[end:]
    good, answer = outcome(issuer, token, changed)
    assert answer == good or (isinstance(answer, Reason) and answer.status == 401)


@FUZZ
@given(st.sampled_from([*good_header(), "crit", "b64", "jwk", "x5c", "zip"]), JSON)
def test_a_signed_header_may_say_anything(name: str, value: object) -> None:
    issuer = FakeIssuer()
    good, answer = outcome(issuer, issuer.token(), sign({**good_header(), name: value}, issuer.claims()))
    assert answer == good or (isinstance(answer, Reason) and answer.status == 401)


@FUZZ
@given(st.sampled_from([*FakeIssuer().claims(), STYTCH_SESSION, STYTCH_ORGANIZATION, "email", "email_verified"]), JSON)
def test_signed_claims_may_say_anything(name: str, value: object) -> None:
    issuer = FakeIssuer()
    [answer] = outcome(issuer, sign(good_header(), {**issuer.claims(), name: value}))
    if isinstance(answer, Principal):
        assert answer.subject.startswith("user-")
        assert answer.client_id.startswith("connected-app-")
        assert name in ("jti", "scope", "nbf", "iat", "email", "email_verified", STYTCH_ORGANIZATION)
    else:
        assert answer.status == 401
