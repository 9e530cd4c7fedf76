"""Signing keys while their issuer is down, slow, lying, rotating or overrun. Time passes when the test says so."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import jwt
import pytest
from anyio.lowlevel import checkpoint
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from structlog.testing import capture_logs

from stytch_mcp.protect import issuers, keys, remote
from stytch_mcp.protect.keys import Keys
from stytch_mcp.protect.metadata import IssuerMetadata
from stytch_mcp.protect.reasons import KEYS_UNAVAILABLE, UNKNOWN_KEY, Refused
from stytch_mcp.protect.remote import Remembered, Unavailable, fetch_json
from tests.fake_issuer import DOMAIN, KEY_ID, PROJECT_ID, Answer, Clock, FakeIssuer, down, public_jwk, rsa_key

pytestmark = pytest.mark.anyio

JWKS = "/.well-known/jwks.json"
NEW_ID = "jwk-live-99999999-9999-4999-8999-999999999999"
DAY = 24 * 3600
LIMIT = 64 * 1024


@pytest.fixture
def known(issuer: FakeIssuer) -> Keys:
    return keys_of(issuer)


def keys_of(issuer: FakeIssuer) -> Keys:
    preset = issuers.stytch(DOMAIN, PROJECT_ID)
    return Keys(preset, IssuerMetadata(preset, issuer.client, issuer.clock), issuer.client, issuer.clock)


async def refusal(known: Keys, kid: str = KEY_ID) -> Refused:
    with pytest.raises(Refused) as caught:
        await known.get(kid)
    return caught.value


async def in_the_background(known: Keys) -> None:
    """Waits for the fetch that nobody waits for."""
    assert known._keys._task is not None
    await known._keys._task


def says(**answer: Any) -> Answer:
    return lambda _: httpx.Response(**{"status_code": 200, **answer})


def publishes(*entries: Any) -> Answer:
    return says(json={"keys": list(entries)})


def jwk(**changes: Any) -> dict[str, Any]:
    """The good key with other members; None takes one away."""
    members = {**public_jwk(rsa_key("current"), KEY_ID), **changes}
    return {name: value for name, value in members.items() if value is not None}


class Held:
    """An issuer that answers when the test lets it."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()
        self._issuer = issuer

    async def __call__(self, _: httpx.Request) -> httpx.Response:
        self.asked.set()
        await self.answer.wait()
        return httpx.Response(200, json={"keys": [public_jwk(key, kid) for kid, key in self._issuer.keys.items()]})


# The issuer is down.


async def test_warm_keys_serve_for_a_day_while_the_issuer_is_down(issuer: FakeIssuer, known: Keys) -> None:
    await known.get(KEY_ID)
    issuer.answers[JWKS] = down
    for _ in range(24):
        issuer.clock.forward(3600)
        assert (await known.get(KEY_ID)).key_id == KEY_ID
        await in_the_background(known)
    assert known.loaded
    issuer.clock.forward(1)
    assert not known.loaded
    refused = await refusal(known)
    assert (refused.reason, refused.reason.status, refused.retry_after) == (KEYS_UNAVAILABLE, 503, 5)
    assert refused.issuer == DOMAIN


async def test_cold_keys_are_503_and_come_back_after_the_cool_down(issuer: FakeIssuer, known: Keys) -> None:
    issuer.answers[JWKS] = down
    for _ in range(100):
        refused = await refusal(known)
        assert (refused.reason, refused.retry_after) == (KEYS_UNAVAILABLE, 5)
    assert issuer.requests[JWKS] == 1
    del issuer.answers[JWKS]
    issuer.clock.forward(4.9)
    await refusal(known)
    assert issuer.requests[JWKS] == 1
    issuer.clock.forward(0.1)
    await known.get(KEY_ID)
    assert issuer.requests[JWKS] == 2


async def test_a_failed_refresh_is_not_tried_again_for_five_seconds(issuer: FakeIssuer, known: Keys) -> None:
    await known.get(KEY_ID)
    issuer.answers[JWKS] = down
    issuer.clock.forward(301)
    for seconds in (0, 2, 2.9, 0.1, 0.1):
        issuer.clock.forward(seconds)
        await known.get(KEY_ID)
        await in_the_background(known)
    assert issuer.requests[JWKS] == 3


