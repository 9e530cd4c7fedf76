"""What an issuer can do wrong with its keys (issuers are trusted to sign, not to answer well)."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any, Final

import fake_issuer
import httpx
from stytch_mcp.protect import remote

KEYS: Final = "/.well-known/jwks.json"
SLOW_SECONDS: Final = 0.8


def _text(body: str) -> Callable[[httpx.Request], httpx.Response]:
    headers = {"Content-Type": "application/json"}
    return lambda _: httpx.Response(200, content=body, headers=headers)


def _filled(unit: str) -> str:
    count: int = (remote.MAX_DOCUMENT_BYTES - 16) // len(unit)
    return '{"keys":[' + unit * count + "0]}"


def _many() -> list[dict[str, Any]]:
    jwk = fake_issuer.public_jwk(fake_issuer.rsa_key("current"), fake_issuer.KEY_ID)
    return [{**jwk, "kid": f"{jwk['kid'] if number == 0 else number}"} for number in range(_fitting(jwk))]


def _fitting(entry: dict[str, Any]) -> int:
    count: int = remote.MAX_DOCUMENT_BYTES // (len(json.dumps(entry)) + 8)
    return count


def _other_algorithms() -> list[dict[str, Any]]:
    jwk = _many()[0]
    return [
        *({**jwk, "kid": f"{number}", "alg": alg} for number in range(25) for alg in ("RS512", "PS256", "none")),
        *({"kty": "oct", "k": "AAAA", "kid": f"oct{number}", "alg": "HS256"} for number in range(100)),
        *({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": f"ec{number}"} for number in range(100)),
    ]


def _wide() -> list[dict[str, Any]]:
    jwk = {**_many()[0], "n": ""}
    return [{**jwk, "n": "AQAB" * ((remote.MAX_DOCUMENT_BYTES - len(json.dumps(jwk)) - 16) // 4)}]


def _rotating(issuer: fake_issuer.FakeIssuer) -> fake_issuer.Answer:
    jwk, numbers = _many()[0], itertools.count()
    return lambda _: httpx.Response(200, json={"keys": [{**jwk, "kid": f"rotated-{next(numbers)}"}]})


def _slow(seconds: float) -> Callable[[httpx.Request], Any]:
    async def answer(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(seconds)
        return httpx.Response(200, json={"keys": _many()[:1]})

    return answer


def _keys(entries: Callable[[], list[dict[str, Any]]]) -> Callable[[fake_issuer.FakeIssuer], Any]:
    return lambda _: _text(json.dumps({"keys": entries()}))


FAULTS: Final[dict[str, Callable[[fake_issuer.FakeIssuer], Any]]] = {
    "down": lambda _: fake_issuer.down,
    "slow": lambda _: _slow(SLOW_SECONDS),
    "slow, but in time": lambda _: _slow(SLOW_SECONDS / 4),
    "redirecting": lambda _: lambda _: httpx.Response(302, headers={"Location": "http://127.0.0.1:9/elsewhere"}),
    "wrong content type": lambda _: lambda _: httpx.Response(200, html="<p>Sign in to continue</p>" * 9000),
    "rotating": _rotating,
    "huge, 64 MiB": lambda _: _text(" " * 64 * 1024 * 1024),
    "as large as allowed, nested lists": lambda _: _text(_filled("[[[[[]]]]],")),
    "as large as allowed, numbers": lambda _: _text(_filled("1e9,")),
    "deep": lambda _: _text("[" * (remote.MAX_DOCUMENT_BYTES - 1)),
    "other algorithms": _keys(_other_algorithms),
    "as many keys as allowed": _keys(_many),
    "a key as wide as allowed": _keys(_wide),
}

# A socket cannot be made to refuse, and making 64 MiB takes time in whatever process makes them.
IN_PROCESS_ONLY: Final = ("down",)
BY_SOCKET_ONLY: Final = ("huge, 64 MiB",)


def apply(issuer: fake_issuer.FakeIssuer, name: str) -> None:
    """Makes the issuer answer so from now on; `none` makes it well again."""
    issuer.answers.pop(KEYS, None)
    if name != "none":
        issuer.answers[KEYS] = FAULTS[name](issuer)
