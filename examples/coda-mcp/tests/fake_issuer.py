"""An authorization server in this process: it signs what a test asks for, and answers over httpx.MockTransport.

The real surface, over real HTTP, is the kit's local Stytch; this one is for what no real server would do.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

DOMAIN = "https://quiet-lake-1234.customers.stytch.com"
PROJECT_ID = "project-live-11111111-1111-4111-8111-111111111111"
SECRET = "secret-live-value"
CLIENT_ID = "connected-app-live-22222222-2222-4222-8222-222222222222"
USER_ID = "user-live-33333333-3333-4333-8333-333333333333"
MEMBER_ID = "member-live-44444444-4444-4444-8444-444444444444"
ORGANIZATION_ID = "organization-live-55555555-5555-4555-8555-555555555555"
KEY_ID = "jwk-live-66666666-6666-4666-8666-666666666666"

Answer = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.seconds = start

    def __call__(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        self.seconds += seconds


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """A key per name, made once: making one takes longer than a test."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {**jwk, "kid": kid, "use": "sig", "alg": "RS256", "key_ops": ["verify"]}


class FakeIssuer:
    """Its clock runs from a fixed moment; `client` is an httpx client that reaches it and nothing else.

    `answers` replaces the answer for a path; `requests` counts what was asked, by path, and `seen` keeps it.
    """

    def __init__(self, domain: str = DOMAIN) -> None:
        self.domain = domain
        self.now = Clock()
        self.clock = Clock(1000.0)
        self.keys: dict[str, rsa.RSAPrivateKey] = {KEY_ID: rsa_key("current")}
        self.users: dict[str, list[dict[str, Any]]] = {USER_ID: [{"email": "ada@example.com", "verified": True}]}
        self.members: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, Answer] = {}
        self.requests: Counter[str] = Counter()
        self.seen: list[httpx.Request] = []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good consumer access token; a change to None takes the claim away."""
        now = int(self.now())
        claims = {
            "iss": self.domain,
            "sub": USER_ID,
            "aud": [PROJECT_ID],
            "client_id": CLIENT_ID,
            "exp": now + 3600,
            "nbf": now,
            "iat": now,
            "jti": "LOe49j3s9d9dmacslUvrb15ZIjPbptMm",
            "scope": "openid notes:read",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        *,
        key: Any = None,
        algorithm: str = "RS256",
        headers: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A signed token. Header parameters set to None are left out."""
        header = {"kid": KEY_ID, **(headers or {})}
        return jwt.encode(
            self.claims(**changes),
            self.keys[KEY_ID] if key is None else key,
            algorithm=algorithm,
            headers={name: value for name, value in header.items() if value is not None or name == "typ"},
        )

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.domain,
            "authorization_endpoint": "https://notes.example.com/oauth/authorize",
            "token_endpoint": f"{self.domain}/v1/oauth2/token",
            "registration_endpoint": f"{self.domain}/v1/oauth2/register",
            "jwks_uri": f"{self.domain}/.well-known/jwks.json",
            "code_challenge_methods_supported": ["S256"],
            "client_id_metadata_document_supported": True,
            "status_code": 200,
        }

    def _answer(self, request: httpx.Request) -> Any:
        path = request.url.path
        self.requests[path] += 1
        self.seen.append(request)
        if path in self.answers:
            return self.answers[path](request)
        if path == "/.well-known/jwks.json":
            return httpx.Response(200, json={"keys": [public_jwk(key, kid) for kid, key in self.keys.items()]})
        if path == "/.well-known/oauth-authorization-server":
            return httpx.Response(200, json=self.metadata())
        if path.startswith("/v1/users/"):
            emails = self.users.get(path.rpartition("/")[2])
            return httpx.Response(404) if emails is None else httpx.Response(200, json={"emails": emails})
        if path.startswith("/v1/b2b/organizations/"):
            member = self.members.get(f"{path.split('/')[4]}/{request.url.params['member_id']}")
            return httpx.Response(404) if member is None else httpx.Response(200, json={"member": member})
        return httpx.Response(404)


def down(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def encode(part: bytes) -> str:
    """One part of a JWS (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def sign(header: Mapping[str, Any] | str, payload: Mapping[str, Any] | str, key: str = "current") -> str:
    """A token signed with RS256 whatever its header says: for what PyJWT would not write. Text is taken as it is."""
    parts = (part if isinstance(part, str) else json.dumps(part) for part in (header, payload))
    signed = ".".join(encode(part.encode()) for part in parts)
    algorithm = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
    return f"{signed}.{encode(algorithm.sign(signed.encode(), rsa_key(key)))}"