async def test_a_failure_is_logged_once_for_each_attempt_with_its_cause(issuer: FakeIssuer, known: Keys) -> None:
    issuer.answers[JWKS] = down
    with capture_logs() as logs:
        await refusal(known)
        await refusal(known)
    detail = f"{DOMAIN}{JWKS}: ConnectError"
    assert logs == [{"event": "unavailable", "detail": detail, "log_level": "warning"}]


async def test_load_does_not_raise_and_shows_in_loaded(issuer: FakeIssuer, known: Keys) -> None:
    issuer.answers[JWKS] = down
    await known.load()
    assert not known.loaded
    del issuer.answers[JWKS]
    issuer.clock.forward(5)
    await known.load()
    assert known.loaded


async def test_load_renews_old_keys_so_that_an_idle_server_forgets_withdrawn_ones(
    issuer: FakeIssuer, known: Keys
) -> None:
    await known.load()
    await known.load()
    assert issuer.requests[JWKS] == 1
    issuer.keys = {NEW_ID: rsa_key("new")}
    issuer.clock.forward(301)
    await known.load()
    await in_the_background(known)
    assert (await refusal(known)).reason is UNKNOWN_KEY


# The issuer is slow.


async def test_an_answer_that_never_comes_is_given_up(
    issuer: FakeIssuer, known: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT_SECONDS", 0.0)
    issuer.answers[JWKS] = Held(issuer)
    assert (await refusal(known)).reason is KEYS_UNAVAILABLE


async def test_a_body_that_never_ends_is_given_up(
    issuer: FakeIssuer, known: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b'{"keys": ['
        await asyncio.Event().wait()

    monkeypatch.setattr(remote, "TIMEOUT_SECONDS", 0.0)
    issuer.answers[JWKS] = lambda _: httpx.Response(200, content=drip())
    assert (await refusal(known)).reason is KEYS_UNAVAILABLE


async def test_each_step_of_a_fetch_has_five_seconds(issuer: FakeIssuer, known: Keys) -> None:
    await known.get(KEY_ID)
    assert issuer.seen[0].extensions["timeout"] == dict.fromkeys(("connect", "read", "write", "pool"), 5.0)


async def test_old_keys_are_renewed_off_the_requests_way(issuer: FakeIssuer, known: Keys) -> None:
    await known.get(KEY_ID)
    issuer.clock.forward(300)
    await known.get(KEY_ID)
    await in_the_background(known)
    assert issuer.requests[JWKS] == 1
    issuer.keys = {NEW_ID: rsa_key("new")}
    held = issuer.answers[JWKS] = Held(issuer)
    issuer.clock.forward(1)
    for _ in range(1000):
        assert (await known.get(KEY_ID)).key_id == KEY_ID
    await held.asked.wait()
    assert issuer.requests[JWKS] == 2
    held.answer.set()
    await in_the_background(known)
    assert (await known.get(NEW_ID)).key_id == NEW_ID
    assert issuer.requests[JWKS] == 2


async def test_a_thousand_first_requests_cause_one_fetch(issuer: FakeIssuer, known: Keys) -> None:
    held = issuer.answers[JWKS] = Held(issuer)
    found: list[str | None] = []

    async def ask() -> None:
        found.append((await known.get(KEY_ID)).key_id)

    async with anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(ask)
        await held.asked.wait()
        await checkpoint()
        assert found == []
        held.answer.set()
    assert found == [KEY_ID] * 1000
    assert issuer.requests[JWKS] == 1


async def test_a_thousand_that_waited_go_on_one_per_turn_of_the_loop(issuer: FakeIssuer, known: Keys) -> None:
    """Or they would all be answered in one turn, and everybody else would have to wait for that."""
    turns = 0
    went_on: list[int] = []

    async def ask() -> None:
        await known.get(KEY_ID)
        went_on.append(turns)

    async with anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(ask)
        while len(went_on) < 1000:
            turns += 1
            await checkpoint()
    assert len(set(went_on)) == 1000


async def test_a_thousand_first_requests_share_one_failure(issuer: FakeIssuer, known: Keys) -> None:
    issuer.answers[JWKS] = down
    refused: list[Refused] = []

    async def ask() -> None:
        refused.append(await refusal(known))

    async with anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(ask)
    assert {each.reason for each in refused} == {KEYS_UNAVAILABLE}
    assert len(refused) == 1000
    assert issuer.requests[JWKS] == 1


async def test_who_stops_waiting_does_not_stop_the_others(issuer: FakeIssuer, known: Keys) -> None:
    held = issuer.answers[JWKS] = Held(issuer)
    found: list[str | None] = []

    async def ask() -> None:
        found.append((await known.get(KEY_ID)).key_id)

    async with anyio.create_task_group() as tasks:
        first = asyncio.get_running_loop().create_task(known.get(KEY_ID))
        await held.asked.wait()
        tasks.start_soon(ask)
        await checkpoint()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        held.answer.set()
    assert found == [KEY_ID]
    assert issuer.requests[JWKS] == 1


async def test_a_fetch_ends_well_though_everyone_stopped_waiting(issuer: FakeIssuer, known: Keys) -> None:
    held = issuer.answers[JWKS] = Held(issuer)
    waiting = asyncio.get_running_loop().create_task(known.get(KEY_ID))
    await held.asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    held.answer.set()
    await in_the_background(known)
    assert known.loaded


# The issuer lies.


def redirect(_: httpx.Request) -> httpx.Response:
    return httpx.Response(302, headers={"Location": "https://evil.example/jwks.json"})


def bomb(_: httpx.Request) -> httpx.Response:
    async def stream() -> AsyncIterator[bytes]:
        yield gzip.compress(json.dumps({"keys": [jwk()]}).encode())

    return httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=stream())


def endless(_: httpx.Request) -> httpx.Response:
    async def stream() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65_536

    return httpx.Response(200, content=stream())


def padded(size: int) -> bytes:
    document = json.dumps({"keys": [jwk()]}).encode()
    return document + b" " * (size - len(document))


def weak_jwk() -> dict[str, Any]:
    return public_jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), KEY_ID)


def ec_jwk() -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return {**json.loads(ECAlgorithm.to_jwk(key)), "kid": KEY_ID, "use": "sig", "alg": "ES256"}


def private_jwk() -> dict[str, Any]:
    return {**json.loads(RSAAlgorithm.to_jwk(rsa_key("current"))), "kid": KEY_ID, "use": "sig", "alg": "RS256"}


BAD_KEYS: dict[str, Callable[[], Any]] = {
    "null": lambda: None,
    "a number": lambda: 5,
    "a list": lambda: [jwk()],
    "an empty object": dict,
    "an EC key": ec_jwk,
    "an EC key that says RS256": lambda: {**ec_jwk(), "alg": "RS256"},
    "a secret": lambda: {"kty": "oct", "k": "c2VjcmV0", "kid": KEY_ID, "alg": "HS256"},
    "a secret that says RS256": lambda: {"kty": "oct", "k": "c2VjcmV0", "kid": KEY_ID, "alg": "RS256"},
    "an RSA key for RS512": lambda: jwk(alg="RS512"),
    "an RSA key for PS256": lambda: jwk(alg="PS256"),
    "an RSA key for nothing": lambda: jwk(alg=["RS256"]),
    "an RSA key for encryption": lambda: jwk(use="enc"),
    "an RSA key whose use is a list": lambda: jwk(use=["sig"]),
    "a weak RSA key of 1024 bits": weak_jwk,
    "a private RSA key": private_jwk,
    "a private RSA key of the wrong numbers": lambda: jwk(d="AQAB"),
    "no kid": lambda: jwk(kid=None),
    "kid is a number": lambda: jwk(kid=66),
    "no modulus": lambda: jwk(n=None),
    "a modulus that is a number": lambda: jwk(n=7),
    "a modulus that is no base64": lambda: jwk(n="%%%"),
    "a modulus of another script": lambda: jwk(n="é"),
    "an even exponent": lambda: jwk(e="Ag"),
    "no exponent": lambda: jwk(e=None),
}

LIES: dict[str, Answer] = {
    "HTML": says(text="<html>Down for maintenance</html>", headers={"Content-Type": "text/html"}),
    "an empty body": says(content=b""),
    "no UTF-8": says(content=b"\xff\xfe{\xff"),
    "a list": says(json=[jwk()]),
    "a string": says(json="keys"),
    "no keys": says(json={}),
    "keys that are an object": says(json={"keys": {"0": jwk()}}),
    "keys that are a string": says(json={"keys": "none"}),
    "an empty list of keys": says(json={"keys": []}),
    "deep JSON": says(content=b"[" * LIMIT),
    "deep JSON in an object": says(content=b'{"keys":' * (LIMIT // 8)),
    "a byte more than 64 KiB": says(content=padded(LIMIT + 1)),
    "a body without end": endless,
    "a compressed body": bomb,
    "a redirect": redirect,
    "404": says(status_code=404),
    "500 with the right keys": says(status_code=500, json={"keys": [jwk()]}),
    "204": says(status_code=204),
    "10,000 entries of junk before the key": publishes(*[{}] * 10_000, jwk()),
    "10,000 keys": says(content=json.dumps({"keys": [jwk()] * 10_000}).encode()),
    "bad keys only": lambda _: httpx.Response(200, json={"keys": [make() for make in BAD_KEYS.values()]}),
}


@pytest.mark.parametrize("answer", LIES.values(), ids=LIES)
async def test_a_lying_issuer_is_503_when_cold(issuer: FakeIssuer, known: Keys, answer: Answer) -> None:
    issuer.answers[JWKS] = answer
    assert (await refusal(known)).reason is KEYS_UNAVAILABLE
    assert len(issuer.seen) == 1


@pytest.mark.parametrize("answer", LIES.values(), ids=LIES)
async def test_a_lying_issuer_does_not_take_good_keys_away(issuer: FakeIssuer, known: Keys, answer: Answer) -> None:
    await known.get(KEY_ID)
    issuer.answers[JWKS] = answer
    issuer.clock.forward(301)
    await known.get(KEY_ID)
    await in_the_background(known)
    assert issuer.requests[JWKS] == 2
    assert (await known.get(KEY_ID)).key_id == KEY_ID


@pytest.mark.parametrize("bad", BAD_KEYS.values(), ids=BAD_KEYS)
async def test_a_key_that_cannot_be_used_is_passed_over(
    issuer: FakeIssuer, known: Keys, bad: Callable[[], Any]
) -> None:
    issuer.answers[JWKS] = publishes(bad(), public_jwk(rsa_key("new"), NEW_ID))
    assert (await known.get(NEW_ID)).key_id == NEW_ID
    assert (await refusal(known)).reason is UNKNOWN_KEY
    assert list(known._keys.known or ()) == [NEW_ID]


def test_a_private_key_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(jwt, "PyJWK", lambda entry, **_: read.append(entry))
    assert keys._parse(jwk(d="a" * 5000), ("RS256",)) is None
    assert read == []


@pytest.mark.parametrize(
    "answer",
    [
        publishes(jwk(alg=None)),
        publishes(jwk(use=None)),
        publishes(jwk(alg=None, use=None, key_ops=None)),
        publishes(jwk(x5c=["MIIB"], x5t="x")),
        publishes(jwk(), *[{}] * 10_000),
        publishes(*[{}] * 31, jwk()),
        says(content=padded(LIMIT)),
        says(json={"keys": [jwk()]}, headers={"Content-Type": "text/plain"}),
    ],
    ids=["no alg", "no use", "neither", "a certificate", "junk behind", "the 32nd", "64 KiB", "text/plain"],
)
async def test_a_key_that_can_be_used(issuer: FakeIssuer, known: Keys, answer: Answer) -> None:
    issuer.answers[JWKS] = answer
    key = await known.get(KEY_ID)
    assert (key.key_id, key.algorithm_name) == (KEY_ID, "RS256")


async def test_what_a_fetch_sends(issuer: FakeIssuer, known: Keys) -> None:
    await known.get(KEY_ID)
    [request] = issuer.seen
    assert str(request.url) == f"{DOMAIN}{JWKS}"
    assert request.headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie"} & request.headers.keys()


@pytest.mark.parametrize("url", ["", "nope", "https://[::1", "https://x/\ud800", "https://\ud800.example/", "ftp://x/"])
async def test_an_address_that_is_none_is_unavailable(url: str) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(Unavailable):
            await fetch_json(client, url)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(derandomize=True, deadline=None, database=None, max_examples=200)
@given(st.sampled_from(["kty", "kid", "use", "alg", "n", "e", "d", "p", "oth", "key_ops", "crv"]), ANYTHING)
def test_any_member_of_a_key_may_be_anything(name: str, value: object) -> None:
    parsed = keys._parse({**jwk(), name: value}, ("RS256",))
    assert parsed is None or parsed.algorithm_name == "RS256"


# The issuer rotates its keys, and somebody invents some.


async def test_a_new_key_is_found_when_a_token_names_it(issuer: FakeIssuer, known: Keys) -> None:
    await known.get(KEY_ID)
    issuer.keys[NEW_ID] = rsa_key("new")
    assert (await known.get(NEW_ID)).key_id == NEW_ID
    assert (await known.get(KEY_ID)).key_id == KEY_ID
    assert issuer.requests[JWKS] == 2


async def test_a_withdrawn_key_is_unknown_once_the_keys_were_renewed(issuer: FakeIssuer, known: Keys) -> None:
    await known.get(KEY_ID)
    issuer.keys = {NEW_ID: rsa_key("new")}
    await known.get(NEW_ID)
    refused = await refusal(known)
    assert (refused.reason, refused.reason.status, refused.issuer) == (UNKNOWN_KEY, 401, DOMAIN)


async def test_ten_thousand_invented_keys_cause_one_fetch_in_thirty_seconds(issuer: FakeIssuer, known: Keys) -> None:
    await known.get(KEY_ID)
    for number in range(10_000):
        assert (await refusal(known, f"invented-{number}")).reason is UNKNOWN_KEY
        issuer.clock.forward(0.00299)
    assert issuer.requests[JWKS] == 2
    issuer.clock.forward(0.2)
    await refusal(known, "invented")
    await refusal(known, "invented")
    assert issuer.requests[JWKS] == 3


async def test_a_thousand_invented_keys_at_once_share_a_fetch(issuer: FakeIssuer, known: Keys) -> None:
    await known.get(KEY_ID)
    held = issuer.answers[JWKS] = Held(issuer)
    refused: list[Refused] = []

    async def ask(number: int) -> None:
        refused.append(await refusal(known, f"invented-{number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(1000):
            tasks.start_soon(ask, number)
        await held.asked.wait()
        assert (await known.get(KEY_ID)).key_id == KEY_ID
        held.answer.set()
    assert len(refused) == 1000
    assert issuer.requests[JWKS] == 2


async def test_an_unknown_key_is_503_while_it_cannot_be_known_whether_it_is_new(
    issuer: FakeIssuer, known: Keys
) -> None:
    await known.get(KEY_ID)
    issuer.answers[JWKS] = down
    for _ in range(100):
        refused = await refusal(known, NEW_ID)
        assert (refused.reason, refused.retry_after) == (KEYS_UNAVAILABLE, 30)
    assert issuer.requests[JWKS] == 2
    assert (await known.get(KEY_ID)).key_id == KEY_ID
    del issuer.answers[JWKS]
    issuer.clock.forward(30)
    assert (await refusal(known, NEW_ID)).reason is UNKNOWN_KEY


async def test_the_log_gets_the_beginning_of_an_invented_key_only(known: Keys) -> None:
    assert (await refusal(known, "k" * 5000)).detail == f"kid '{'k' * 80}' is not published"


# What stands behind keys, metadata and subjects alike.


class Source:
    """Counts how often it is asked; fails while `failing`."""

    def __init__(self) -> None:
        self.asked = 0
        self.failing = False

    async def __call__(self) -> int:
        self.asked += 1
        if self.failing:
            raise Unavailable("out of order", retry_after=7)
        return self.asked


def remembered(source: Source, clock: Clock) -> Remembered[int]:
    return Remembered(source, refresh_after=10, wait_after=20, keep_for=100, clock=clock)


async def test_a_fact_is_fresh_then_renewed_behind_then_waited_for() -> None:
    source, clock = Source(), Clock()
    fact = remembered(source, clock)
    assert fact.known is None
    assert await fact.get() == 1
    clock.forward(10)
    assert (await fact.get(), source.asked) == (1, 1)
    clock.forward(0.5)
    assert await fact.get() == 1
    assert fact._task is not None
    await fact._task
    assert (await fact.get(), source.asked) == (2, 2)
    clock.forward(20.5)
    assert (await fact.get(), source.asked) == (3, 3)


async def test_a_fact_holds_while_its_source_fails_until_it_is_too_old() -> None:
    source, clock = Source(), Clock()
    fact = remembered(source, clock)
    await fact.get()
    source.failing = True
    clock.forward(100)
    assert await fact.get() == 1
    assert fact.failing
    clock.forward(0.5)
    assert fact.known is None
    with pytest.raises(Unavailable, match="out of order") as caught:
        await fact.get()
    assert caught.value.retry_after == 7
    source.failing = False
    clock.forward(5)
    assert await fact.get() == 3
    assert not fact.failing


async def test_a_failure_that_is_told_often_does_not_grow() -> None:
    source = Source()
    source.failing = True
    fact = remembered(source, Clock())
    failures = []
    for _ in range(3):
        with pytest.raises(Unavailable) as caught:
            await fact.get()
        failures.append(caught.value)
    assert len({id(failure) for failure in failures}) == 3
